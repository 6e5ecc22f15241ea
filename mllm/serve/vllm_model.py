"""The model as vLLM runs it: any backbone that vLLM knows, any encoder and adapter of ours.

In: a checkpoint, and what `mllm.serve.vllm_inputs` makes of a request. Out: hidden states and logits. The hearing parts
are those of the model for transformers (`mllm.hearing`), in float32; the backbone is vLLM's own. Knows no prompts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoConfig
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader
from vllm.model_executor.models.interfaces import SupportsLoRA, SupportsMultiModal, SupportsPP
from vllm.model_executor.models.module_mapping import MultiModelKeys
from vllm.model_executor.models.utils import init_vllm_registered_model, maybe_prefix
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.utils.torch_utils import set_default_torch_dtype

from mllm import contract
from mllm.configuration import MusicLLMConfig
from mllm.hearing import Hearing
from mllm.modeling import WEIGHTS_NAME
from mllm.serve.vllm_adapter_lora import AdapterLoras
from mllm.serve.vllm_inputs import MusicLLMDummyInputs, MusicLLMInputs, MusicLLMProcessingInfo
from mllm.strict_io import fill

if TYPE_CHECKING:
    from vllm.config import VllmConfig

_FROM_BACKBONE = "backbone/"
"""Stands before the names of tensors that were read from the backbone's own files, and before no others."""


