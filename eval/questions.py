"""What an evaluation asks and what it is told: questions with their truth, and answers.

In: nothing. Out: the immutable types that tasks, models, conditions and reports share. Knows no task, no model, no
file.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from mllm import messages
from mllm.messages import Audio, Message, Text

Kind: TypeAlias = Literal["text", "choice", "rank", "plain"]
"""What is wanted of a model.

- text: an answer in words;
- choice: one of several options, said in words, and where a model can, the likelihood of each;
- rank: candidates in order, the best first (recommendation, retrieval);
- plain: what the adapters change of what the backbone says to text without sound.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """One question that is scored."""

    id: str
    """Unique within a task, and the same each time."""
    messages: tuple[Message, ...]
    """The conversation, the user speaks last; paths of recordings are absolute."""
    kind: Kind = "text"
    truth: Any = None
    """What is true, as JSON, in the form that the task scores."""
    references: tuple[str, ...] = ()
    """Right answers in words; the first is what an answerer says who gives the answer of another recording."""
    unit: str
    """Name of what it is about, a recording or a pair of them: what is drawn as a whole for intervals."""
    template: str
    """Equal for questions that differ in their wording or in what they ask about only; a blind answerer gives one
    answer to all of a template."""
    label: str | None = None
    """The right answer, where few answers are possible, such as "yes" and "no": what the majority answerer counts."""
    choices: tuple[str, ...] = ()
    """Of a multiple choice: the options without letters, in the order in which they are offered."""
    correct: int | None = None
    """Which of `choices` is right."""
    field: str | None = None
    """The one fact that it asks for, by its name in `tracks.Track` (tempo_bpm, key, meter, chords, beats, instruments,
    style, moods ...), where it asks for one: what a tool that hears no words answers by."""
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What else a model is told, as JSON: of a ranking, `candidates` (ids) and `history`, `liked`, `disliked` (ids),
    and `text`. Where `candidates` is None, these are all items of the task's material that stand in neither of the
    three; `texts` are candidates that are texts, or the one text to which as many recordings are candidates; `plays`
    says how often each of the history was played, in its order."""
    told: str | None = None
    """True facts in English, which stand in the place of the recordings under the condition "told as text"; None: the
    task does not tell."""
    groups: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Kinds by which figures are shown apart, such as {"polarity": "negated"} or {"noise": "10 dB"}."""
    max_new_tokens: int = 64
    """Longest answer."""

    @property
    def recordings(self) -> tuple[Audio, ...]:
        """What is heard, in order."""
        return tuple(part for message in self.messages for part in message.parts if isinstance(part, Audio))

    @property
    def asked(self) -> str:
        """The last thing that the user says."""
        return " ".join(part.text for part in self.messages[-1].parts if isinstance(part, Text)).strip()

    def digest(self) -> str:
        """A hash of all that a model is told, recordings by their names: changes where the question does."""
        spoken = [
            {"role": message.role, "parts": [_plain(part) for part in message.parts]} for message in self.messages
        ]
        told = [self.kind, spoken, list(self.choices), dict(self.given), self.max_new_tokens]
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
    """What a model answered to one question. Nothing said counts as wrong and stays in the denominator."""

    text: str = ""
    confidence: float | None = None
    """In [0, 1]; None: it says none."""
    likelihoods: tuple[float, ...] | None = None
    """Of a choice: log-probability of each option as the answer, in the order of `choices`."""
    ranking: tuple[str, ...] | None = None
    """Of a ranking: ids of candidates, the best first."""
    value: float | None = None
    """Of "plain": the greatest difference of a logit that the adapters make."""
    seconds_heard: float | None = None
    error: str | None = None
    """Why there is no answer."""


def asked(question: str, recordings: Sequence[Audio] = ()) -> tuple[Message, ...]:
    """A conversation of one turn: the recordings, then the question."""
    return (Message(role="user", parts=(*recordings, Text(text=question))),)


def _plain(part: Any) -> Any:
    (spoken,) = messages.to_json([Message(role="user", parts=(part,))])
    content = spoken["content"]
    if isinstance(part, Audio):
        name = part.source.name if not isinstance(part.source, bytes) else _sha256(part.source)
        return ["audio", name, part.start, part.end]
    return content


@functools.lru_cache(maxsize=64)
def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
