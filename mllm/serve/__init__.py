"""Serving through vLLM: what its plug-in mechanism calls. In: nothing. Out: entries in vLLM's registries.

Knows only names; what they stand for is imported when vLLM needs it.
"""

from __future__ import annotations

ARCHITECTURE = "MusicLLMForConditionalGeneration"
CHAT_MODE = "mllm"
"""vLLM's `tokenizer_mode` in which conversations become prompts by the rules of `mllm.prompt`."""


def register() -> None:
    """Make the model known to vLLM: entry point of `vllm.general_plugins`.

    vLLM calls it in each of its processes, in some more than once.
    """
    from vllm import ModelRegistry
    from vllm.model_executor.models.config import MODELS_CONFIG_MAP
    from vllm.renderers.registry import RENDERER_REGISTRY
    from vllm.tokenizers.registry import TokenizerRegistry

    from mllm import configuration  # noqa: F401 (registers the configuration with transformers)
    from mllm.serve.vllm_config import MusicLLMModelConfig

    if ARCHITECTURE not in ModelRegistry.get_supported_archs():
        ModelRegistry.register_model(ARCHITECTURE, "mllm.serve.vllm_model:MusicLLMForConditionalGeneration")
    if CHAT_MODE not in TokenizerRegistry.tokenizers:
        TokenizerRegistry.register(CHAT_MODE, "vllm.tokenizers.hf", "CachedHfTokenizer")
    if CHAT_MODE not in RENDERER_REGISTRY.renderers:
        RENDERER_REGISTRY.register(CHAT_MODE, "mllm.serve.vllm_chat", "MusicLLMRenderer")
    MODELS_CONFIG_MAP.setdefault(ARCHITECTURE, MusicLLMModelConfig)
