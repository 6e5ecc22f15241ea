"""The settings of a training: YAML files and words such as `train.epochs=5` become one checked `RunConfig`.

In: a file, or none, and overriding words. Out: settings whose every mistake is told in one error. Opens no model and no
data, and knows nothing of how training works.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mllm.errors import ConfigError
from mllm.lora import LoraSettings
from mllm.settings import config_from_dict, near
from mllm.train import setting_files

Stage: TypeAlias = Literal["align", "instruct", "lora", "items"]
TRAINED: dict[str, tuple[str, ...]] = {
    "align": ("layer_mix", "audio_adapter"),
    "instruct": ("layer_mix", "audio_adapter"),
    "lora": ("layer_mix", "audio_adapter", "lora"),
    "items": ("item_adapter",),
}
"""What each stage trains; everything else stays as it is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSection:
    """What is trained: a checkpoint to go on from, or frozen parts to begin with."""

    start: str | None = None
    """Directory or name of a checkpoint; None without a backbone: the reference checkpoint."""
    backbone: str | None = None
    """Directory or name of a language model, under which new adapters are put."""
    audio_encoder: str | None = None
    """Directory or name of the encoder that goes with `backbone`."""
    encoder: str = "mert"
    """File name in mllm/encoders of what opens `audio_encoder`."""
    chat_template: str | None = None
    """File name in mllm/chat_templates; None takes the template of the backbone's tokenizer."""
    audio_token: str = "<|audio_token|>"  # noqa: S105 (no password)
    """Placeholder of a soft token of audio; needs no place in the backbone's vocabulary."""
    audio_start: str = ""
    """Text before a recording."""
    audio_end: str = ""
    """Text behind a recording."""
    item_token: str = "<|item_token|>"  # noqa: S105
    """Placeholder of a soft token of an item."""
    max_windows: int = 8
    """Most windows that are heard of one recording."""
    layer_mix: bool = True
    """Whether a weighted sum of the encoder's layers is learnt; otherwise its last layer is read."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """Of the frozen backbone in memory; None: bfloat16 on a GPU, float32 without one."""
    quantisation: Literal["int8", "nf4"] | None = None
    """Keep the frozen backbone in 8 or 4 bits (bitsandbytes)."""
    attention: Literal["sdpa", "eager", "flash_attention_2"] | None = None
    """How the backbone attends; None: as transformers chooses."""

    def __post_init__(self) -> None:
        if self.start is not None and self.backbone is not None:
            raise ConfigError("start and backbone were both given; go on from a checkpoint or begin with a backbone")
        if (self.backbone is None) != (self.audio_encoder is None):
            raise ConfigError("backbone and audio_encoder go together; give both, or start")
        if self.max_windows < 1:
            raise ConfigError(f"max_windows is {self.max_windows}; expected 1 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSection:
    """What is learnt from."""

    train: tuple[str, ...] = ()
    """JSONL files with a conversation a line, or folders of music (docs/finetune.md)."""
    validation: tuple[str, ...] = ()
    """The same, to measure the loss on and to show answers about; empty: a share of `train`."""
    validation_share: float = 0.05
    """Share of the recordings of `train` that is held out where there is no `validation`, in [0, 0.5]."""
    store: str | None = None
    """Directory of the encodings; None: in the working directory."""
    catalog: str | None = None
    """Catalogue whose items the conversations name."""
    max_tokens: int | None = None
    """Most tokens of a packed row; None: 2048, or a 32nd of the data where that is less."""
    packing: bool = True
    """Whether rows hold several conversations, where the backbone can keep them apart."""
    leave_out_bad: bool = False
    """Whether conversations that cannot be used are left out and counted; otherwise the run does not begin."""
    workers: int = 0
    """Processes that read ahead; 0 reads in the process that trains."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}; expected 1 or more"
            for name in ("max_tokens",)
            if getattr(self, name) is not None and getattr(self, name) < 1
        ]
        if not 0 <= self.validation_share <= 0.5:
            problems.append(f"validation_share is {self.validation_share}; expected 0 to 0.5")
        if self.workers < 0:
            problems.append(f"workers is {self.workers}; expected 0 or more")
        if problems:
            raise ConfigError("; ".join(problems))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSection:
    """How it is learnt."""

    epochs: float | None = None
    """Times the data is seen; None: 3, or as many as 300 optimiser steps take."""
    steps: int | None = None
    """Optimiser steps instead of `epochs`."""
    rows_per_step: int | None = None
    """Packed rows (or padded batches of `data.max_tokens`) that one optimiser step learns from, all processes together;
    None: 8, but no more than a tenth of all rows."""
    rows_at_once: int = 1
    """Rows computed at once by one process; the rest of a step is accumulated."""
    learning_rate: float = 1e-3
    """Highest learning rate of the adapters; reached after the warm-up, then it falls as a cosine."""
    lora_learning_rate: float = 2e-4
    """The same for the LoRA."""
    warmup_share: float = 0.03
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.01
    """Of matrices; biases and norms have none."""
    max_grad_norm: float = 1.0
    """Longest gradient; longer ones are shortened to it."""
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    """AdamW of torch, or with its state in 8 bits (bitsandbytes)."""
    precision: Literal["float32", "bfloat16", "float16"] | None = None
    """In which products are computed; None: bfloat16 on a GPU, float32 without one."""
    gradient_checkpointing: bool = False
    """Compute the backbone's activations twice instead of keeping them."""
    deepspeed: str | None = None
    """JSON file of DeepSpeed settings (scripts/configs/deepspeed)."""
    log_every: int = 10
    """Steps between lines of the log."""
    save_every: int = 200
    """Steps between checkpoints from which an interrupted run goes on."""
    keep: int = 2
    """Checkpoints that are kept, at least 2."""
    evaluate_every: int | None = None
    """Steps between evaluations; None: ten times in the run."""
    samples: int = 4
    """Conversations of `validation` that are answered at each evaluation."""
    sample_tokens: int = 64
    """Longest of these answers, in tokens."""
    report_to: tuple[Literal["tensorboard", "wandb", "trackio", "mlflow"], ...] | None = None
    """Where figures go beside TensorBoard; None: wandb and trackio, where they are installed and set up."""
    seed: int = 1
    """Of new weights and of the order of the data."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}; expected more than 0"
            for name in ("epochs", "learning_rate", "lora_learning_rate", "max_grad_norm")
            if getattr(self, name) is not None and not getattr(self, name) > 0
        ]
        least = {"rows_per_step": 1, "rows_at_once": 1, "log_every": 1, "save_every": 1, "keep": 2, "samples": 0}
        least |= {"sample_tokens": 1, "steps": 1, "evaluate_every": 1}
        problems += [
            f"{name} is {getattr(self, name)}; expected {smallest} or more"
            for name, smallest in least.items()
            if getattr(self, name) is not None and getattr(self, name) < smallest
        ]
        if not 0 <= self.warmup_share < 1:
            problems.append(f"warmup_share is {self.warmup_share}; expected 0 or more, and less than 1")
        if self.weight_decay < 0:
            problems.append(f"weight_decay is {self.weight_decay}; expected 0 or more")
        if problems:
            raise ConfigError("; ".join(problems))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A whole training."""

    stage: Stage
    """What is trained: see `TRAINED`."""
    out: str
    """Directory of the finished checkpoint."""
    work: str
    """Directory of everything the run needs on its way: encodings, prepared data, checkpoints, logs."""
    model: ModelSection
    adapter: Mapping[str, Any] | None
    """Name and settings of the new audio adapter, where `model.backbone` is given."""
    item_adapter: Mapping[str, Any] | None
    """Name and settings of the item adapter that the stage `items` trains."""
    lora: LoraSettings
    data: DataSection
    train: TrainSection

    def plain(self) -> dict[str, Any]:
        """As YAML would hold it."""
        return {key: setting_files.plain(value) for key, value in dataclasses.asdict(self).items()}


