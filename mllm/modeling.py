"""The model: a frozen language model whose placeholders are filled with soft tokens of the audio and items it is given.

In: token ids with placeholders; the audio as waveforms, as encoder features or as soft tokens; catalogue items as
features or as soft tokens. Out: what the language model returns. Does not know prompts, tokenizers, audio files,
catalogues or training loops.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from mllm import answer_loss, contract, lora, quantised
from mllm.absent_encoder import AbsentEncoder
from mllm.configuration import FROZEN_PARTS, MusicLLMConfig
from mllm.errors import CheckpointError, ConfigError, PromptError
from mllm.learning import Learning
from mllm.quantised import Quantisation
from mllm.strict_io import read_tensors, write_json, write_tensors
from mllm.window_batches import repeat_by_row

WEIGHTS_NAME = "adapter_model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
"""Tells transformers' Trainer, when it resumes, that the weights to load are those in `WEIGHTS_NAME`."""
AUDIO_INPUTS = ("audio_waveforms", "audio_features", "audio_embeds")
ITEM_INPUTS = ("item_features", "item_embeds")


class MusicLLMForConditionalGeneration(Learning, PreTrainedModel, GenerationMixin):
    """A causal language model that hears; see `forward`.

    Args:
        config: of the model.
        language_model: an already loaded backbone; None builds one with random weights from `config.text_config`.
        audio_encoder: an already loaded encoder; None builds one with random weights from `config.audio_encoder`.

    Raises:
        ConfigError: if a rate in `config` is not what the encoder or the adapter runs at, or the backbone cannot have
            the LoRA of `config`.
    """

    config_class = MusicLLMConfig
    config: MusicLLMConfig
    if TYPE_CHECKING:
        # transformers types the receiver of `generate` as a protocol that is not met by its own models.
        generate: Any
    input_modalities = ["audio", "text"]  # noqa: RUF012 (transformers' own form)
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012 (transformers turns it into a set itself)

    def __init__(
        self,
        config: MusicLLMConfig,
        language_model: Any = None,
        audio_encoder: Any = None,
    ) -> None:
        super().__init__(config)
        if language_model is None:
            language_model = AutoModelForCausalLM.from_config(config.text_config)
        config.text_config = language_model.config
        self.language_model = language_model
        self.build_hearing(config, audio_encoder)
        self._inject_lora(config)
        self.post_init()  # type: ignore[no-untyped-call]
        self._complete()

    def init_weights(self) -> None:
        """Nothing: every part has set its own weights, and one that was loaded must keep them."""

    def extend(self, config: MusicLLMConfig) -> None:
        """Give the model, in place, the parts that `config` names and that it does not have: items, a LoRA.

        Args:
            config: the model's own, with these parts added.

        Raises:
            ConfigError: if the backbone cannot have the LoRA of `config`.
        """
        config.text_config = self.language_model.config
        if self.item_adapter is None:
            self.build_item_adapter(config)
        if self.config.lora is None:
            self._inject_lora(config)
        self.config = config
        self._complete()

    def get_input_embeddings(self) -> nn.Module:
        """The backbone's token embedding."""
        embedding: nn.Module = self.language_model.get_input_embeddings()
        return embedding

    def get_output_embeddings(self) -> nn.Module | None:
        """The backbone's output layer."""
        layer: nn.Module | None = self.language_model.get_output_embeddings()
        return layer

    def forward(
        self,
        input_ids: Int[Tensor, "batch text"] | None = None,
        attention_mask: Int[Tensor, "batch all_text"] | None = None,
        position_ids: Int[Tensor, "batch text"] | None = None,
        past_key_values: Any = None,
        inputs_embeds: Float[Tensor, "batch text width"] | None = None,
        labels: Int[Tensor, "batch text"] | None = None,
        audio_waveforms: Sequence[Float[Tensor, " samples"]] | None = None,
        audio_features: Sequence[Float[Tensor, "layers frames encoder_width"]] | None = None,
        audio_embeds: Sequence[Float[Tensor, "tokens width"]] | None = None,
        item_features: Sequence[Float[Tensor, "rows item_width"]] | None = None,
        item_embeds: Sequence[Float[Tensor, "tokens width"]] | None = None,
        logits_to_keep: int | Tensor = 0,
        skip_logits: bool | None = None,
        **options: Any,
    ) -> CausalLMOutputWithPast:
        """The language model's output for text with audio and items in the places of their placeholders.

        Args:
            input_ids: token ids; each `config.audio_token_id` is the place of one soft token of audio, each
                `config.item_token_id` of one of an item.
            attention_mask: 1 for a token, 0 for padding on either side; over the cache as well where there is one.
            position_ids: positions; by default those of the mask where there is audio, else the backbone's own.
            past_key_values: cache of the backbone.
            inputs_embeds: instead of `input_ids`: embeddings in which the soft tokens stand already.
            labels: ids to learn, -100 where nothing is learnt.
            audio_waveforms: one window an entry, in the order of the placeholders over the whole batch.
            audio_features: the same, as `encode_audio` gives them.
            audio_embeds: the same, as `soft_tokens` gives them.
            item_features: one catalogue item an entry, in the order of their placeholders over the whole batch.
            item_embeds: the same, as `item_tokens` gives them.
            logits_to_keep: compute the logits of that many last tokens only; 0 for all.
            skip_logits: with labels, compute the loss from the positions that are learnt only and return no logits,
                where the head allows it (`answer_loss.has_plain_head`); None: in training mode.
            options: handed to the backbone, `num_items_in_batch` (which divides the loss) among them.

        Raises:
            PromptError: if the soft tokens are not as many as their places, more than one form of audio or of items is
                given, or items are given to a model that takes none.
        """
        soft = {
            "audio": self._soft_tokens_of(audio_waveforms, audio_features, audio_embeds),
            "items": self._item_tokens_of(item_features, item_embeds),
        }
        continues = past_key_values is not None and past_key_values.get_seq_length() > 0
        if input_ids is not None and (any(soft.values()) or not continues):
            inputs_embeds = self._fill_places(input_ids, soft)
        if inputs_embeds is not None and input_ids is not None:
            input_ids = None
            if position_ids is None and attention_mask is not None and attention_mask.ndim == 2:
                position_ids = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -inputs_embeds.shape[1] :]
        options.update(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
        )
        if skip_logits is None:
            skip_logits = self.training
        skip_logits = skip_logits and "shift_labels" not in options and answer_loss.has_plain_head(self.language_model)
        if skip_logits and labels is not None:
            return answer_loss.output_with_loss(self.language_model, labels, **options)
        output: CausalLMOutputWithPast = self.language_model(labels=labels, logits_to_keep=logits_to_keep, **options)
        return output

    def prepare_inputs_for_generation(  # type: ignore[override]
        self, *args: Any, is_first_iteration: bool = False, **kwargs: Any
    ) -> Any:
        """Inputs of one step of `generate`; with a cache the soft tokens are given in the first step only."""
        if kwargs.get("use_cache", True) and not is_first_iteration:
            kwargs = {key: value for key, value in kwargs.items() if key not in (*AUDIO_INPUTS, *ITEM_INPUTS)}
        prepare: Any = super().prepare_inputs_for_generation  # type: ignore[misc]
        return prepare(*args, is_first_iteration=is_first_iteration, **kwargs)

    def _expand_inputs_for_generation(  # type: ignore[override]
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Hear the audio and read the items once, before the first step; repeat them for every beam or sequence."""
        soft = {
            "audio_embeds": self._soft_tokens_of(*(kwargs.pop(name, None) for name in AUDIO_INPUTS)),
            "item_embeds": self._item_tokens_of(*(kwargs.pop(name, None) for name in ITEM_INPUTS)),
        }
        markers = {"audio_embeds": self.config.audio_token_id, "item_embeds": self.config.item_token_id}
        for name, embeds in soft.items():
            if embeds and input_ids is not None:
                places = (input_ids == markers[name]).sum(-1).tolist()
                kwargs[name] = repeat_by_row(embeds, places, expand_size)
        expand: Any = super()._expand_inputs_for_generation  # type: ignore[misc]
        expanded: tuple[Tensor, dict[str, Any]] = expand(
            expand_size=expand_size, is_encoder_decoder=is_encoder_decoder, input_ids=input_ids, **kwargs
        )
        return expanded

    def save_pretrained(  # type: ignore[override]
        self,
        save_directory: str | Path,
        is_main_process: bool = True,
        state_dict: Mapping[str, Tensor] | None = None,
        **options: Any,  # noqa: ARG002 (sharding and its kin have no meaning for one small file)
    ) -> None:
        """Write the trained tensors and the contract; the frozen parts stay where they are.

        Args:
            save_directory: made where it is absent.
            is_main_process: only the main process of several writes.
            state_dict: the model's tensors where they had to be gathered first (DeepSpeed ZeRO-3).
            options: what else transformers hands over, unused.
        """
        if not is_main_process:
            return
        directory = Path(save_directory)
        directory.mkdir(parents=True, exist_ok=True)
        source = self.state_dict() if state_dict is None else state_dict
        names = list(self.trained_parts().state_dict())
        tensors = {name: source[name].detach().cpu().contiguous() for name in names}
        write_tensors(tensors, directory / WEIGHTS_NAME)
        size = sum(tensor.nbytes for tensor in tensors.values())
        index = {"metadata": {"total_size": size}, "weight_map": dict.fromkeys(names, WEIGHTS_NAME)}
        write_json(index, directory / INDEX_NAME)
        self.config_for(directory).save_pretrained(directory)

    def config_for(self, directory: Path) -> MusicLLMConfig:
        """The configuration as it is written into `directory`: a frozen part that lies inside gets a relative path."""
        config = copy.deepcopy(self.config)
        config.architectures = [type(self).__name__]
        config.text_config.name_or_path = ""
        for entry in config.frozen.values():
            path = Path(entry["id_or_path"])
            if path.is_absolute() and path.resolve().is_relative_to(directory.resolve()):
                entry["id_or_path"] = path.resolve().relative_to(directory.resolve()).as_posix()
        return config

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        config: MusicLLMConfig | None = None,
        dtype: torch.dtype | Literal["auto"] = torch.float32,
        revision: str | None = None,
        frozen: Mapping[str, str | Path] | None = None,
        with_encoder: bool = True,
        quantisation: Quantisation | None = None,
        **options: Any,
    ) -> Self:
        """Open a checkpoint strictly, its frozen parts included, in evaluation mode.

        Args:
            pretrained_model_name_or_path: directory of a checkpoint, or a name on the hub.
            config: settings to use instead of the checkpoint's own.
            dtype: of the backbone in memory; "auto": as it is stored. Encoder and trained parts are float32: they are
                small, and they learn.
            revision: of a name on the hub.
            frozen: directories of frozen parts that lie elsewhere than the checkpoint says; the content must agree.
            with_encoder: False leaves the audio encoder out, whose files need not be there: audio is then given as
                features or as soft tokens.
            quantisation: of the frozen backbone in memory, for training.
            options: for the backbone's own `from_pretrained`: device_map, attn_implementation.

        Raises:
            CheckpointError: saying what was expected and what was found.
            ConfigError: if the quantisation is unknown, or a library that it needs is not installed.
        """
        for hub_option in _AUTO_CLASS_OPTIONS:
            options.pop(hub_option, None)
        directory = contract.find_checkpoint(pretrained_model_name_or_path, revision=revision)
        config = contract.read_config(directory) if config is None else config
        needed = FROZEN_PARTS if with_encoder else tuple(part for part in FROZEN_PARTS if part != "audio_encoder")
        parts = contract.verify_parts(config, directory, elsewhere=frozen, parts=needed)
        language_model = quantised.load_backbone(parts["backbone"], dtype=dtype, quantisation=quantisation, **options)
        contract.check_text_config(config.text_config, language_model.config, parts["backbone"])
        if with_encoder:
            encoder = contract.load_stated_encoder(config, parts["audio_encoder"])
        else:
            encoder = AbsentEncoder(config.encoder_module, config.encoder_config)
        try:
            model = cls(config, language_model, encoder)
        except ConfigError as error:
            raise CheckpointError(f"{directory / contract.CONFIG_NAME}: {error}") from error
        read_tensors(model.trained_parts(), directory / WEIGHTS_NAME)
        for name, entry in config.frozen.items():
            if name in (frozen or {}) or not contract.is_hub_id(entry["id_or_path"], directory):
                entry["id_or_path"] = str(parts.get(name, directory / entry["id_or_path"]).absolute())
        config.name_or_path = str(directory)
        if language_model.device.type != "cpu":
            for module in (model.audio_encoder, *model.trained_parts().values()):
                module.to(language_model.device)
        model.train(False)
        return model

    def _soft_tokens_of(
        self,
        waveforms: Sequence[Tensor] | None,
        features: Sequence[Tensor] | None,
        embeds: Sequence[Tensor] | None,
    ) -> list[Tensor]:
        _check_one_form("audio was", AUDIO_INPUTS, (waveforms, features, embeds))
        if waveforms:
            features = self.encode_audio(waveforms)
        return self.soft_tokens(features) if features else list(embeds or ())

    def _item_tokens_of(self, features: Sequence[Tensor] | None, embeds: Sequence[Tensor] | None) -> list[Tensor]:
        _check_one_form("items were", ITEM_INPUTS, (features, embeds))
        return self.item_tokens(features) if features else list(embeds or ())

    def _fill_places(self, input_ids: Tensor, soft: Mapping[str, Sequence[Tensor]]) -> Tensor | None:
        """Token embeddings with the soft tokens in their places; None for plain text, which needs nothing done."""
        is_place = {
            "audio": input_ids == self.config.audio_token_id,
            "items": input_ids == (-1 if self.item_adapter is None else self.config.item_token_id),
        }  # (B, S) each
        for kind, embeds in soft.items():
            places, given = int(is_place[kind].sum()), sum(len(tokens) for tokens in embeds)
            if places != given:
                verb, count = ("makes", "windows") if kind == "audio" else ("make", "items")
                raise PromptError(
                    f"the prompt has {places} places for soft tokens, but the {kind} given {verb} {given} "
                    f"in {len(embeds)} {count}; build both from the same {kind}"
                )
        if not any(soft.values()):
            return None
        # A placeholder may lie past the vocabulary, so any known id stands in for it while the text is looked up.
        filled: Tensor = self.get_input_embeddings()(input_ids.masked_fill(is_place["audio"] | is_place["items"], 0))
        for kind, embeds in soft.items():
            if embeds:
                tokens = torch.cat([one.to(filled.device, filled.dtype) for one in embeds])  # (N, H)
                filled = filled.masked_scatter(is_place[kind][..., None], tokens)
        return filled

    def _inject_lora(self, config: MusicLLMConfig) -> None:
        """Put the LoRA of `config`, if it has one, into the backbone; targets that it leaves open are filled in."""
        settings = config.lora_settings
        if settings is not None:
            config.lora = lora.inject(self.language_model, settings).to_dict()

    def _complete(self) -> None:
        """What follows from the parts that are there."""
        self.generation_config = self._generation_defaults()
        self._keys_to_ignore_on_save = set(self.state_dict()) - set(self.trained_parts().state_dict())
        self.freeze()

    def _generation_defaults(self) -> Any:
        """The backbone's own defaults; a placeholder is never an answer."""
        defaults = copy.deepcopy(self.language_model.generation_config)
        reserved = self.config.reserved_token_ids
        if reserved:
            defaults.suppress_tokens = sorted({*reserved, *(defaults.suppress_tokens or ())})
        return defaults


def _check_one_form(what: str, names: Sequence[str], values: Sequence[object]) -> None:
    given = [name for name, value in zip(names, values, strict=True) if value]
    if len(given) > 1:
        raise PromptError(f"{what} given as {' and as '.join(given)}; give one of them")


_AUTO_CLASS_OPTIONS = (
    "_from_auto",
    "adapter_kwargs",
    "cache_dir",
    "force_download",
    "local_files_only",
    "proxies",
    "subfolder",
    "token",
    "trust_remote_code",
)
"""What `AutoModelForCausalLM.from_pretrained` hands over that means nothing here: no code is ever fetched."""


AutoModelForCausalLM.register(MusicLLMConfig, MusicLLMForConditionalGeneration, exist_ok=True)
AutoModel.register(MusicLLMConfig, MusicLLMForConditionalGeneration, exist_ok=True)
