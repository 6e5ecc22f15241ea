"""What a training would be, without training: data checked, tokens counted, memory and time estimated, prompts shown.

In: a `RunConfig`. Out: a text. Writes nothing, encodes nothing: lengths of recordings are those that their files state,
and one step is computed with random encodings of the right shapes.
"""

from __future__ import annotations

import dataclasses
import math
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from mllm import audio
from mllm.absent_encoder import AbsentEncoder
from mllm.decode import name_of
from mllm.errors import AudioError, ConfigError, MllmError
from mllm.messages import Audio, Item
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.prompt import IGNORE_INDEX, Prompt
from mllm.train import held_out, launch, memory, opening, packing, preparation, prepared, schedule, stage
from mllm.train.conversations import Conversation
from mllm.train.grouping import Grouping, GroupingConfig, fill_row, like_lengths
from mllm.train.rows import ABOUT, Ready, collator, filler
from mllm.train.run_config import RunConfig

SHOWN_PROMPTS = 3
TIMED_ROWS = 2
"""Rows that are computed to tell how long a step takes, after one that is not counted."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """A conversation as far as its files' headers tell."""

    prompt: Prompt
    samples: tuple[int, ...]
    """Of each window, over all recordings."""
    seconds: float
    items: int


def rehearse(config: RunConfig, say: Callable[[str], object]) -> str:
    """Check and estimate a training.

    Args:
        config: of the run.
        say: called with what is done now.

    Returns:
        A text of several lines.

    Raises:
        ConfigError: settings or data cannot be used; everything that is wrong is named.
        CheckpointError: what the run begins with is absent or altered.
    """
    launch.deepspeed_settings(config.train.deepspeed)
    schedule.accumulation(config, num_rows=1)
    stage.is_finished(config, Path(config.out).absolute())
    say("opening what the training begins with")
    model, processor = _open(config)
    seen, kept, bad = _look_at_all(config, processor, say)
    lines = [f"stage {config.stage}: {', '.join(_trained(model))} learn, everything else is frozen"]
    if bad:
        lines.append(prepared.told(bad))
    lengths = [len(one.prompt.input_ids) for one in seen]
    tokens = preparation.row_tokens(
        config, processor, tokens=sum(lengths), longest=max(len(one.prompt.input_ids) for one in [*seen, *kept])
    )
    packed = config.data.packing and packing.obstacle(model.language_model) is None
    grouping = Grouping[int](
        GroupingConfig(max_tokens=tokens), fill_row if packed else like_lengths, lengths.__getitem__
    )
    order = list(range(len(seen)))
    random.Random(config.train.seed).shuffle(order)
    groups = list(grouping.groups(order))
    steps = schedule.steps_of_run(config, len(groups))
    rows_a_step = schedule.rows_of_step(config, len(groups))
    learnt = sum(label != IGNORE_INDEX for one in seen for label in one.prompt.labels)
    lines += [
        f"data: {len(seen)} conversations"
        + (f", {len(kept)} kept for validation" if kept else "")
        + f", {sum(one.seconds for one in seen):.0f} s of audio",
        f"tokens: {sum(lengths)}, of which {learnt} are learnt; a conversation has {min(lengths)} to {max(lengths)}",
        f"rows: {len(groups)} of at most {tokens} tokens, {rows_a_step} a step; {steps} steps",
        "",
    ]
    say("computing one step")
    lines += _measured(config, model, processor, [[seen[index] for index in group] for group in groups], steps, packed)
    lines += ["", *_shown(processor, seen)]
    return "\n".join(lines)


def _open(config: RunConfig) -> tuple[MusicLLMForConditionalGeneration, MusicLLMProcessor]:
    """The model in the form in which the stage trains it, without its encoder."""
    model, processor = opening.unsaved(config, launch.device())
    model.audio_encoder = AbsentEncoder(model.config.encoder_module, model.config.encoder_config)
    if config.model.attention is not None:
        model.language_model.set_attn_implementation(config.model.attention)
    model.freeze(opening.trained_names(model, config.stage))
    return model, processor


