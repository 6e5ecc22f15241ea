"""Frozen backbones in 8 or 4 bits a weight, for training on top of them: bitsandbytes quantises while it loads.

In: the directory of a language model, stored unquantised. Out: the model with its linear layers quantised, in memory
only: its configuration says nothing of it, since the checkpoint that is trained belongs to the stored weights. Knows
nothing of audio or of training loops.
"""

from __future__ import annotations

import importlib.util
import logging
import typing
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoConfig, BitsAndBytesConfig, PreTrainedModel

from mllm import contract
from mllm.errors import CheckpointError, ConfigError
from mllm.settings import near

Quantisation = Literal["int8", "nf4"]
"""int8: a whole number and a scale a row, activations rounded too. nf4: 4 bits, and scales that are quantised again."""
NEEDED = ("bitsandbytes", "accelerate")
_INT8_LOGGER = "bitsandbytes.autograd._functions"
_CAST_MESSAGE = "MatMul8bitLt: inputs will be cast"


def load_backbone(
    directory: Path, *, dtype: torch.dtype | Literal["auto"], quantisation: Quantisation | None, **options: Any
) -> PreTrainedModel:
    """Open a causal language model strictly, quantised or as it is stored.

    Args:
        directory: of the model, in the format of transformers.
        dtype: of what is not quantised, and of what is computed.
        quantisation: None opens it as it is stored.
        options: for `contract.load_backbone`; without a device_map, a quantised model goes to the CPU.

    Raises:
        CheckpointError: if it cannot be opened, or is to be quantised and is stored quantised.
        ConfigError: if the quantisation is unknown or bitsandbytes is not installed.
    """
    if quantisation is None:
        return contract.load_backbone(directory, dtype=dtype, **options)
    settings = _settings(quantisation, dtype)
    _check_stored_whole(directory, quantisation)
    options.setdefault("device_map", {"": "cpu"})
    model = contract.load_backbone(directory, dtype=dtype, quantization_config=settings, **options)
    del model.config.quantization_config
    _keep_gradients(model)
    logging.getLogger(_INT8_LOGGER).addFilter(_is_no_cast_message)
    return model


def _settings(quantisation: str, dtype: torch.dtype | Literal["auto"]) -> BitsAndBytesConfig:
    known = typing.get_args(Quantisation)
    if quantisation not in known:
        raise ConfigError(
            f"quantisation is {quantisation!r}{near(quantisation, known)}; expected {' or '.join(known)}, or none"
        )
    for library in NEEDED:
        if importlib.util.find_spec(library) is None:
            raise ConfigError(
                f"a quantised backbone needs {library}, which is not installed: pip install 'mllm-music[train]'"
            )
    if quantisation == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _check_stored_whole(directory: Path, quantisation: str) -> None:
    try:
        stored = AutoConfig.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"the language model in {directory} cannot be opened: {error}") from error
    if getattr(stored, "quantization_config", None) is not None:
        raise CheckpointError(
            f"the language model in {directory} is stored quantised and cannot be quantised to {quantisation} once "
            "more; leave the quantisation out"
        )


def _keep_gradients(model: PreTrainedModel) -> None:
    """Keep 4-bit layers as they are for good.

    On processors with AVX512-BF16, bitsandbytes packs a layer anew in its first pass without gradients, such as an
    evaluation, and from then on no gradient flows through it: what is trained stops learning, silently.
    """
    from bitsandbytes.nn.modules import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _is_no_cast_message(record: logging.LogRecord) -> bool:
    """False for what each int8 layer says in each step: that it rounds its input, which is what was asked for."""
    return not str(record.msg).startswith(_CAST_MESSAGE)
