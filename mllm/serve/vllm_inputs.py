"""What vLLM does with the audio and the items of a request: placeholders become places for their soft tokens.

In: `multi_modal_data={"audio": …, "item": …}`, one or a list of each. An audio is a `mllm.messages.Audio`, samples
(one-dimensional, at the model's rate) or a pair (samples, rate in Hz); where vLLM runs with `--enable-mm-embeds`, a
list of tensors of soft tokens (tokens, width). An item is its id in the catalogue, or its features (rows, width). Out:
the windows that `MusicLLMProcessor` cuts and the features, as for transformers. A recording or an item is known again
by its content, so that vLLM's caches hold what came of it. Knows no weights.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BatchFeature
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItems
from vllm.multimodal.parse import (
    AudioEmbeddingItems,
    MultiModalDataItems,
    MultiModalDataParser,
    ProcessorBatchItems,
)
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdate,
)
from vllm.multimodal.processing.inputs import ProcessorInputs

from mllm import checkpoint, contract
from mllm.configuration import MusicLLMConfig
from mllm.errors import AudioError, MllmError
from mllm.items import Catalogue, ItemSpace, open_for
from mllm.listener import as_audio
from mllm.messages import Audio
from mllm.processing import HeardElsewhere, MusicLLMProcessor
from mllm.serve.vllm_errors import RefusedError
from mllm.serve_settings import ServeSettings
from mllm.sounds import identity_of


class RecordingItems(ProcessorBatchItems[Audio]):
    """The recordings of one prompt, in order."""

    def __init__(self, data: Sequence[Audio]) -> None:
        super().__init__(data, "audio")

    def get_item_for_hash(self, index: int) -> object:
        """What tells one recording from another: the hash of its content, and the stretch that is heard."""
        recording = self.get(index)
        return (identity_of(recording), recording.start, recording.end)


class CatalogueItems(ProcessorBatchItems[Tensor]):
    """The features of the catalogue items of one prompt, in order; (rows, width) each."""

    def __init__(self, data: Sequence[Tensor]) -> None:
        super().__init__(data, "item")


class PartsParser(MultiModalDataParser):
    """Turns what a request holds under "audio" and "item" into vLLM's items.

    Args:
        sample_rate_hz: of samples that come without a rate.
        space: of catalogue items; None where the model takes none.
        catalogue: where their ids are looked up, if there is one.
        options: for vLLM's own parser.
    """

    def __init__(
        self, sample_rate_hz: int, space: ItemSpace | None, catalogue: Callable[[], Catalogue | None], **options: Any
    ) -> None:
        super().__init__(**options)
        self._sample_rate_hz = sample_rate_hz
        self._space = space
        self._catalogue = catalogue

    def _get_subparsers(self) -> Mapping[str, Any]:
        return {"audio": self._parse_recordings, "item": self._parse_items}

    def _parse_items(self, data: Any) -> CatalogueItems | None:
        if data is None:
            return None
        several = data if isinstance(data, list | tuple) else [data]
        return CatalogueItems([self._features(one) for one in several])

    def _features(self, given: Any) -> Tensor:
        if self._space is None:
            raise ValueError("an item was given, but this model takes no catalogue items; leave it out")
        if isinstance(given, str):
            catalogue = self._catalogue()
            if catalogue is None:
                raise ValueError(
                    f"the item {given!r} was given, but no catalogue was opened; give its features instead"
                )
            try:
                return catalogue.features(given)
            except MllmError as error:
                raise RefusedError(error, parameter="item") from error
        features = torch.as_tensor(given, dtype=torch.float32)
        expected = (self._space.rows, self._space.width)
        if features.shape != expected:
            raise ValueError(f"an item has features of the shape {tuple(features.shape)}; expected {expected}")
        return features

    def _parse_recordings(self, data: Any) -> RecordingItems | AudioEmbeddingItems | None:
        if data is None:
            return None
        if self.is_embeddings(data):
            if any(len(tokens) == 0 for tokens in data):
                raise ValueError("an audio of no soft tokens was given; expected (tokens, width), tokens at least 1")
            return AudioEmbeddingItems(data, self.expected_hidden_size)
        several = isinstance(data, list) and not (data and isinstance(data[0], float | int))
        return RecordingItems([self._recording(one) for one in (data if several else [data])])

    def _recording(self, given: Any) -> Audio:
        if isinstance(given, Audio):
            return given
        samples, rate = given if isinstance(given, tuple) else (given, self._sample_rate_hz)
        wave = np.asarray(samples, dtype=np.float32)
        if wave.ndim != 1 or wave.size == 0:
            raise ValueError(
                f"an audio has the shape {wave.shape}; expected mono samples, (samples,) with at least one of them"
            )
        return as_audio(wave, round(rate))


class MusicLLMProcessingInfo(BaseProcessingInfo):
    """What vLLM must know of the model to make its prompts."""

    def get_hf_config(self) -> MusicLLMConfig:
        """The model's configuration."""
        config: MusicLLMConfig = self.ctx.get_hf_config(MusicLLMConfig)
        return config

    def get_hf_processor(self, **kwargs: object) -> MusicLLMProcessor:
        """The checkpoint's processor, checked against its contract; it takes no options."""
        if kwargs:
            raise ValueError(f"mm_processor_kwargs holds {', '.join(kwargs)}, but this model takes none; leave it out")
        return self._processor

    @functools.cached_property
    def _processor(self) -> MusicLLMProcessor:
        model = self.ctx.model_config
        directory = contract.find_checkpoint(model.model, revision=model.revision)
        return checkpoint.open_processor(directory, contract.read_config(directory))

    @functools.cached_property
    def _catalogue(self) -> Catalogue | None:
        return served_catalogue(self._processor)

    def get_data_parser(self) -> PartsParser:
        """A parser of recordings, of soft tokens and of catalogue items."""
        return PartsParser(
            self._processor.sample_rate_hz,
            self._processor.space_of_items,
            lambda: self._catalogue,
            expected_hidden_size=self._get_expected_hidden_size(),
            allow_missing_mm_embeddings=self.allow_missing_mm_embeddings,
        )

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """Any number of recordings, and of items where the model takes them."""
        return {"audio": None} if self._processor.space_of_items is None else {"audio": None, "item": None}

    def get_mm_max_tokens_per_item(self, seq_len: int, mm_counts: Mapping[str, int]) -> Mapping[str, int]:  # noqa: ARG002
        """Soft tokens of the longest recording, and of an item."""
        processor = self._processor
        window = round(processor.window_seconds * processor.sample_rate_hz)
        tokens = {"audio": processor.max_windows * processor.num_tokens(window)}
        return tokens if processor.space_of_items is None else {**tokens, "item": processor.num_item_tokens()}

    def placeholder_id(self, modality: str) -> int:
        """What stands in each place of a soft token; vLLM knows the places by their position, not by this id.

        A placeholder past the vocabulary, which vLLM refuses in a prompt, is written as the first known id.
        """
        config = self.get_hf_config()
        marker: int = config.audio_token_id if modality == "audio" else config.item_token_id
        return marker if marker < config.text_config.vocab_size else 0