def _trained(model: MusicLLMForConditionalGeneration) -> list[str]:
    parts = {name.partition(".")[0] for name, one in model.named_parameters() if one.requires_grad}
    return sorted("lora" if part == "language_model" else part for part in parts)


def _look_at_all(
    config: RunConfig, processor: MusicLLMProcessor, say: Callable[[str], object]
) -> tuple[list[_Seen], list[_Seen], list[str]]:
    """What is learnt from, what is kept for validation, and what cannot be used.

    Raises:
        ConfigError: something cannot be used that is not to be left out, or nothing is left.
    """
    limits = preparation.limits_of(config, processor.space_of_items)
    train, validation = held_out.divide(config.data)
    say(f"looking at {len(train) + len(validation or ())} conversations")
    seen, bad = _look(train, processor, limits)
    kept, bad_of_kept = _look(validation or (), processor, limits)
    bad += bad_of_kept
    if bad and not limits.leave_out_bad:
        raise ConfigError(f"{prepared.told(bad)}; mend or remove them, or set data.leave_out_bad=true")
    if not seen or (not kept and held_out.given(config.data)):
        raise ConfigError(f"no conversation can be used; {prepared.told(bad) if bad else 'the data is empty'}")
    return seen, kept, bad


def _look(
    found: Sequence[Conversation | MllmError], processor: MusicLLMProcessor, limits: prepared.Limits
) -> tuple[list[_Seen], list[str]]:
    seen, bad = [], []
    for one in found:
        if isinstance(one, MllmError):
            bad.append(str(one))
            continue
        try:
            seen.append(_seen(one, processor, limits))
        except MllmError as error:
            bad.append(f"{one.place}: {error}")
    return seen, bad


def _seen(conversation: Conversation, processor: MusicLLMProcessor, limits: prepared.Limits) -> _Seen:
    lengths = [_length(recording, processor.sample_rate_hz) for recording in conversation.recordings]
    windows = [_windows(length, processor) for length in lengths]
    tokens = [sum(map(processor.num_tokens, samples)) for samples in windows]
    prompt = processor.prompt_of(conversation.messages, tokens, add_generation_prompt=False)
    prepared.check(conversation, prompt, processor, limits)
    heard = sum(min(length, sum(samples)) for length, samples in zip(lengths, windows, strict=True))
    return _Seen(
        prompt=prompt,
        samples=tuple(number for recording in windows for number in recording),
        seconds=heard / processor.sample_rate_hz,
        items=sum(isinstance(part, Item) for message in conversation.messages for part in message.parts),
    )


def _length(recording: Audio, sample_rate_hz: int) -> int:
    """Samples that a recording, or the stretch that is asked for, will have, from the length that its file states.

    Raises:
        AudioError: it cannot be heard.
    """
    name = name_of(recording.source)
    try:
        found = audio.probe(recording.source)
    except OSError as error:
        raise AudioError(f"{name} cannot be read ({error.strerror}); give the path of a file") from error
    first = round((recording.start or 0.0) * sample_rate_hz)
    last = math.floor(found.seconds * sample_rate_hz + 0.5)
    length = (last if recording.end is None else min(last, round(recording.end * sample_rate_hz))) - first
    if length < audio.MINIMUM_SECONDS * sample_rate_hz:
        raise AudioError(
            f"{name} has {max(0, length) / sample_rate_hz:.2f} s of sound there (the whole: {found.seconds:.2f} s); "
            f"expected at least {audio.MINIMUM_SECONDS:g} s, so give a longer piece"
        )
    return length


