"""A stage of training from its settings to the finished checkpoint; run again after an end of any kind, it goes on.

In: a `RunConfig`. Out: a checkpoint in `out`, and in `work` everything that was needed on the way. Joins the parts of
this folder: what the model begins with, encodings, prepared data, rows, the Trainer. Prints nothing itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from transformers import PrinterCallback

from mllm import checkpoint, contract, items
from mllm.configuration import FROZEN_PARTS
from mllm.errors import ConfigError
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.train import (
    failures,
    fitting,
    launch,
    memory,
    opening,
    packing,
    preparation,
    prepared,
    progress,
    samples,
    schedule,
    whole_checkpoints,
)
from mllm.train.encodings import Encodings
from mllm.train.preparation import Prepared
from mllm.train.rows import Rows, collator, filler
from mllm.train.run_config import TRAINED, RunConfig
from mllm.train.stage_trainer import StageTrainer

COPIED_BYTES = 256 * 2**20
"""Frozen parts up to this size are copied into the finished checkpoint; larger ones stay where they are."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """What came of a run."""

    out: Path
    metrics: Mapping[str, float]
    """The last of each, steps, loss and eval_loss; empty if there was nothing left to do."""


def run(config: RunConfig, tell: Callable[[str], object]) -> Finished:
    """Train, or go on with a training that was ended, and write the finished checkpoint.

    Args:
        config: of the run.
        tell: called with a sentence about what is done now, by the first process only.

    Raises:
        ConfigError: settings that cannot work, data that cannot be used, a place that is taken.
        CheckpointError: what the run begins with is absent or altered.
        TrainingError: the loss is no number any more, or memory or disk are full.
        EncodingError: an encoding is damaged or gone.
    """
    work, out = Path(config.work).absolute(), Path(config.out).absolute()
    say = tell if launch.is_first() else _silent
    deepspeed = launch.deepspeed_settings(config.train.deepspeed)
    schedule.accumulation(config, num_rows=1)  # what cannot be shared out is told before anything is begun
    if is_finished(config, out):
        return Finished(out=out, metrics={})
    with failures.told(config) as situation:
        ready = preparation.together(lambda: preparation.prepare(config, work, say))
        begun = preparation.as_begun(config, work)
        situation.need = lambda: _need(begun, ready)
        return _train(config, begun, ready, deepspeed, say)


def is_finished(config: RunConfig, out: Path) -> bool:
    """Whether the very same run was finished before.

    Raises:
        ConfigError: the place of the result is taken by something else.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    record = out / checkpoint.RUN_NAME
    if (out / contract.CONFIG_NAME).is_file() and record.is_file():
        stated = yaml.safe_load(record.read_text(encoding="utf-8"))
        if isinstance(stated, dict) and stated.get("settings") == config.plain():
            return True
    raise ConfigError(f"{out} is there already and is not what these settings make; give another out, or remove it")


def _need(config: RunConfig, ready: Prepared) -> fitting.Need:
    """What the training takes, told without opening its model."""
    found = [prepared.read_summary(place) for place in (ready.train, ready.validation) if place is not None]
    sizes = memory.sizes_on_paper(
        contract.read_config(ready.start),
        trained=TRAINED[config.stage],
        dtype=opening.dtype_of(config.model, launch.device()),
    )
    if config.model.quantisation is not None:
        sizes = memory.quantised(sizes, config.model.quantisation)
    return fitting.Need(
        sizes=sizes,
        row_tokens=ready.max_tokens,
        longest=max(summary.longest for summary in found),
    )


def _train(
    given: RunConfig,
    config: RunConfig,
    ready: Prepared,
    deepspeed: dict[str, Any] | None,
    say: Callable[[str], object],
) -> Finished:
    """Train with settings whose open ones are those that the run began with; `given` are as they were given."""
    work, out = Path(config.work).absolute(), Path(config.out).absolute()
    say("opening the model")
    model, processor = opening.open_model(ready.start, config, launch.device())
    settings_before = set(vars(model.config))
    trainer, rows = make_trainer(config, ready, model, processor, work, deepspeed)
    last = whole_checkpoints.last_whole(work)
    say(f"training: {len(rows)} rows of at most {ready.max_tokens} tokens")
    trainer.train(resume_from_checkpoint=None if last is None else str(last))
    for name in set(vars(model.config)) - settings_before:
        delattr(model.config, name)  # the Trainer leaves use_cache there, which is no setting of ours
    metrics = _metrics(trainer)
    tensors = trainer.trained_tensors()
    if launch.is_first():
        summary = prepared.read_summary(ready.train)
        checkpoint.save(
            model,
            processor,
            out,
            card=_card(given, summary, metrics),
            run=_record(given, ready, metrics),
            frozen=_placed(model),
            tensors=tensors,
        )
    trainer.accelerator.wait_for_everyone()
    return Finished(out=out, metrics=metrics)


