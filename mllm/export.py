"""A checkpoint in one directory that holds everything, for transformers and vLLM, with links in the place of copies.

In: a checkpoint. Out: a directory with the trained tensors, the contract, the processor, and the frozen parts, whose
files are links to the originals; with its LoRA merged into a new backbone if wanted. Knows nothing of how the model
computes.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from mllm import checkpoint, contract, lora
from mllm.configuration import FROZEN_PARTS, MODEL_TYPE, MusicLLMConfig
from mllm.errors import CheckpointError, ConfigError
from mllm.modeling import INDEX_NAME, WEIGHTS_NAME, MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.strict_io import is_free, read_json, written_beside

_COPIED = (WEIGHTS_NAME, INDEX_NAME)
_DOCUMENTS = (checkpoint.CARD_NAME, checkpoint.RUN_NAME)
_GENERATION_NAME = "generation_config.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What is exported, and how."""

    model: str
    """Directory or name of the checkpoint."""
    out: Path
    """Directory to write: absent, empty, or an older checkpoint, which is replaced."""
    merge: bool = False
    """Merge the LoRA into the weights of the backbone, which are then written anew."""
    copy: bool = False
    """Copy the frozen parts instead of linking to them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exported:
    """What was made."""

    directory: Path
    linked_bytes: int
    """Size of the files that are links to the originals."""
    written_bytes: int
    """Size of all others."""


def export(config: ExportConfig) -> Exported:
    """Write the directory, whole or not at all.

    Raises:
        CheckpointError: if the checkpoint is incomplete or altered, cannot be merged, or the place is taken.
        ConfigError: if a merge is asked for and there is no LoRA.
    """
    source = contract.find_checkpoint(config.model)
    stated = contract.read_config(source)
    if config.merge and stated.lora is None:
        raise ConfigError(f"--merge was given, but {source} has no LoRA to merge; leave --merge out")
    parts = contract.verify_parts(stated, source)
    processor = checkpoint.open_processor(source, stated)
    target = config.out.absolute()
    _check_place(target, (source, *parts.values()))
    with written_beside(target) as work:
        place: Callable[[Path, Path], int] = _copy if config.copy else _link
        kept = tuple(part for part in FROZEN_PARTS if part != "backbone") if config.merge else FROZEN_PARTS
        linked = sum(_place_part(parts[part], work / part, place) for part in kept)
        if config.merge:
            final = _write_merged(source, parts["backbone"], processor, work)
        else:
            final = _write_as_it_is(source, stated, work)
        for part in FROZEN_PARTS:
            final.frozen[part]["id_or_path"] = part
        final.save_pretrained(work)
        processor.save_pretrained(work)
        for name in _DOCUMENTS:
            if (source / name).is_file():
                shutil.copyfile(source / name, work / name)
        total = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    return Exported(directory=target, linked_bytes=linked, written_bytes=total - linked)


def _check_place(target: Path, sources: tuple[Path, ...]) -> None:
    """See that nothing is replaced but an older checkpoint, and never what is exported itself."""
    resolved = target.resolve()
    for source in (one.resolve() for one in sources):
        if resolved.is_relative_to(source) or source.is_relative_to(resolved):
            raise CheckpointError(
                f"--out {target} is, holds or lies in {source}, which is exported; give another place"
            )
    is_checkpoint = (target / contract.CONFIG_NAME).is_file() and (
        read_json(target / contract.CONFIG_NAME).get("model_type") == MODEL_TYPE
    )
    if not is_checkpoint and (target.is_file() or not is_free(target, unless="")):
        raise CheckpointError(f"{target} holds something that is not a checkpoint; give an absent or empty directory")


def _place_part(source: Path, target: Path, place: Callable[[Path, Path], int]) -> int:
    """Put the files right in `source`, which are those that its hash counts, into `target`; the bytes linked."""
    target.mkdir()
    return sum(place(path.resolve(), target / path.name) for path in sorted(source.iterdir()) if path.is_file())


def _copy(source: Path, target: Path) -> int:
    shutil.copyfile(source, target)
    return 0


def _link(source: Path, target: Path) -> int:
    """A hard link, which stays whole when the original is moved; a symbolic one where the file system has no other."""
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links, or a file of somebody else
        target.symlink_to(source)
    return source.stat().st_size


def _write_as_it_is(source: Path, config: MusicLLMConfig, work: Path) -> MusicLLMConfig:
    """Copy the trained tensors; the configuration to write."""
    for name in _COPIED:
        if not (source / name).is_file():
            raise CheckpointError(f"there is no {name} in {source}; give the directory of a whole checkpoint")
        shutil.copyfile(source / name, work / name)
    return config


def _write_merged(source: Path, backbone: Path, processor: MusicLLMProcessor, work: Path) -> MusicLLMConfig:
    """Write the backbone with the LoRA in it, and the trained tensors that are left; the configuration to write."""
    model = MusicLLMForConditionalGeneration.from_pretrained(source, dtype="auto", with_encoder=False)
    if getattr(model.config.text_config, "quantization_config", None) is not None:
        raise CheckpointError(
            f"the backbone in {backbone} is stored quantised, and a LoRA cannot be merged into it; "
            "train on the backbone that it was made from, and merge into that"
        )
    lora.merge(model.language_model)
    model.config.lora = None
    _write_backbone(model.language_model, backbone, work / "backbone")
    processor.tokenizer.save_pretrained(work / "backbone")
    model.save_pretrained(work)
    config = model.config_for(work)
    config.frozen["backbone"] = contract.describe_part(work / "backbone", id_or_path="backbone")
    return config


def _write_backbone(language_model: Any, original: Path, target: Path) -> None:
    if (original / _GENERATION_NAME).is_file():
        # transformers refuses to write defaults that it reads, such as a temperature of a model that does not sample.
        language_model.generation_config = GenerationConfig()
    language_model.save_pretrained(target)
    if (original / _GENERATION_NAME).is_file():
        shutil.copyfile(original / _GENERATION_NAME, target / _GENERATION_NAME)
