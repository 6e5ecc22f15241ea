"""Other language models that hear and that transformers itself has: one family, one checkpoint, its own processor.

In: questions. Out: the most probable answer, with the probability of its tokens. Recordings are given mono at the
processor's rate; what a model cuts off is not counted as heard. No code of a checkpoint is run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import transformers

from mllm import audio
from mllm.errors import AudioError, ConfigError, MllmError, PromptError
from mllm.eval.model import ModelSettings
from mllm.eval.models._remembering import Remembering
from mllm.eval.questions import Question, Said
from mllm.messages import Audio, Item, Message, Text
from mllm.speech import ProbabilityRecorder, answer_of
from mllm.strict_io import content_hash


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """How models of one kind are opened and asked."""

    kind: str
    """Its file in eval/models."""
    model: str
    """Name of its class in transformers."""
    processor: str
    """Likewise."""
    usual: str
    """On the hub: which checkpoint is meant where none is named."""
    licence: str
    """Of that checkpoint."""
    longest_seconds: Callable[[Any], float]
    """How much of a recording a processor takes, in seconds from its beginning."""
    most_recordings: int | None
    """In one conversation; None: any number."""


class Peer:
    """A checkpoint of a family.

    Args:
        family: of the checkpoint.
        model: in evaluation mode.
        processor: that belongs to it.
        settings: how many questions are answered at once.
        name: in tables.
        description: for the record.
    """

    listens = True

    def __init__(
        self,
        family: Family,
        model: Any,
        processor: Any,
        settings: ModelSettings,
        *,
        name: str,
        description: Mapping[str, Any],
    ) -> None:
        self.name = name
        self.description = description
        self._family, self._model, self._processor = family, model, processor
        self._rate_hz: int = processor.feature_extractor.sampling_rate
        self._longest = round(family.longest_seconds(processor) * self._rate_hz)
        self._memory = Remembering(self._respond, at_once=settings.batch_size)

    def answers(self, question: Question) -> bool:
        """What is asked in words about as many recordings as the family takes."""
        parts = [part for message in question.messages for part in message.parts]
        most = self._family.most_recordings
        fits = most is None or len(question.recordings) <= most
        return question.kind in ("text", "choice") and fits and not any(isinstance(part, Item) for part in parts)

    def prepare(self, task: str, questions: Sequence[Question], material: Any) -> None:
        """Nothing is learnt."""

    def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
        """Answers in order, as many at once as the settings say."""
        return self._memory.respond(questions)

    def _respond(self, questions: Sequence[Question]) -> list[Said]:
        """Questions of one length are answered together, those without recordings apart."""
        found: dict[int, Said] = {}
        together: dict[tuple[int, bool], list[tuple[int, list[_Clip]]]] = {}
        for place, question in enumerate(questions):
            try:
                self._check(question)
                clips = [self._clip(recording) for recording in question.recordings]
            except MllmError as error:
                found[place] = Said(error=str(error))
                continue
            together.setdefault((question.max_new_tokens, bool(clips)), []).append((place, clips))
        for (max_new_tokens, _), members in together.items():
            asked = [(questions[place].messages, clips) for place, clips in members]
            answers = self._speak_or_tell(asked, max_new_tokens)
            found |= {place: answer for (place, _), answer in zip(members, answers, strict=True)}
        return [found[place] for place in range(len(questions))]

    def _speak_or_tell(self, asked: Sequence[_Asked], max_new_tokens: int) -> list[Said]:
        """The answers; where they fail together, as for lack of memory, each on its own, and why one has none."""
        try:
            return self._speak(asked, max_new_tokens)
        except (IndexError, RuntimeError, ValueError) as error:
            if len(asked) == 1:
                return [Said(error=f"{self._family.model} fails: {error}")]
        return [said for one in asked for said in self._speak_or_tell([one], max_new_tokens)]

    def _check(self, question: Question) -> None:
        """A marker that somebody wrote would take the place of a recording, and of all that follow."""
        marker = self._processor.audio_token
        parts = [part for message in question.messages for part in message.parts]
        if any(isinstance(part, Text) and marker in part.text for part in parts):
            raise PromptError(f"the text holds {marker!r}, which stands for a recording; leave it out")

    def _clip(self, recording: Audio) -> _Clip:
        try:
            clip = audio.load(
                recording.source,
                sample_rate_hz=self._rate_hz,
                start=recording.start,
                end=recording.end,
                require_sound=False,
            )
        except OSError as error:
            raise AudioError(f"{recording.source!s} cannot be read ({error.strerror})") from error
        return _Clip(samples=clip.samples[: self._longest], total_seconds=len(clip.samples) / self._rate_hz)

    @torch.no_grad()
    def _speak(self, asked: Sequence[_Asked], max_new_tokens: int) -> list[Said]:
        tokenizer = self._processor.tokenizer
        waves = [clip.samples for _, clips in asked for clip in clips]
        heard = {"audio": waves, "sampling_rate": self._rate_hz} if waves else {}
        inputs = self._processor(
            text=[self._prompt(conversation) for conversation, _ in asked],
            padding=True,
            return_tensors="pt",
            **heard,
        ).to(self._model.device, dtype=self._model.dtype)
        recorder = ProbabilityRecorder()
        sequences = self._model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            temperature=None,  # what checkpoints say of drawing means nothing here
            top_p=None,
            top_k=None,
            pad_token_id=tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
            logits_processor=[recorder],
        )
        chances = recorder.finish(sequences)
        said = sequences[:, -chances.shape[1] :]
        return [
            self._said(ids, probabilities, clips)
            for ids, probabilities, (_, clips) in zip(said.tolist(), chances.tolist(), asked, strict=True)
        ]

    def _prompt(self, conversation: Sequence[Message]) -> str:
        plain = [
            {"role": message.role, "content": [_plain(part) for part in message.parts]} for message in conversation
        ]
        return str(self._processor.apply_chat_template(plain, tokenize=False, add_generation_prompt=True))

    def _said(self, ids: Sequence[int], probabilities: Sequence[float], clips: Sequence[_Clip]) -> Said:
        ends = self._ends()
        length = next((place + 1 for place, token in enumerate(ids) if token in ends), len(ids))
        answer = answer_of(
            self._processor.tokenizer,
            ids[:length],
            probabilities[:length],
            complete=ids[length - 1] in ends,
            seconds_heard=sum(len(clip.samples) / self._rate_hz for clip in clips),
            total_seconds=sum(clip.total_seconds for clip in clips),
        )
        return Said(text=answer.text, confidence=answer.confidence, seconds_heard=answer.seconds_heard)

    def _ends(self) -> set[int]:
        stated = self._model.generation_config.eos_token_id
        listed = stated if isinstance(stated, list) else [] if stated is None else [stated]
        return {int(self._processor.tokenizer.eos_token_id), *listed}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Clip:
    """A recording as a model takes it."""

    samples: npt.NDArray[np.float32]
    total_seconds: float
    """Of the stretch that was meant."""


_Asked: TypeAlias = tuple[Sequence[Message], Sequence[_Clip]]
"""A conversation and its recordings."""


def open_peer(family: Family, place: str | None, settings: ModelSettings) -> Peer:
    """Open a checkpoint of a family.

    Args:
        family: of the checkpoint.
        place: its directory, or its name on the hub, from which transformers fetches it; None: the usual one.
        settings: how it answers.

    Raises:
        ConfigError: it cannot be opened, or is of another family.
    """
    wanted = family.usual if place is None else place
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    on_gpu = torch.cuda.is_available()
    try:
        processor = getattr(transformers, family.processor).from_pretrained(wanted)
        model = getattr(transformers, family.model).from_pretrained(
            wanted, dtype=torch.bfloat16 if on_gpu else torch.float32
        )
    except (ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"--model {family.kind}: {wanted} cannot be opened as {family.model} ({reason}); give the directory of "
            f"such a checkpoint, or its name on the hub, such as {family.usual}"
        ) from error
    processor.tokenizer.padding_side = "left"
    model.eval().to("cuda" if on_gpu else "cpu")
    is_directory = Path(wanted).is_dir()
    description = {
        "kind": family.kind,
        "place": wanted,
        "class": family.model,
        "sha256" if is_directory else "revision": content_hash(wanted) if is_directory else _revision(model),
        "licence": family.licence if wanted == family.usual else "see its checkpoint",
        "dtype": str(model.dtype).removeprefix("torch."),
        "versions": {name: version(name) for name in ("torch", "transformers")},
    }
    name = Path(wanted).resolve().name if is_directory else wanted.rpartition("/")[2]
    return Peer(family, model, processor, settings, name=name, description=description)


def _revision(model: Any) -> str | None:
    """The commit that the hub gave."""
    found = getattr(model.config, "_commit_hash", None)
    return None if found is None else str(found)


def _plain(part: Any) -> dict[str, str]:
    """As chat templates take it; the samples are handed to the processor beside them."""
    return {"type": "text", "text": part.text} if isinstance(part, Text) else {"type": "audio", "path": ""}
