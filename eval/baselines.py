"""What is known without the language model: the encoder's own readout, and the answers that are always the commonest.

In: clips and, for the readout, an opened model. Out: one `Said` a clip. Knows nothing of prompts and answers.
"""

from __future__ import annotations

import collections
from collections.abc import Hashable, Sequence
from typing import TypeVar

import torch

from mllm import facts
from mllm.eval.clips import Clip
from mllm.eval.metrics import Question, Said, Truth, count_instruments
from mllm.messages import Audio
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor

_Value = TypeVar("_Value", bound=Hashable)


def has_readout(model: MusicLLMForConditionalGeneration) -> bool:
    """Whether the encoder names facts itself, as the compact encoder does and MERT does not."""
    return hasattr(model.audio_encoder, "readout")


@torch.no_grad()
def probe(
    model: MusicLLMForConditionalGeneration,
    processor: MusicLLMProcessor,
    clips: Sequence[Clip],
    questions: Sequence[Sequence[Question]],
) -> list[Said]:
    """What the encoder's readout names in each clip.

    Over several windows of a clip probabilities of tempo, key and meter are averaged, and an instrument counts that is
    heard in any.
    """
    thresholds = torch.tensor(model.audio_encoder.config.instrument_thresholds)
    said = []
    for clip, asked in zip(clips, questions, strict=True):
        recording = processor.listen(Audio(source=clip.audio), require_sound=False)
        device = next(model.audio_encoder.parameters()).device
        readouts = [
            model.audio_encoder.readout(model.audio_encoder.features(waveform[None].to(device)))
            for waveform in recording.waveforms
        ]
        best = {
            field: int(torch.cat([readout[field] for readout in readouts]).mean(0).argmax())
            for field in ("tempo", "key", "meter")
        }
        instruments = torch.cat([readout["instruments"] for readout in readouts]).amax(0).cpu()  # (17,)
        heard = tuple(
            name for name, above in zip(facts.INSTRUMENTS, (instruments >= thresholds).tolist(), strict=True) if above
        )
        said.append(
            Said(
                tempo_bpm=float(facts.TEMPO_CLASSES_BPM[best["tempo"]]),
                key=facts.KEYS[best["key"]],
                meter=facts.METERS[best["meter"]],
                instruments=heard,
                yes_no=tuple((question.instrument in heard) != question.negated for question in asked),
            )
        )
    return said


def commonest(truths: Sequence[Truth], questions: Sequence[Sequence[Question]]) -> list[Said]:
    """The same answer for every clip: the commonest tempo class, key and meter, and the instruments that score best.

    The instruments are the k most frequent ones, with the k that gives the highest micro-F1 on these very labels; the
    answer to every question is yes.
    """
    tempi = [facts.nearest_tempo_class(truth.tempo_bpm) for truth in truths if truth.tempo_bpm is not None]
    tempo = _mode(tempi)
    key = _mode([facts.key_index(truth.key) for truth in truths if truth.key is not None])
    instruments = _best_instruments(truths)
    return [
        Said(
            tempo_bpm=None if tempo is None else float(facts.TEMPO_CLASSES_BPM[tempo]),
            key=None if key is None else facts.KEYS[key],
            meter=_mode([truth.meter for truth in truths if truth.meter is not None]),
            instruments=instruments,
            yes_no=(True,) * len(asked),
        )
        for asked in questions
    ]


def _mode(values: Sequence[_Value]) -> _Value | None:
    """The commonest value, the first to come of several; None of nothing."""
    return collections.Counter(values).most_common(1)[0][0] if values else None


def _best_instruments(truths: Sequence[Truth]) -> tuple[str, ...] | None:
    known = [truth for truth in truths if truth.instruments is not None]
    if not known:
        return None
    frequency = collections.Counter(name for truth in known for name in truth.named)
    ranked = sorted(facts.INSTRUMENTS, key=lambda name: -frequency[name])
    return max((tuple(ranked[:k]) for k in range(1, len(ranked) + 1)), key=lambda names: _micro_f1(known, names))


def _micro_f1(truths: Sequence[Truth], names: tuple[str, ...]) -> float:
    counts = [count_instruments(truth, names) for truth in truths]
    hits = sum(count.hits for count in counts)
    return 2 * hits / max(1, 2 * hits + sum(count.false_alarms + count.misses for count in counts))