SECTIONS: dict[str, type[Any]] = {
    "model": ModelSection,
    "lora": LoraSettings,
    "data": DataSection,
    "train": TrainSection,
}
PLUG_INS = ("adapter", "item_adapter")
_TEXTS = ("stage", "out", "work")
_LISTS = ("train", "validation", "targets", "report_to")
"""Settings of sections that are lists, for which one text may stand alone."""


def read(path: Path | None, words: Sequence[str] = (), *, given: Mapping[str, Any] | None = None) -> RunConfig:
    """Read the settings of a run.

    Args:
        path: YAML file; what it names under `include` is read before it, and its own settings win. None: no file.
        words: `key.sub=value`, which win over the file; the value is read as YAML.
        given: settings that win over both, as the file would hold them.

    Raises:
        ConfigError: naming everything that is wrong.
    """
    settings, problems = setting_files.read(path, words, given=given)
    return _build(settings, problems, source="the settings" if path is None else str(path))


def _build(settings: dict[str, Any], problems: list[str], *, source: str) -> RunConfig:
    known = (*_TEXTS, *SECTIONS, *PLUG_INS)
    problems += [f"{key} is not a setting{_hint(key, known)}" for key in settings if key not in known]
    stage = settings.get("stage", "instruct")
    if not isinstance(stage, str) or stage not in TRAINED:
        problems.append(f"stage is {stage!r}; expected one of {', '.join(TRAINED)}{near(str(stage), TRAINED)}")
    texts = {key: settings.get(key) for key in ("out", "work")}
    problems += [
        f"{key} is {value!r}; expected a directory"
        for key, value in texts.items()
        if value is not None and (not isinstance(value, str) or not value or "\0" in value)
    ]
    if texts["out"] is None:
        problems.append("out is missing; give the directory of the finished checkpoint")
    sections: dict[str, Any] = {}
    for name, kind in SECTIONS.items():
        section = {} if settings.get(name) is None else settings[name]
        if not isinstance(section, Mapping):
            problems.append(f"{name} is {section!r}; expected settings, `key: value`")
            continue
        try:
            sections[name] = config_from_dict(kind, _with_lists(section))
        except ConfigError as error:
            problems.append(setting_files.placed(str(error), name, {*section, *_fields(kind)}))
    plug_ins: dict[str, Any] = {name: settings.get(name) for name in PLUG_INS}
    problems += [
        f"{name} is {value!r}; expected its name and settings, such as {{name: mlp}}"
        for name, value in plug_ins.items()
        if value is not None and not (isinstance(value, Mapping) and isinstance(value.get("name"), str))
    ]
    if "data" in sections and not sections["data"].train:
        problems.append("data.train is missing; give JSONL files of conversations, or folders of music")
    if stage == "items" and "data" in sections and sections["data"].catalog is None:
        problems.append("data.catalog is missing; the stage items needs the catalogue that the conversations name")
    if "model" in sections and sections["model"].backbone is not None and plug_ins["adapter"] is None:
        problems.append("adapter is missing; a new backbone needs one, such as {name: mlp, tokens_per_second: 5}")
    if problems:
        raise ConfigError(f"{source}: {'; '.join(problems)}")
    out = str(texts["out"])
    work = texts["work"] or f"{Path(out)}.training"
    return RunConfig(stage=stage, out=out, work=work, **plug_ins, **sections)


def _with_lists(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: [value] if key in _LISTS and isinstance(value, str) else value for key, value in section.items()}


def _fields(kind: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _hint(key: str, known: Sequence[str]) -> str:
    """As `near`; for a key that belongs into a section, where it belongs."""
    places = [f"{name}.{key}" for name, kind in SECTIONS.items() if key in _fields(kind)]
    return f" (did you mean {' or '.join(map(repr, places))}?)" if places else near(key, known)