def make_trainer(
    config: RunConfig,
    ready: Prepared,
    model: MusicLLMForConditionalGeneration,
    processor: MusicLLMProcessor,
    work: Path,
    deepspeed: dict[str, Any] | None,
) -> tuple[StageTrainer, Rows]:
    """The Trainer of a run, and its rows."""
    encodings = Encodings(ready.store, model.config, processor)
    space = model.config.space_of_items
    catalogue = None if config.data.catalog is None else items.open_for(space, config.data.catalog)
    packed = config.data.packing and packing.obstacle(model.language_model) is None

    def rows_of(place: Path, multiple: int) -> Rows:
        return Rows(
            prepared.open_prepared(place),
            encodings,
            catalogue,
            max_tokens=ready.max_tokens,
            packed=packed,
            seed=config.train.seed,
            multiple=multiple,
        )

    num_rows = len(rows_of(ready.train, 1))
    of_step = schedule.rows_of_step(config, num_rows)
    if launch.is_first():
        preparation.keep_rows_of_step(work, of_step)
    rows = rows_of(ready.train, of_step)
    evaluated = None if ready.validation is None else rows_of(ready.validation, 1)
    pad = processor.tokenizer.pad_token_id
    if deepspeed is not None:
        launch.keep_whole(deepspeed, max(one.numel() for one in model.parameters() if one.requires_grad))
    trainer = StageTrainer(
        place_of=lambda index: str(rows.prepared[index]["place"]),
        lora_learning_rate=config.train.lora_learning_rate,
        model=model,
        args=schedule.arguments(config, num_rows, work, deepspeed, evaluates=evaluated is not None),
        train_dataset=rows,
        eval_dataset=evaluated,
        data_collator=collator(
            0 if pad is None else int(pad),
            filler(model, processor, items=catalogue is not None),
            packed=packed,
            borders=packing.needs_borders(model.language_model),
        ),
    )
    trainer.remove_callback(PrinterCallback)
    line = progress.Progress(trainer)
    trainer.figures = line.figures
    trainer.add_callback(line)
    trainer.add_callback(whole_checkpoints.MarkWhole(trainer.accelerator.wait_for_everyone))
    if evaluated is not None and config.train.samples:
        trainer.add_callback(
            samples.Samples(
                trainer,
                evaluated,
                processor,
                count=config.train.samples,
                max_new_tokens=config.train.sample_tokens,
            )
        )
    return trainer, rows


def _metrics(trainer: StageTrainer) -> dict[str, float]:
    found: dict[str, float] = {"steps": trainer.state.global_step}
    for entry in trainer.state.log_history:
        found |= {name: float(entry[name]) for name in ("loss", "eval_loss") if name in entry}
    return found


def _record(config: RunConfig, ready: Prepared, metrics: Mapping[str, float]) -> dict[str, Any]:
    data = {"train": dataclasses.asdict(prepared.read_summary(ready.train))}
    if ready.validation is not None:
        data["validation"] = dataclasses.asdict(prepared.read_summary(ready.validation))
    return {"settings": config.plain(), "data": data, "processes": launch.world_size(), "metrics": dict(metrics)}


def _placed(model: MusicLLMForConditionalGeneration) -> dict[str, str]:
    """Frozen parts that are copied into the finished checkpoint."""
    small = {}
    for part in FROZEN_PARTS:
        place = Path(model.config.frozen[part]["id_or_path"])
        if place.is_dir() and sum(file.stat().st_size for file in place.iterdir() if file.is_file()) <= COPIED_BYTES:
            small[part] = part
    return small


def _card(config: RunConfig, data: prepared.Summary, metrics: Mapping[str, float]) -> str:
    learnt = {
        "align": "the audio adapter",
        "instruct": "the audio adapter",
        "lora": "the audio adapter, and a LoRA on the backbone, whose own weights stayed as they were",
        "items": "the item adapter",
    }[config.stage]
    figures = "\n".join(f"| {name} | {value:.4g} |" for name, value in metrics.items())
    return (
        f"# A checkpoint of mllm\n\nTrained in the stage `{config.stage}`: {learnt}. Everything else is frozen.\n\n"
        f"It learnt from {data.conversations} conversations ({data.tokens} tokens, {data.learnt_tokens} of them "
        f"learnt) with {data.seconds:.0f} s of audio. Settings and hashes stand in `run.yaml`.\n\n"
        f"| | |\n|---|---|\n{figures}\n\nNothing but the loss was measured: ask it about recordings that it was not "
        "trained on before you rely on it.\n"
    )


def _silent(sentence: str) -> None:
    """Where another process tells."""
