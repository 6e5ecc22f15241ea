"""What the frozen encoder of a checkpoint names itself, without the language model: how much there was to be said.

In: questions that ask for one fact of one recording. Out: that fact in words. Only encoders with a readout can do it,
as the compact one has; MERT has none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch

from mllm import checkpoint, contract, facts
from mllm.errors import ConfigError, MllmError
from mllm.eval.model import Model, ModelSettings
from mllm.eval.questions import Question, Said
from mllm.listener import find_model
from mllm.messages import Audio
from mllm.processing import MusicLLMProcessor
from mllm.strict_io import content_hash

TITLE = "what the encoder of an mllm checkpoint names itself; without a place, that of the reference checkpoint"
NEEDS = ""


def open_model(place: str | None, settings: ModelSettings) -> Model:
    """Open a checkpoint and take its encoder.

    Raises:
        CheckpointError: it is absent, incomplete or altered.
        ConfigError: its encoder has no readout.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    directory = contract.find_checkpoint(find_model(place))
    model, processor = checkpoint.load(directory)
    encoder = model.audio_encoder
    kind = model.config.audio_encoder["name"]
    if not hasattr(encoder, "readout"):
        raise ConfigError(
            f"the encoder of {directory} is {kind!r}, which names no facts itself; leave encoder out, or give "
            "a checkpoint whose encoder has a readout, such as 'cqt'"
        )
    description = {
        "kind": "encoder",
        "place": place or "the reference checkpoint",
        "encoder": kind,
        "sha256": content_hash(directory),
        "versions": {"torch": version("torch")},
    }
    return EncoderReadout(encoder, processor, description)


class EncoderReadout:
    """The readout of an encoder.

    Over several windows of a recording the probabilities of tempo, key and meter are averaged, and an instrument counts
    that is heard in any.

    Args:
        encoder: with a `readout`.
        processor: that cuts recordings into its windows.
        description: for the record.
    """

    name = "encoder"
    listens = False

    def __init__(self, encoder: Any, processor: MusicLLMProcessor, description: Mapping[str, Any]) -> None:
        self.description = description
        self._encoder = encoder
        self._processor = processor
        self._read = functools.cache(self._readout)

    def answers(self, question: Question) -> bool:
        """Which tempo, key, meter or instruments one recording has; neither yes or no nor a choice."""
        is_open = question.kind == "text" and not question.choices and question.label not in ("yes", "no")
        return is_open and question.field in _IN_WORDS and len(question.recordings) == 1

    def prepare(self, task: str, questions: Sequence[Question], material: Any) -> None:
        """Nothing is learnt."""

    def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
        """One answer a question; a recording is heard once."""
        for question in questions:
            yield self._say(question)

    def _say(self, question: Question) -> Said:
        if not self.answers(question):
            return Said(error="the encoder names tempo, key, meter and instruments of one recording only")
        try:
            found, seconds = self._read(question.recordings[0])
        except MllmError as error:
            return Said(error=str(error))
        text, confidence = _IN_WORDS[str(question.field)](found, self._encoder.config)
        return Said(text=text, confidence=confidence, seconds_heard=seconds)

    @torch.no_grad()
    def _readout(self, audio: Audio) -> tuple[dict[str, list[float]], float]:
        """Probabilities of each fact, and the seconds that were heard."""
        recording = self._processor.listen(audio, require_sound=False)
        windows = [self._encoder.readout(self._encoder.features(window[None])) for window in recording.waveforms]
        found = {name: torch.cat([window[name] for window in windows]).mean(0).tolist() for name in _AVERAGED}
        found["instruments"] = torch.cat([window["instruments"] for window in windows]).amax(0).tolist()
        return found, recording.heard.seconds_heard


_AVERAGED = ("tempo", "key", "meter")


def _best(chances: Sequence[float], words: Sequence[str]) -> tuple[str, float]:
    place = max(range(len(chances)), key=chances.__getitem__)
    return words[place], chances[place]


def _instruments(found: Mapping[str, Sequence[float]], config: Any) -> tuple[str, float | None]:
    above = zip(facts.INSTRUMENTS, found["instruments"], config.instrument_thresholds, strict=True)
    return ", ".join(name for name, chance, threshold in above if chance >= threshold) or "none of them", None


_IN_WORDS: Mapping[str, Callable[[Mapping[str, Sequence[float]], Any], tuple[str, float | None]]] = {
    "tempo_bpm": lambda found, _: _best(found["tempo"], [f"{bpm} bpm" for bpm in facts.TEMPO_CLASSES_BPM]),
    "key": lambda found, _: _best(found["key"], facts.KEYS),
    "meter": lambda found, _: _best(found["meter"], facts.METERS),
    "instruments": _instruments,
}
"""How a fact is said, and how sure the encoder is of it, in [0, 1]; None: it says several things at once."""
