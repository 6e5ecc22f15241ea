"""A checkpoint: the trained tensors plus a contract, opened strictly and written whole or not at all.

In: a directory (or the frozen parts to start from). Out: the model and its processor, or the directory. A directory
holds config.json (the contract), adapter_model.safetensors (what was trained), the processor's files, README.md (the
model card) and run.yaml (the resolved run); frozen parts lie inside it, elsewhere on the machine, or on the hub. Knows
nothing of how the model computes or how it was trained.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from mllm import contract, quantised, templates
from mllm.configuration import FROZEN_PARTS, MusicLLMConfig
from mllm.errors import CheckpointError, ConfigError
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import PROCESSOR_FILE, MusicLLMProcessor
from mllm.quantised import Quantisation
from mllm.settings import near
from mllm.strict_io import is_free, written_beside

CARD_NAME = "README.md"
RUN_NAME = "run.yaml"
_SHARED_SETTINGS = (
    "audio_encoder",
    "audio_adapter",
    "audio_token",
    "audio_token_id",
    "audio_start",
    "audio_end",
    "item_token",
    "item_token_id",
    "item_adapter",
    "item_space",
    "max_windows",
    "sample_rate_hz",
)
"""Settings that stand in config.json and, since transformers opens a processor alone, in processor_config.json too."""
_FOLDER_NAME = re.compile(r"[\w.-]+")


def reference_directory() -> Path:
    """Where the checkpoint that is shipped in the package lies."""
    return Path(__file__).parent / "reference"


def load(
    id_or_path: str | Path,
    *,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
    revision: str | None = None,
    frozen: Mapping[str, str | Path] | None = None,
    with_encoder: bool = True,
    quantisation: Quantisation | None = None,
    attention: str | None = None,
) -> tuple[MusicLLMForConditionalGeneration, MusicLLMProcessor]:
    """Open a checkpoint, all of it checked against its contract.

    Args:
        id_or_path: directory of a checkpoint, or a name on the hub.
        dtype: of the backbone in memory; by default float32 on a CPU and bfloat16 elsewhere.
        device: where the model goes.
        revision: of a name on the hub.
        frozen: directories of frozen parts that lie elsewhere than the checkpoint says; the content must agree.
        with_encoder: False leaves the audio encoder out, whose files need not be there (`mllm.train.encodings`).
        quantisation: of the frozen backbone in memory, for training; what is saved afterwards says nothing of it.
        attention: how the backbone attends, such as "sdpa"; None: as transformers chooses.

    Raises:
        CheckpointError: if anything is absent, altered, missing, extra or of another shape.
        ConfigError: if the quantisation is unknown, or a library that it or a LoRA needs is not installed.
    """
    directory = contract.find_checkpoint(id_or_path, revision=revision)
    config = contract.read_config(directory)
    processor = open_processor(directory, config)
    place = torch.device(device)
    if dtype is None:
        dtype = torch.float32 if place.type == "cpu" else torch.bfloat16
    model = MusicLLMForConditionalGeneration.from_pretrained(
        directory,
        config=config,
        dtype=dtype,
        frozen=frozen,
        with_encoder=with_encoder,
        quantisation=quantisation,
        **_placed(quantisation, place),
        **({} if attention is None else {"attn_implementation": attention}),
    )
    module: nn.Module = model
    module.to(place)
    return model, processor


def open_processor(directory: Path, config: MusicLLMConfig) -> MusicLLMProcessor:
    """Open the processor of a checkpoint, checked against the contract; reads no weights.

    Args:
        directory: of the checkpoint.
        config: of the checkpoint.

    Raises:
        CheckpointError: if it cannot be opened, its settings or chat template are not those of `config`, or the
            template does not fit the tokenizer.
    """
    try:
        processor = MusicLLMProcessor.from_pretrained(directory)
    except (ConfigError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"the processor in {directory} cannot be opened: {error}") from error
    _agree(processor, config, directory)
    found = template_hash(processor)
    if found != config.chat_template_sha256:
        raise CheckpointError(
            f"the chat template in {directory} is not the one that the checkpoint was trained with: "
            f"expected sha256 {config.chat_template_sha256}, found {found}"
        )
    try:
        templates.check(processor.tokenizer, config.chat_template)
    except ConfigError as error:
        raise CheckpointError(f"the tokenizer in {directory} does not fit: {error}") from error
    return processor


def save(
    model: MusicLLMForConditionalGeneration,
    processor: MusicLLMProcessor,
    directory: str | Path,
    *,
    card: str,
    run: Mapping[str, Any],
    frozen: Mapping[str, str] | None = None,
    tensors: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint beside its place and move it there; an older checkpoint in that place is replaced.

    Args:
        model: whose `config.frozen` describes both frozen parts, as `assemble` and `load` leave it.
        processor: whose tokenizer carries the chat template.
        directory: of the checkpoint; absent, empty, or a checkpoint.
        card: text of the model card (Markdown).
        run: the resolved run configuration, with the hashes of its data.
        frozen: where a reader will find a part, if not where it lies now: a plain folder name such as "backbone"
            (the part is copied into the checkpoint), an absolute path, or a name on the hub.
        tensors: the trained tensors by their names, where they are others than the model's own.

    Raises:
        CheckpointError: if the place is taken by something else, or a frozen part is not described or altered.
    """
    target = Path(directory).absolute()
    if not is_free(target, unless=contract.CONFIG_NAME):
        raise CheckpointError(f"{target} holds something that is not a checkpoint; give an absent or empty directory")
    with written_beside(target) as work:
        model.save_pretrained(work, state_dict=tensors)
        processor.save_pretrained(work)
        config = model.config_for(work)
        config.chat_template_sha256 = template_hash(processor)
        config.frozen = _place_parts(model.config.frozen, work=work, target=target, wanted=frozen or {})
        config.save_pretrained(work)
        (work / CARD_NAME).write_text(card, encoding="utf-8")
        text = yaml.safe_dump(dict(run), sort_keys=False, allow_unicode=True)
        (work / RUN_NAME).write_text(text, encoding="utf-8")


