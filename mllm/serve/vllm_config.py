"""What vLLM asks of a model before anything is loaded: here, that chats go through our own prompt rules.

In: vLLM's configuration of a model. Out: the same, completed. Knows nothing of weights or audio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm.model_executor.models.config import VerifyAndUpdateConfig

from mllm.serve import CHAT_MODE

if TYPE_CHECKING:
    from vllm.config import ModelConfig


class MusicLLMModelConfig(VerifyAndUpdateConfig):
    """Completes the configuration of our model."""

    @staticmethod
    def verify_and_update_model_config(model_config: ModelConfig) -> None:
        """Choose `CHAT_MODE` unless another mode of tokenizer was asked for."""
        if model_config.tokenizer_mode == "auto":
            model_config.tokenizer_mode = CHAT_MODE
