"""What the Trainer takes from prepared conversations: rows of several of them, read when they are needed.

In: prepared conversations, a store of encodings, a catalogue. Out: a data set of rows, and batches for the model. The
same data and seed give the same rows. Knows neither the Trainer nor what is learnt.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Any

import datasets
import torch
from torch import Tensor

from mllm.items import Catalogue
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.prompt import IGNORE_INDEX, Prompt
from mllm.train import packing
from mllm.train.encodings import Encodings
from mllm.train.grouping import Grouping, GroupingConfig, fill_row, like_lengths, spread

ABOUT = "about"
"""Key of a batch under which stands what the model does not take: see `About`."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ready:
    """One conversation with its recordings as encoder features and its items as rows of features."""

    index: int
    """In the prepared data."""
    prompt: Prompt
    features: tuple[Tensor, ...]
    """(L, T, D) of each window, float16, in prompt order."""
    item_features: tuple[Tensor, ...]
    """(R, D) of each item, in prompt order."""
    seconds: float
    """Of audio."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """What a batch holds."""

    conversations: tuple[int, ...]
    """Indices in the prepared data."""
    tokens: int
    """Those of the conversations, without padding."""
    seconds: float
    """Of audio."""


class Rows(torch.utils.data.Dataset[list[Ready]]):
    """Conversations in groups that are computed together.

    Args:
        prepared: the conversations.
        encodings: where their recordings are.
        catalogue: where their items are; None where there are none.
        max_tokens: of a group; with `packed` of its sum, otherwise with the padding.
        packed: whether groups become packed rows.
        seed: of the order from which groups are put together.
        multiple: of which the number of groups shall be one: those of a step, so that every step learns the same from
            however many processes, at the end of the data too. Conversations are spread over as many groups (`spread`);
            what is still missing are empty groups, from which nothing is learnt.
    """

    def __init__(
        self,
        prepared: datasets.Dataset,
        encodings: Encodings,
        catalogue: Catalogue | None,
        *,
        max_tokens: int,
        packed: bool,
        seed: int,
        multiple: int = 1,
    ) -> None:
        self.prepared = prepared
        self._encodings = encodings
        self._catalogue = catalogue
        lengths = prepared["length"][:]
        order = list(range(len(lengths)))
        random.Random(seed).shuffle(order)
        rule = fill_row if packed else like_lengths

        def grouped(limit: int) -> list[list[int]]:
            return list(Grouping[int](GroupingConfig(max_tokens=limit), rule, lengths.__getitem__).groups(order))

        self.groups = spread(grouped, max_tokens=max_tokens, longest=max(lengths, default=1), multiple=multiple)
        self.groups += [[] for _ in range(-len(self.groups) % multiple)]

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> list[Ready]:
        return [self.ready(position) for position in self.groups[index]]

    def ready(self, index: int) -> Ready:
        """One conversation.

        Raises:
            EncodingError: an encoding is gone or damaged.
            ItemError: an item is not in the catalogue.
        """
        row = self.prepared[index]
        windows = [window for key in row["shards"] for window in self._encodings.windows(key, place=row["place"])]
        items = [] if self._catalogue is None else [self._catalogue.features(item) for item in row["items"]]
        return Ready(
            index=index,
            prompt=Prompt(input_ids=tuple(row["input_ids"]), labels=tuple(row["labels"]), placeholders=()),
            features=tuple(windows),
            item_features=tuple(items),
            seconds=row["seconds"],
        )


def filler(model: MusicLLMForConditionalGeneration, processor: MusicLLMProcessor, *, items: bool) -> Ready:
    """A second of nothing, from which nothing is learnt.

    It stands in batches that have no audio or no items of their own. Processes that train together wait for each
    other's gradients in the order in which they come, so all of them must compute the same parts of the model.

    Args:
        model: whose parts are computed.
        processor: of the model.
        items: whether it holds an item as well.
    """
    encoder, config = model.audio_encoder, model.config
    samples = round(min(1.0, encoder.window_seconds) * encoder.sample_rate_hz)
    frames = config.encoder_module.num_frames(config.encoder_config, samples)
    layers = 1 if model.layer_mix is None else encoder.num_layers
    ids = [0] + [config.audio_token_id] * processor.num_tokens(samples)
    space = config.space_of_items if items else None
    if space is not None:
        ids += [config.item_token_id] * processor.num_item_tokens()
    return Ready(
        index=-1,
        prompt=Prompt(input_ids=tuple(ids), labels=(IGNORE_INDEX,) * len(ids), placeholders=()),
        features=(torch.zeros(layers, frames, encoder.width, dtype=torch.float16),),
        item_features=() if space is None else (torch.zeros(space.rows, space.width),),
        seconds=0.0,
    )


def collator(
    pad_id: int, fill: Ready, *, packed: bool, borders: bool
) -> Callable[[Sequence[Sequence[Ready]]], dict[str, Any]]:
    """What makes a batch of rows.

    Args:
        pad_id: token that fills up rows.
        fill: from `filler`; added where a batch lacks what it has.
        packed: whether the conversations of a group stand in one row; otherwise each has a row of its own.
        borders: as in `packing.packed`.
    """

    def collate(groups: Sequence[Sequence[Ready]]) -> dict[str, Any]:
        own = [one for group in groups for one in group]
        complete = all(any(getattr(one, kind) for one in own) for kind in _kinds(fill))
        filled = [list(group) or [fill] for group in groups]
        if not complete and all(groups):
            filled[-1].append(fill)
        ready = [one for group in filled for one in group]
        if packed:
            batch = packing.packed([[one.prompt for one in group] for group in filled], pad_id, borders=borders)
        else:
            batch = packing.padded([one.prompt for one in ready], pad_id)
        if features := [window for one in ready for window in one.features]:
            batch["audio_features"] = features
        if item_features := [rows for one in ready for rows in one.item_features]:
            batch["item_features"] = item_features
        batch[ABOUT] = About(
            conversations=tuple(one.index for one in own),
            tokens=sum(len(one.prompt.input_ids) for one in own),
            seconds=sum(one.seconds for one in own),
        )
        return batch

    return collate


def _kinds(fill: Ready) -> tuple[str, ...]:
    return ("features", "item_features") if fill.item_features else ("features",)