def _windows(length: int, processor: MusicLLMProcessor) -> list[int]:
    """Samples of each window that is heard of so many."""
    window = round(processor.window_seconds * processor.sample_rate_hz)
    return [length] if length <= window else [window] * min(processor.max_windows, -(-length // window))


def _measured(
    config: RunConfig,
    model: MusicLLMForConditionalGeneration,
    processor: MusicLLMProcessor,
    groups: Sequence[Sequence[_Seen]],
    steps: int,
    packed: bool,
) -> list[str]:
    """Memory and time, from rows that are computed forward and backward."""
    pad = processor.tokenizer.pad_token_id or 0
    make = collator(
        pad,
        filler(model, processor, items=model.item_adapter is not None),
        packed=packed,
        borders=packing.needs_borders(model.language_model),
    )
    if config.train.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    longest = sorted(groups, key=lambda group: -_size([len(one.prompt.input_ids) for one in group], packed=packed))
    taken = []
    for group in (longest * (TIMED_ROWS + 1))[: TIMED_ROWS + 1]:
        batch = make([[_random(one, model) for one in group]])
        del batch[ABOUT]
        began = time.perf_counter()
        model(**{name: _placed(value) for name, value in batch.items()}).loss.backward()
        taken.append(time.perf_counter() - began)
    seconds = sum(taken[1:]) / TIMED_ROWS
    rows = schedule.accumulation(config, len(groups)) * config.train.rows_at_once
    total = seconds * rows * steps
    tokens = max(_size([len(one.prompt.input_ids) for one in group], packed=packed) for group in groups)
    parts = memory.estimate(
        memory.sizes(model),
        row_tokens=tokens,
        rows=config.train.rows_at_once,
        checkpointing=config.train.gradient_checkpointing,
    )
    return [
        f"memory: about {memory.told(parts)} for each process by calculation; {memory.measured_gib():.1f} GiB was the "
        "most in this rehearsal",
        f"time: {seconds:.2f} s for a row, so about {_duration(total)} for {steps} steps, encoding not counted",
    ]


def _size(lengths: Sequence[int], *, packed: bool) -> int:
    """Tokens of a group, padding included."""
    return sum(lengths) if packed else len(lengths) * max(lengths)


def _placed(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(launch.device())
    return [one.to(launch.device()) for one in value] if isinstance(value, list) else value


def _random(seen: _Seen, model: MusicLLMForConditionalGeneration) -> Ready:
    """A conversation with noise for encodings."""
    config, encoder = model.config, model.audio_encoder
    layers = 1 if model.layer_mix is None else encoder.num_layers
    frames = [config.encoder_module.num_frames(config.encoder_config, samples) for samples in seen.samples]
    space = config.space_of_items
    return Ready(
        index=0,
        prompt=seen.prompt,
        features=tuple(torch.randn(layers, number, encoder.width).half() for number in frames),
        item_features=() if space is None else tuple(torch.randn(space.rows, space.width) for _ in range(seen.items)),
        seconds=seen.seconds,
    )


def _shown(processor: MusicLLMProcessor, seen: Sequence[_Seen]) -> list[str]:
    lines = []
    for number, one in enumerate(seen[:SHOWN_PROMPTS], start=1):
        lines += [f"--- prompt {number}: what stands between >>> and <<< is learnt", _rendered(processor, one.prompt)]
    return lines


def _rendered(processor: MusicLLMProcessor, prompt: Prompt) -> str:
    """A prompt as text: soft tokens counted, special tokens shown, what is learnt marked."""
    pieces: list[str] = []
    kinds = {processor.audio_token_id: "audio", processor.item_token_id: "item"}
    position = 0
    while position < len(prompt.input_ids):
        kind, learnt = kinds.get(prompt.input_ids[position]), prompt.labels[position] != IGNORE_INDEX
        end = position + 1
        while (
            end < len(prompt.input_ids)
            and kinds.get(prompt.input_ids[end]) == kind
            and (prompt.labels[end] != IGNORE_INDEX) == learnt
        ):
            end += 1
        text = (
            f"[{end - position} soft tokens of {kind}]"
            if kind is not None
            else str(processor.tokenizer.decode(prompt.input_ids[position:end]))
        )
        pieces.append(f">>>{text}<<<" if learnt else text)
        position = end
    return "".join(pieces)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