def assemble(
    *,
    backbone: str | Path,
    audio_encoder: str | Path,
    encoder_name: str,
    adapter: Mapping[str, Any],
    chat_template: str | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    revisions: Mapping[str, str] | None = None,
    quantisation: Quantisation | None = None,
    lora: Mapping[str, Any] | None = None,
    **settings: Any,
) -> MusicLLMForConditionalGeneration:
    """A model to train: frozen parts that are there, an adapter that has learnt nothing yet.

    Args:
        backbone: directory of the language model, or its name on the hub.
        audio_encoder: directory of the encoder, or its name on the hub.
        encoder_name: file name in mllm/encoders.
        adapter: {"name": file name in adapters, and its settings}.
        chat_template: name of a file in mllm/chat_templates; None takes the tokenizer's own template.
            `MusicLLMProcessor.from_config` refuses one that does not fit the tokenizer it is given.
        seed: of the first weights of the adapter and of a LoRA.
        dtype: of the backbone in memory.
        device: where the model goes.
        revisions: of parts that are given by name, by part.
        quantisation: of the frozen backbone in memory; what is saved afterwards says nothing of it.
        lora: the fields of `mllm.lora.LoraSettings`, for trained additions to the backbone; None: no LoRA.
        settings: further fields of `MusicLLMConfig`: audio_token and audio_token_id at least.

    Raises:
        CheckpointError: if a frozen part cannot be opened.
        ConfigError: if a setting is unknown or out of range.
    """
    if chat_template is not None:
        templates.read(chat_template)  # an unknown name is told before anything is loaded
    given = {"backbone": str(backbone), "audio_encoder": str(audio_encoder)}
    here = Path.cwd()
    frozen, places = {}, {}
    for part, source in given.items():
        named = contract.is_hub_id(source, here)
        revision = (revisions or {}).get(part)
        places[part] = contract.locate_part(source if named else str(Path(source).absolute()), here, revision=revision)
        frozen[part] = contract.describe_part(places[part], id_or_path=source if named else None, revision=revision)
    with torch.random.fork_rng(devices=[]):
        language_model: Any = quantised.load_backbone(
            places["backbone"], dtype=dtype, quantisation=quantisation, **_placed(quantisation, torch.device(device))
        )
        encoder = contract.load_encoder(encoder_name, places["audio_encoder"])
        config = MusicLLMConfig(
            text_config=language_model.config,
            audio_encoder={"name": encoder_name, **dataclasses.asdict(encoder.config)},
            audio_adapter=dict(adapter),
            frozen=frozen,
            chat_template=chat_template,
            lora=None if lora is None else dict(lora),
            **settings,
        )
        torch.manual_seed(seed)
        model = MusicLLMForConditionalGeneration(config, language_model, encoder)
    if hasattr(model.audio_adapter, "set_anchors"):
        model.audio_adapter.set_anchors(language_model.get_input_embeddings().weight.detach())
    module: nn.Module = model
    module.to(device)
    return model