@MULTIMODAL_REGISTRY.register_processor(MusicLLMInputs, info=MusicLLMProcessingInfo, dummy_inputs=MusicLLMDummyInputs)
class MusicLLMForConditionalGeneration(Hearing, nn.Module, SupportsMultiModal, SupportsPP, SupportsLoRA):
    """A causal language model that hears, for vLLM; a request may ask for a LoRA of the backbone and of the adapters.

    The latter are applied where vLLM runs with `--enable-tower-connector-lora`, and else refused.
    """

    supports_tower_connector_lora = True
    reserved_token_ids: Tensor

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:  # noqa: ARG003
        """No text stands for a recording: prompts are made by `mllm.serve.vllm_chat`."""
        raise ValueError(f"{modality} needs our own prompts; leave --tokenizer-mode out, or set it to mllm")

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        model_config = vllm_config.model_config
        self.config: MusicLLMConfig = model_config.hf_config
        contract.check_servable(self.config, model_config.model)
        self._checkpoint = contract.find_checkpoint(model_config.model, revision=model_config.revision)
        with set_default_torch_dtype(torch.float32):
            self.build_hearing(self.config)
        loras = vllm_config.lora_config
        self._loras: AdapterLoras | None = None
        if loras is not None and loras.enable_tower_connector_lora:
            self._loras = AdapterLoras([self.audio_adapter, self.item_adapter])
        with self._mark_language_model(vllm_config):  # type: ignore[operator]  # of vLLM, which mypy does not see
            self.language_model = init_vllm_registered_model(
                vllm_config=vllm_config,
                hf_config=self.config.text_config,
                prefix=maybe_prefix(prefix, "language_model"),
            )
        self.make_empty_intermediate_tensors = self.language_model.make_empty_intermediate_tensors
        reserved = torch.tensor(self.config.reserved_token_ids, dtype=torch.long)
        self.register_buffer("reserved_token_ids", reserved, persistent=False)

    def get_mm_mapping(self) -> MultiModelKeys:
        """Which parts are what. A LoRA that names layers of the encoder is refused."""
        return MultiModelKeys.from_string_field(
            language_model="language_model", connector=["audio_adapter", "item_adapter"], tower_model="audio_encoder"
        )

    def get_mm_lora_token_counts(
        self,
        *,
        modality: str,  # noqa: ARG002
        mm_kwargs: Any,
        num_mm_embeds: int,
    ) -> tuple[int, int]:
        """How long the encoder's and the adapter's entries are in the mapping from places to LoRAs: 1 each.

        Args:
            modality: of the recording or item.
            mm_kwargs: its inputs; None where vLLM asks how much room it has to keep.
            num_mm_embeds: its soft tokens.
        """
        if mm_kwargs is None:
            return num_mm_embeds, num_mm_embeds
        assert self._loras is not None
        self._loras.starts_anew()
        return 1, 1

    def embed_multimodal(
        self,
        audio_waveforms: Sequence[Float[Tensor, "windows samples"]] | None = None,
        audio_embeds: Sequence[Float[Tensor, "tokens width"]] | None = None,
        item_features: Sequence[Float[Tensor, "rows item_width"]] | None = None,
        **others: object,
    ) -> Sequence[Float[Tensor, "tokens width"]]:
        """Soft tokens of each recording, then of each item, in the order given.

        Args:
            audio_waveforms: for each recording its windows, which are of one length.
            audio_embeds: instead: soft tokens that are there already.
            item_features: for each catalogue item its features.
            others: nothing.
        """
        assert not others, f"unknown inputs {sorted(others)}"
        found: list[Tensor] = []
        if audio_embeds is not None:
            found += self._read(audio_embeds, list)
        if audio_waveforms is not None:
            found += self._read(audio_waveforms, self._tokens_of_recordings)
        if item_features is not None:
            found += self._read(item_features, self.item_tokens)
        return found

    def _read(self, inputs: Sequence[Any], tokens_of: Callable[[list[Any]], Sequence[Tensor]]) -> Sequence[Tensor]:
        """Soft tokens of recordings or items, each with the adapters' LoRA of its request, if there may be any."""
        if self._loras is None:
            return tokens_of(list(inputs))
        manager = getattr(self, "lora_manager", None)  # which vLLM gives the model once there can be LoRAs
        told = None if manager is None else manager.punica_wrapper_mapping.get("audio_adapter")
        return self._loras.read(told, inputs, tokens_of)

    def _tokens_of_recordings(self, recordings: list[Float[Tensor, "windows samples"]]) -> list[Tensor]:
        windows = [window for recording in recordings for window in recording]
        tokens = iter(self.soft_tokens(self.encode_audio(windows)))
        return [torch.cat([next(tokens) for _ in recording]) for recording in recordings]

    def forward(
        self,
        input_ids: Int[Tensor, " text"] | None,
        positions: Int[Tensor, " text"],
        intermediate_tensors: Any = None,
        inputs_embeds: Float[Tensor, "text width"] | None = None,
        **options: object,
    ) -> Any:
        """Hidden states of the backbone for the tokens of all requests of a step, one after the other."""
        return self.language_model(input_ids, positions, intermediate_tensors, inputs_embeds=inputs_embeds, **options)

    def compute_logits(self, hidden_states: Float[Tensor, "tokens width"]) -> Float[Tensor, "tokens words"] | None:
        """Logits; a placeholder is never an answer. None where another process has them."""
        logits: Tensor | None = self.language_model.compute_logits(hidden_states)
        return logits if logits is None else logits.index_fill_(-1, self.reserved_token_ids, -torch.inf)

    @functools.cached_property
    def _contract(self) -> tuple[MusicLLMConfig, dict[str, Path]]:
        """The checkpoint's configuration and the directories of its frozen parts, whose hashes agree."""
        config = contract.read_config(self._checkpoint)
        return config, contract.verify_parts(config, self._checkpoint)

    @property
    def secondary_weights(self) -> tuple[DefaultModelLoader.Source, ...]:
        """Where vLLM's loader finds the backbone, which it reads beside the files of the checkpoint itself.

        Raises:
            CheckpointError: a frozen part is absent or altered.
        """
        directory = str(self._contract[1]["backbone"])
        return (DefaultModelLoader.Source(directory, revision=None, prefix=_FROM_BACKBONE),)

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Fill the model strictly: the trained parts from the checkpoint, the frozen ones from where it says.

        Args:
            weights: of the checkpoint, and of the backbone as `secondary_weights` names them.

        Returns:
            The names of all parameters that were filled; vLLM refuses to go on if one of the model is not there.

        Raises:
            CheckpointError: if a part is absent or altered, or a tensor missing, extra or of another shape.
        """
        config, parts = self._contract
        trained: dict[str, Tensor] = {}

        def of_backbone() -> Iterator[tuple[str, Tensor]]:
            for name, tensor in weights:
                if name.startswith(_FROM_BACKBONE):
                    yield name.removeprefix(_FROM_BACKBONE), tensor
                else:
                    trained[name] = tensor

        loaded = {f"language_model.{name}" for name in self.language_model.load_weights(of_backbone())}
        stored = AutoConfig.from_pretrained(parts["backbone"], local_files_only=True)
        contract.check_text_config(config.text_config, stored, parts["backbone"])
        encoder = contract.load_stated_encoder(config, parts["audio_encoder"])
        self.audio_encoder.load_state_dict(encoder.state_dict(), strict=True)
        fill(self.trained_parts(), trained, self._checkpoint / WEIGHTS_NAME)
        return loaded | {name for name, _ in self.named_parameters() if not name.startswith("language_model.")}
