"""The model that a training begins with: a checkpoint that is there, or one that is put together first.

In: the settings of a run. Out: the directory of a checkpoint, and from it the model in training form on every process.
Knows nothing of data, schedules or losses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer

from mllm import checkpoint, contract
from mllm.errors import CheckpointError, ConfigError
from mllm.items import Catalogue
from mllm.listener import find_model
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.train import launch
from mllm.train.run_config import TRAINED, ModelSection, RunConfig

START = "start"
_CARD = "# Not trained yet\n\nWhat a training begins with.\n"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEFAULT_ITEM_ADAPTER = {"name": "mlp"}


def start_checkpoint(run: RunConfig, work: Path) -> Path:
    """The checkpoint that the run begins with; made in the working directory where parts have to be put together.

    Raises:
        CheckpointError: a part is absent or altered.
        ConfigError: parts do not fit each other.
    """
    made = work / START
    if (made / contract.CONFIG_NAME).is_file():
        return made
    if run.model.backbone is None:
        directory = contract.find_checkpoint(find_model(run.model.start))
        if not _lacks_part(contract.read_config(directory), run):
            return directory
    model, processor = unsaved(run)
    checkpoint.save(model, processor, made, card=_CARD, run={"parts": run.plain()["model"]})
    return made


def unsaved(
    run: RunConfig, device: torch.device | None = None
) -> tuple[MusicLLMForConditionalGeneration, MusicLLMProcessor]:
    """What `start_checkpoint` saves, in memory only.

    Args:
        run: its settings.
        device: where the backbone goes, in the form in which it is trained; None: to the CPU, as it is saved.

    Raises:
        CheckpointError: a part is absent or altered.
        ConfigError: parts do not fit each other.
    """
    form: dict[str, Any] = {"dtype": dtype_of(run.model, launch.device() if device is None else device)}
    if device is not None:
        form |= {"device": device, "quantisation": run.model.quantisation}
    if run.model.backbone is not None:
        model, processor = _assemble(run, form)
    else:
        model, processor = checkpoint.load(contract.find_checkpoint(find_model(run.model.start)), **form)
    model = _with_parts(model, run)
    return model, MusicLLMProcessor.from_config(model.config, processor.tokenizer)


def trained_names(model: MusicLLMForConditionalGeneration, stage: str) -> tuple[str, ...]:
    """Names of the parts that a stage trains, as far as the model has them."""
    return tuple(name for name in TRAINED[stage] if name != "layer_mix" or model.layer_mix is not None)


def open_model(
    directory: Path, run: RunConfig, device: torch.device
) -> tuple[MusicLLMForConditionalGeneration, MusicLLMProcessor]:
    """The model without its encoder, with what the stage trains set to learn.

    Raises:
        CheckpointError: the checkpoint, or a frozen part of it, is absent or altered.
        ConfigError: the stage trains what the model does not have.
    """
    model, processor = checkpoint.load(
        directory,
        dtype=dtype_of(run.model, device),
        device=device,
        with_encoder=False,
        quantisation=run.model.quantisation,
        attention=run.model.attention,
    )
    model.freeze(trained_names(model, run.stage))
    return model, processor


def dtype_of(model: ModelSection, device: torch.device) -> torch.dtype:
    """Of the backbone in memory."""
    if model.dtype is not None:
        return DTYPES[model.dtype]
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def _lacks_part(config: object, run: RunConfig) -> bool:
    return (run.stage == "lora" and getattr(config, "lora", None) is None) or (
        run.stage == "items" and getattr(config, "item_adapter", None) is None
    )


def _with_parts(model: MusicLLMForConditionalGeneration, run: RunConfig) -> MusicLLMForConditionalGeneration:
    """The model with the LoRA or the item adapter that the stage trains, if it has none."""
    if run.stage == "lora" and model.config.lora is None:
        return checkpoint.with_parts(model, lora=dataclasses.asdict(run.lora), seed=run.train.seed)
    if run.stage == "items" and model.config.item_adapter is None:
        if model.config.item_token is None:
            raise ConfigError(
                "the model has no item_token, so prompts have no place for items; start from one that has"
            )
        assert run.data.catalog is not None
        space = Catalogue.open(run.data.catalog).space
        adapter = run.item_adapter or DEFAULT_ITEM_ADAPTER
        return checkpoint.with_parts(
            model, item_adapter=adapter, item_space=dataclasses.asdict(space), seed=run.train.seed
        )
    return model


def _assemble(run: RunConfig, form: Mapping[str, Any]) -> tuple[MusicLLMForConditionalGeneration, MusicLLMProcessor]:
    section = run.model
    assert section.backbone is not None
    assert section.audio_encoder is not None
    assert run.adapter is not None
    here = Path.cwd()
    backbone = contract.locate_part(
        section.backbone if contract.is_hub_id(section.backbone, here) else str(Path(section.backbone).absolute()), here
    )
    try:
        tokenizer = AutoTokenizer.from_pretrained(backbone, local_files_only=True, trust_remote_code=False)
        settings = AutoConfig.from_pretrained(backbone, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"the language model in {backbone} cannot be opened: {error}") from error
    vocabulary = max(len(tokenizer), settings.get_text_config().vocab_size)
    known = tokenizer.get_vocab()
    model = checkpoint.assemble(
        backbone=section.backbone,
        audio_encoder=section.audio_encoder,
        encoder_name=section.encoder,
        adapter=run.adapter,
        chat_template=section.chat_template,
        seed=run.train.seed,
        audio_token=section.audio_token,
        audio_token_id=known.get(section.audio_token, vocabulary),
        audio_start=section.audio_start,
        audio_end=section.audio_end,
        item_token=section.item_token,
        item_token_id=known.get(section.item_token, vocabulary + 1),
        max_windows=section.max_windows,
        layer_mix=section.layer_mix,
        **form,
    )
    return model, MusicLLMProcessor.from_config(model.config, tokenizer)
