"""Facts from an answer: the model's text in, the object that `mllm describe --json` prints out.

The model is asked `QUESTION` and answers in JSON. Only what it states, in the words of `mllm.facts`, becomes a field;
anything else is null. The object is published as mllm/schema/describe.schema.json. Knows nothing of models or audio.
"""

from __future__ import annotations

import dataclasses
import json
from typing import NamedTuple, NoReturn

from mllm import facts
from mllm.answer import Answer
from mllm.errors import ConfigError

QUESTION = "Describe this recording as JSON."
"""What the model is asked, word for word as in its training."""
CAPTION_QUESTION = "Describe the music."
"""What `caption` asks, word for word as in its training."""
MAX_NEW_TOKENS = 256
"""Longest answer to `QUESTION` in tokens; every instrument fits."""
FIELDS = ("tempo_bpm", "key", "meter", "instruments", "genre", "mood", "vocals")
"""What is described, in the order of the output."""
LONGEST_WORD = 60
"""Characters of a genre or a mood, at most."""

_DECODER = json.JSONDecoder(parse_constant=lambda name: _not_json(f"{name} is no JSON number"))
_WHITE_SPACE = " \t\r\n"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """What the model stated of one recording; None where it stated nothing that can be read."""

    tempo_bpm: float | None = None
    """Beats per minute, from `facts.LOWEST_TEMPO_BPM` to `facts.HIGHEST_TEMPO_BPM`."""
    key: str | None = None
    """One of `facts.KEYS`."""
    meter: str | None = None
    """One of `facts.METERS`."""
    instruments: tuple[str, ...] | None = None
    """Members of `facts.INSTRUMENTS` in its order, at least one."""
    genre: str | None = None
    """In the model's words."""
    mood: str | None = None
    """In the model's words."""
    vocals: bool | None = None
    """Whether somebody sings."""
    confidence: dict[str, float]
    """For each of `FIELDS`, in [0, 1]: the probability that the model gave the value that it stated (for the
    instruments: the geometric mean over their number); 0 for a field that is None."""
    seconds_heard: float
    """Seconds of the recording that were heard."""

    def to_json(self) -> dict[str, object]:
        """The object of the published schema."""
        plain = dataclasses.asdict(self)
        plain["instruments"] = None if self.instruments is None else list(self.instruments)
        plain["confidence"] = {name: round(value, 4) for name, value in self.confidence.items()}
        plain["seconds_heard"] = round(self.seconds_heard, 3)
        return plain


class _Stated(NamedTuple):
    value: object
    start: int
    end: int


def answer_schema() -> dict[str, object]:
    """JSON schema of what the model may answer to `QUESTION`, for decoding that admits nothing else.

    What nobody has taught a model yet may be left out; keywords that grammars for decoding do not know are not used.
    """

    def or_null(kind: dict[str, object]) -> dict[str, object]:
        return {"anyOf": [kind, {"type": "null"}]}

    word: dict[str, object] = {"type": "string", "minLength": 1, "maxLength": LONGEST_WORD}
    bounds = {"minimum": facts.LOWEST_TEMPO_BPM, "maximum": facts.HIGHEST_TEMPO_BPM}
    instruments: dict[str, object] = {
        "type": "array",
        "items": {"enum": list(facts.INSTRUMENTS)},
        "minItems": 1,
        "maxItems": len(facts.INSTRUMENTS),
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["tempo_bpm", "key", "meter", "instruments"],
        "properties": {
            "tempo_bpm": or_null({"type": "integer", **bounds}),
            "key": or_null({"enum": list(facts.KEYS)}),
            "meter": or_null({"enum": list(facts.METERS)}),
            "instruments": or_null(instruments),
            "genre": or_null(word),
            "mood": or_null(word),
            "vocals": or_null({"type": "boolean"}),
        },
    }


def read(answer: Answer, *, minimum_confidence: float = 0.0) -> Description:
    """The facts that an answer to `QUESTION` states.

    Args:
        answer: of the model. One that is not exactly one JSON object states nothing.
        minimum_confidence: in [0, 1]; a field of less confidence is None.

    Raises:
        ConfigError: if `minimum_confidence` is not in [0, 1].
    """
    if not 0.0 <= minimum_confidence <= 1.0:
        raise ConfigError(f"the minimum confidence is {minimum_confidence:g}; expected a number from 0 to 1")
    try:
        stated = _parse(answer.text)
    except (ValueError, RecursionError):  # the latter: a thousand brackets within one another
        stated = {}
    values: dict[str, object] = {}
    confidence = dict.fromkeys(FIELDS, 0.0)
    for name in FIELDS:
        value = _READERS[name](stated[name].value) if name in stated else None
        if value is None:
            continue
        sure = answer.probability_of(stated[name].start, stated[name].end)
        if isinstance(value, tuple):
            sure **= 1.0 / len(value)
        if sure >= minimum_confidence:
            values[name], confidence[name] = value, min(1.0, sure)
    return Description(confidence=confidence, seconds_heard=answer.seconds_heard, **values)  # type: ignore[arg-type]


def _parse(text: str) -> dict[str, _Stated]:
    """The members of the JSON object that `text` is, each with where its value stands; ValueError for anything else."""
    members: dict[str, _Stated] = {}
    position = _expect(text, _skip(text, 0), "{")
    while True:
        position = _skip(text, position)
        if not members and text[position : position + 1] == "}":
            break
        name, position = _DECODER.raw_decode(text, position)
        if not isinstance(name, str) or name in members:
            _not_json(f"{name!r} is not a new name")
        start = _skip(text, _expect(text, _skip(text, position), ":"))
        value, end = _DECODER.raw_decode(text, start)
        members[name] = _Stated(value, start, end)
        position = _skip(text, end)
        if text[position : position + 1] == "}":
            break
        position = _expect(text, position, ",")
    if _skip(text, position + 1) != len(text):
        _not_json("there is more than one object")
    return members


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _WHITE_SPACE:
        position += 1
    return position


def _expect(text: str, position: int, character: str) -> int:
    if text[position : position + 1] != character:
        _not_json(f"expected {character!r} at {position}")
    return position + 1


def _not_json(what: str) -> NoReturn:
    raise ValueError(what)


def _tempo(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if facts.LOWEST_TEMPO_BPM <= value <= facts.HIGHEST_TEMPO_BPM else None


def _key(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return facts.KEYS[facts.key_index(value)]
    except ConfigError:
        return None


def _meter(value: object) -> str | None:
    return value if isinstance(value, str) and value in facts.METERS else None


def _instruments(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(name for name in facts.INSTRUMENTS if name in value) or None


def _word(value: object) -> str | None:
    return value.strip() if isinstance(value, str) and 0 < len(value.strip()) <= LONGEST_WORD else None


def _vocals(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


_READERS = {
    "tempo_bpm": _tempo,
    "key": _key,
    "meter": _meter,
    "instruments": _instruments,
    "genre": _word,
    "mood": _word,
    "vocals": _vocals,
}
