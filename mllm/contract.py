"""The frozen parts of a checkpoint: where they lie, whether they are unaltered, and how they are opened.

In: the directory of a checkpoint and what its `config.json` says of the backbone and the encoder. Out: verified
directories and loaded modules. Knows nothing of the trained tensors, prompts or audio files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from mllm import registry
from mllm.configuration import FROZEN_PARTS, MODEL_TYPE, MusicLLMConfig
from mllm.errors import CheckpointError, ConfigError
from mllm.strict_io import content_hash, read_json

CONFIG_NAME = "config.json"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_HUB_FILES = ["*.json", "*.safetensors", "*.bin", "*.model", "*.txt", "*.jinja", "*.md", "*.yaml"]
_UNCOMPARED_KEYS = frozenset({"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version"})
"""Keys of a backbone's configuration that say how it was stored or opened, not what it computes."""


def find_checkpoint(id_or_path: str | Path, *, revision: str | None = None) -> Path:
    """The directory of a checkpoint: the path itself, or where the hub's files lie after a download.

    Raises:
        CheckpointError: if it is neither a directory with a config.json nor a name that can be fetched.
    """
    path = Path(id_or_path)
    if path.is_dir():
        if not (path / CONFIG_NAME).is_file():
            raise CheckpointError(f"{path} holds no {CONFIG_NAME}; give the directory of an mllm checkpoint")
        return path
    if path.exists():
        raise CheckpointError(f"{path} is a file; give the directory of an mllm checkpoint")
    if _HUB_ID.fullmatch(str(id_or_path)):
        return _download(str(id_or_path), revision)
    raise CheckpointError(f"there is no model at {str(id_or_path)!r}; give the directory of an mllm checkpoint")


def read_config(directory: Path) -> MusicLLMConfig:
    """Read and validate the config.json of a checkpoint.

    Raises:
        CheckpointError: if it is not JSON, describes another kind of model, or has unknown keys or bad values.
    """
    path = directory / CONFIG_NAME
    settings = read_json(path)
    if settings.get("model_type") != MODEL_TYPE:
        raise CheckpointError(
            f"{path} describes a {settings.get('model_type')!r} model; expected model_type {MODEL_TYPE!r}"
        )
    try:
        return MusicLLMConfig.from_dict(settings)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error


def check_servable(config: MusicLLMConfig, checkpoint: str | Path) -> None:
    """See that vLLM can serve a checkpoint, which opens the backbone as it is stored, without a LoRA of ours.

    Args:
        config: of the checkpoint.
        checkpoint: its directory or name, for the message.

    Raises:
        CheckpointError: if there is a LoRA in it.
    """
    if config.lora is not None:
        raise CheckpointError(
            f"the checkpoint {checkpoint} holds a LoRA, which vLLM does not apply; merge it into the backbone first: "
            f"mllm export {checkpoint} --out DIR --merge"
        )


def locate_part(id_or_path: str, directory: Path, *, revision: str | None = None) -> Path:
    """The directory of a frozen part.

    Args:
        id_or_path: a path inside the checkpoint, an absolute path, or a name "owner/model".
        directory: of the checkpoint, which a relative path may not leave.
        revision: of a model that is given by name.

    Raises:
        CheckpointError: if nothing is there, or a relative path (or the link it names) leads out of the checkpoint.
    """
    path = Path(id_or_path)
    if path.is_absolute():
        if not path.is_dir():
            raise CheckpointError(f"the frozen part {path} is not there; give where it lies on this machine")
        return path
    inside = directory / path
    if not inside.resolve().is_relative_to(directory.resolve()):
        raise CheckpointError(
            f"{id_or_path!r} leads out of the checkpoint {directory}; "
            "a relative path must stay inside it, anything else must be an absolute path"
        )
    if inside.is_dir():
        return inside
    if is_hub_id(id_or_path, directory):
        return _download(id_or_path, revision)
    raise CheckpointError(f"the checkpoint {directory} names the frozen part {id_or_path!r}, but {inside} is not there")


def is_hub_id(id_or_path: str, directory: Path) -> bool:
    """Whether a frozen part is given by its name on the hub, not by a path."""
    return _HUB_ID.fullmatch(id_or_path) is not None and not (directory / id_or_path).is_dir()