def with_parts(
    model: MusicLLMForConditionalGeneration,
    *,
    lora: Mapping[str, Any] | None = None,
    item_adapter: Mapping[str, Any] | None = None,
    item_space: Mapping[str, Any] | None = None,
    seed: int = 0,
    **markers: Any,
) -> MusicLLMForConditionalGeneration:
    """Give a model, in place, parts that it does not have yet and that have learnt nothing.

    What it has stays as it is, frozen parts and their descriptions included. Where items are added, its processor must
    be made anew: `MusicLLMProcessor.from_config(model.config, processor.tokenizer)`.

    Args:
        model: as `load` or `assemble` give it.
        lora: the fields of `mllm.lora.LoraSettings`.
        item_adapter: {"name": file name in adapters, and its settings}.
        item_space: the fields of `mllm.items.ItemSpace`; together with `item_adapter`.
        seed: of the first weights.
        markers: item_token and item_token_id, where the model has none.

    Returns:
        The model.

    Raises:
        ConfigError: if it has such a part already, or a setting is unknown or out of range.
    """
    wanted = {"lora": lora, "item_adapter": item_adapter, "item_space": item_space, **markers}
    given = {key: value for key, value in wanted.items() if value is not None}
    for key in given:
        if getattr(model.config, key, None) is not None:
            raise ConfigError(f"the model has its {key} already; leave {key} out, or start from a model without")
    config = MusicLLMConfig.from_dict({**model.config.to_dict(), "text_config": model.config.text_config, **given})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.extend(config)
    for part in model.trained_parts().values():
        part.to(model.language_model.device)
    return model


def template_hash(processor: MusicLLMProcessor) -> str:
    """Sha256 of the chat template of the processor's tokenizer.

    Raises:
        CheckpointError: if there is no single template.
    """
    template = processor.tokenizer.chat_template
    if not isinstance(template, str):
        raise CheckpointError(f"the tokenizer's chat template is {type(template).__name__}; expected one text")
    return hashlib.sha256(template.encode("utf-8")).hexdigest()


def _placed(quantisation: Quantisation | None, device: torch.device) -> dict[str, Any]:
    """Options that load a quantised backbone where it is to stay; any other is moved there later."""
    return {} if quantisation is None else {"device_map": {"": str(device)}}


def _agree(processor: MusicLLMProcessor, config: MusicLLMConfig, directory: Path) -> None:
    """Compare the two places in which a checkpoint states the same settings."""
    stated = {key: getattr(processor, key) for key in _SHARED_SETTINGS}
    try:
        again = MusicLLMConfig(text_config=config.text_config, **stated)
    except ConfigError as error:
        raise CheckpointError(f"{directory / PROCESSOR_FILE}: {error}") from error
    for key in _SHARED_SETTINGS:
        of_processor, of_config = getattr(again, key), getattr(config, key)
        place = key
        if isinstance(of_config, dict):
            different = [name for name in of_config if of_processor.get(name) != of_config[name]]
            if different:
                place = f"{key}.{different[0]}"
                of_processor, of_config = of_processor.get(different[0]), of_config[different[0]]
        if of_processor != of_config:
            raise CheckpointError(
                f"{place} is {of_processor!r} in {directory / PROCESSOR_FILE}, "
                f"but {of_config!r} in {contract.CONFIG_NAME}"
            )


def _place_parts(
    described: Mapping[str, Mapping[str, Any]], *, work: Path, target: Path, wanted: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """The entries to write for the frozen parts; those that shall lie inside the checkpoint are copied into it."""
    for part in wanted:
        if part not in FROZEN_PARTS:
            raise CheckpointError(f"there is no frozen part {part!r}{near(part, FROZEN_PARTS)}")
    entries = {}
    for part in FROZEN_PARTS:
        if part not in described:
            raise CheckpointError(f"the model does not say which {part} it was trained with; start from `assemble`")
        entry = dict(described[part])
        source = contract.locate_part(entry["id_or_path"], target, revision=entry.get("revision"))
        place = wanted.get(part, entry["id_or_path"])
        if Path(place).is_absolute() and Path(place).is_relative_to(target):
            place = Path(place).relative_to(target).as_posix()
        if _FOLDER_NAME.fullmatch(place) and place not in (".", ".."):
            shutil.copytree(source, work / place)
            source = work / place
        elif not Path(place).is_absolute() and not contract.is_hub_id(place, target):
            raise CheckpointError(f"{part} cannot go to {place!r}; give a folder name, an absolute path or a hub name")
        found = contract.describe_part(source)["sha256"]
        if found != entry["sha256"]:
            raise CheckpointError(f"the {part} has changed: expected sha256 {entry['sha256']}, found {found}")
        entries[part] = {**entry, "id_or_path": place}
    return entries