class MusicLLMDummyInputs(BaseDummyInputsBuilder[MusicLLMProcessingInfo]):
    """The largest input, with which vLLM measures the memory it needs."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """One placeholder a recording, and one an item."""
        config = self.info.get_hf_config()
        recordings = str(config.audio_token) * mm_counts.get("audio", 0)
        return recordings + str(config.item_token) * mm_counts.get("item", 0)

    def get_dummy_mm_data(
        self,
        seq_len: int,  # noqa: ARG002
        mm_counts: Mapping[str, int],
        mm_options: Mapping[str, Any],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Recordings of noise, each as long as is ever heard of one, and items of nothing."""
        processor = self.info.get_hf_processor()
        length = round(processor.max_windows * processor.window_seconds * processor.sample_rate_hz)
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, length).astype(np.float32)
        space = processor.space_of_items
        items = [] if space is None else [torch.zeros(space.rows, space.width)] * mm_counts.get("item", 0)
        return {"audio": [noise] * mm_counts.get("audio", 0), "item": items}


class MusicLLMInputs(BaseMultiModalProcessor[MusicLLMProcessingInfo]):
    """Makes the tensors and the prompt of a request."""

    def get_dummy_inputs(
        self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Mapping[str, Any]
    ) -> ProcessorInputs:
        """As vLLM's, but the placeholder need not be in the tokenizer."""
        data = self.dummy_inputs.get_dummy_mm_data(seq_len, mm_counts, mm_options)
        config = self.info.get_hf_config()
        places = [config.audio_token_id] * len(data["audio"]) + [config.item_token_id] * len(data["item"])
        return ProcessorInputs(prompt=places, mm_data_items=self.info.parse_mm_data(data, validate=False))

    def _call_hf_processor(self, hf_data: Mapping[str, Any], hf_kwargs: Mapping[str, object]) -> BatchFeature:
        """For each recording its windows, (windows, samples), all of one length; for each item its features."""
        processor = self.info.get_hf_processor(**hf_kwargs)
        items = {"item_features": list(hf_data["items"])} if "items" in hf_data else {}
        if "audio" not in hf_data:
            return BatchFeature(items)
        try:
            recordings = [
                one.listen() if isinstance(one, HeardElsewhere) else processor.listen(one) for one in hf_data["audio"]
            ]
        except MllmError as error:
            raise RefusedError(error, parameter="audio") from error
        except OSError as error:
            raise RefusedError(AudioError(f"the recording cannot be read ({error})"), parameter="audio") from error
        windows = [torch.stack(recording.waveforms) for recording in recordings]
        return BatchFeature({"audio_waveforms": windows, **items})

    def _get_mm_fields_config(
        self,
        hf_inputs: BatchFeature,  # noqa: ARG002
        hf_processor_mm_kwargs: Mapping[str, object],  # noqa: ARG002
    ) -> Mapping[str, MultiModalFieldConfig]:
        return {
            "audio_waveforms": MultiModalFieldConfig.batched("audio"),
            "audio_embeds": MultiModalFieldConfig.batched("audio"),
            "item_features": MultiModalFieldConfig.batched("item"),
        }

    def _get_prompt_updates(
        self,
        mm_items: MultiModalDataItems,
        hf_processor_mm_kwargs: Mapping[str, object],  # noqa: ARG002
        out_mm_kwargs: MultiModalKwargsItems,
    ) -> Sequence[PromptUpdate]:
        """One placeholder becomes as many as the recording or the item has soft tokens."""
        processor = self.info.get_hf_processor()

        def places(index: int) -> list[int]:
            items = mm_items["audio"]
            if isinstance(items, AudioEmbeddingItems):
                return [self.info.placeholder_id("audio")] * items.get_feature_size(index)
            windows, samples = out_mm_kwargs["audio"][index]["audio_waveforms"].data.shape
            return [self.info.placeholder_id("audio")] * (windows * processor.num_tokens(samples))

        config = self.info.get_hf_config()
        updates = [PromptReplacement(modality="audio", target=[config.audio_token_id], replacement=places)]
        if processor.space_of_items is not None:
            tokens = [self.info.placeholder_id("item")] * processor.num_item_tokens()
            updates.append(PromptReplacement(modality="item", target=[config.item_token_id], replacement=tokens))
        return updates


def served_catalogue(processor: MusicLLMProcessor) -> Catalogue | None:
    """The catalogue that this server was told of (`mllm serve --catalog DIR`), if any.

    Raises:
        CatalogueError: it is absent, damaged, or not for this model.
    """
    directory = ServeSettings.from_environment(os.environ).catalog
    return None if directory is None else open_for(processor.space_of_items, directory)