def verify_parts(
    config: MusicLLMConfig,
    directory: Path,
    *,
    elsewhere: Mapping[str, str | Path] | None = None,
    parts: Sequence[str] = FROZEN_PARTS,
) -> dict[str, Path]:
    """Locate every frozen part and compare its content with the hash in the configuration.

    Args:
        config: of the checkpoint.
        directory: of the checkpoint.
        elsewhere: paths to use instead of what the configuration says, by part.
        parts: those that are needed.

    Raises:
        CheckpointError: if a part is not described, absent, or altered.
    """
    elsewhere = elsewhere or {}
    unknown = set(elsewhere) - set(FROZEN_PARTS)
    if unknown:
        raise CheckpointError(f"there is no frozen part {sorted(unknown)}; expected {' or '.join(FROZEN_PARTS)}")
    directories = {}
    for part in parts:
        entry = config.frozen.get(part)
        if entry is None:
            raise CheckpointError(f"{directory / CONFIG_NAME} does not say which {part} it was trained with")
        source = str(Path(elsewhere[part]).absolute()) if part in elsewhere else entry["id_or_path"]
        found_directory = locate_part(source, directory, revision=entry.get("revision"))
        found = content_hash(found_directory)
        if found != entry["sha256"]:
            raise CheckpointError(
                f"the {part} in {found_directory} is not the one that the checkpoint was trained with: "
                f"expected sha256 {entry['sha256']}, found {found}"
            )
        directories[part] = found_directory
    return directories


def describe_part(directory: Path, *, id_or_path: str | None = None, revision: str | None = None) -> dict[str, Any]:
    """The entry of `MusicLLMConfig.frozen` for a part that lies in `directory`; its absolute path unless told."""
    return {
        "id_or_path": str(directory.absolute()) if id_or_path is None else id_or_path,
        "revision": revision,
        "sha256": content_hash(directory),
    }


def load_backbone(directory: Path, *, dtype: torch.dtype | Literal["auto"], **options: Any) -> PreTrainedModel:
    """Open a causal language model strictly, through transformers.

    Args:
        directory: of the model, in the format of transformers.
        dtype: of its weights in memory; what is stored as bfloat16 may be opened as float32. "auto": as stored.
        options: for `from_pretrained`, such as quantization_config, device_map or attn_implementation.

    Raises:
        CheckpointError: if it cannot be opened, or a tensor is missing, extra, or of another shape.
    """
    bar_was_on = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    open_model: Any = AutoModelForCausalLM.from_pretrained
    try:
        model, report = open_model(
            directory,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are in the report, and told below by name
            local_files_only=True,
            trust_remote_code=False,
            **options,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise CheckpointError(f"the language model in {directory} cannot be opened: {error}") from error
    finally:
        if bar_was_on:
            transformers_logging.enable_progress_bar()
    for finding in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report.get(finding):
            names = sorted(str(key) for key in report[finding])
            raise CheckpointError(f"the language model in {directory} has {finding.replace('_', ' ')}: {names[:5]}")
    assert isinstance(model, PreTrainedModel)
    return model


def load_encoder(name: str, directory: Path) -> Any:
    """Open an audio encoder strictly; `name` is its file in mllm/encoders.

    Raises:
        CheckpointError: if its files are absent or do not fit.
        ConfigError: if there is no encoder of that name.
    """
    module = registry.find("encoder", name)
    try:
        return module.Encoder.from_pretrained(directory)
    except ConfigError as error:
        raise CheckpointError(f"the encoder in {directory} cannot be opened: {error}") from error


def load_stated_encoder(config: MusicLLMConfig, directory: Path) -> Any:
    """Open the audio encoder that lies in `directory`, if its settings are those that the checkpoint states.

    Raises:
        CheckpointError: if its files are absent or do not fit, or its settings are others.
    """
    encoder = load_encoder(config.audio_encoder["name"], directory)
    if encoder.config != config.encoder_config:
        raise CheckpointError(
            f"audio_encoder in the checkpoint is {config.encoder_config}, "
            f"but the encoder in {directory} is {encoder.config}"
        )
    return encoder


def check_text_config(stated: PreTrainedConfig, found: PreTrainedConfig, directory: Path) -> None:
    """Compare what a checkpoint states of its backbone with the backbone's own configuration.

    Raises:
        CheckpointError: naming the keys that differ and both values.
    """
    left, right = stated.to_dict(), found.to_dict()
    differing = [
        f"{key}: the checkpoint says {left.get(key)!r}, the language model {right.get(key)!r}"
        for key in sorted(set(left) | set(right))
        if key not in _UNCOMPARED_KEYS and left.get(key) != right.get(key)
        if key != "quantization_config" or not _agree(left.get(key), right.get(key))
    ]
    if differing:
        raise CheckpointError(f"text_config differs from {directory / CONFIG_NAME}: {'; '.join(differing[:5])}")


def _agree(left: Any, right: Any) -> bool:
    """Whether two values are equal, or mappings that agree in every key that both have.

    Where a backbone is quantised, its configuration says how, and who opens it adds the settings that it leaves open.
    """
    if isinstance(left, dict) and isinstance(right, dict):
        return all(_agree(left[key], right[key]) for key in left.keys() & right.keys())
    return bool(left == right)


def _download(name: str, revision: str | None) -> Path:
    # Only a model that is given by name needs the hub's client.
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_HUB_FILES))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"there is no directory {name!r} here and no model of that name could be fetched ({reason}); "
            "give the directory of a model, or download it first"
        ) from error
