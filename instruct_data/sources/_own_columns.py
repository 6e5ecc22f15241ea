"""What the columns of a user's own table mean, and what stands in its cells.

In: the names of columns and the fields of a row. Out: an `Entry` with checked values, or one sentence about all that is
wrong in the row. Names of columns may be spelt in capitals, with blanks or hyphens. Opens no file.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mllm.errors import ConfigError, MessageError
from mllm.facts import METERS
from mllm.instruct_data.sources import _vocabulary

MEANINGS: Mapping[str, tuple[str, ...]] = {
    "file": ("file_name", "filename", "file", "path", "file_path", "filepath", "audio", "audio_file", "audio_path"),
    "id": ("id", "track_id"),
    "caption": ("caption", "text", "description"),
    "question": ("question",),
    "answer": ("answer",),
    "tags": ("tags", "tag"),
    "style": ("genre", "genres", "style", "styles"),
    "moods": ("mood", "moods"),
    "instruments": ("instruments", "instrument"),
    "vocals": ("vocals", "vocal"),
    "tempo": ("tempo", "bpm", "tempo_bpm"),
    "key": ("key",),
    "meter": ("meter", "metre", "time_signature"),
    "title": ("title",),
    "artist": ("artist",),
    "album": ("album",),
    "family": ("family",),
    "licence": ("licence", "license"),
    "split": ("split",),
    "start": ("start",),
    "end": ("end",),
}
"""What is read, and the names of columns that mean it, the first the best."""

LOWEST_TEMPO, HIGHEST_TEMPO = 10.0, 500.0
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
}
_NOT_KNOWN = frozenset(("", "-", "?", "n/a", "na", "nan", "none", "null", "unknown"))
_TRUTH = {**dict.fromkeys(("yes", "true", "1", "y"), True), **dict.fromkeys(("no", "false", "0", "n"), False)}
_MEANING_OF = {name: meaning for meaning, names in MEANINGS.items() for name in names}
_METER = re.compile(r"\d{1,2}/(1|2|4|8|16|32)")
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One row, read."""

    file: str
    id: str | None
    captions: tuple[str, ...]
    question: tuple[str, str] | None
    """With its answer."""
    licence: str | None
    split: str | None
    family: str | None
    start: float | None
    end: float | None
    facts: Mapping[str, Any]
    """Fields of a `Track` of which something is said."""


def meaning(column: str) -> str | None:
    """What a column means, or None."""
    return _MEANING_OF.get(re.sub(r"[\s-]+", "_", column.strip().lower()))


def about_unknown(columns: Sequence[str]) -> str | None:
    """A sentence about the columns that mean nothing here, or None."""
    unknown = [column for column in columns if meaning(column) is None]
    if not unknown:
        return None
    hints = [(name, difflib.get_close_matches(name.lower(), _MEANING_OF, n=1, cutoff=0.65)) for name in unknown]
    told = ", ".join(f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else "") for name, near in hints)
    return f"not read, because these names of columns are not known: {told}"


def check(columns: Sequence[str], place: str) -> None:
    """Refuse a table that names no recordings.

    Raises:
        ConfigError: no column means a file.
    """
    if all(meaning(column) != "file" for column in columns):
        raise ConfigError(
            f"{place} has no column for the recording; its columns are {', '.join(map(repr, columns)) or '(none)'}; "
            f"expected {MEANINGS['file'][0]} (or {', '.join(MEANINGS['file'][1:])}) and any of caption, question and "
            f"answer, {', '.join(name for name in MEANINGS if name not in ('file', 'caption', 'question', 'answer'))}"
        )


def entry(fields: Mapping[str, Any]) -> Entry:
    """Read a row.

    Args:
        fields: by column; texts, or what JSON has.

    Raises:
        MessageError: something in it cannot be; the sentence says all that is wrong.
    """
    by_meaning: dict[str, list[Any]] = {}
    for column, value in fields.items():
        if (means := meaning(column)) is not None and not _empty(value):
            by_meaning.setdefault(means, []).append(value)
    problems: list[str] = []

    def read(means: str, convert: Callable[[Any], Any]) -> Any:
        try:
            return convert(by_meaning[means][0]) if means in by_meaning else None
        except MessageError as error:
            problems.append(f"{means} {error}")
            return None

    captions = tuple(dict.fromkeys(filter(None, (_as(_text, one, problems) for one in by_meaning.get("caption", ())))))
    question, answer = read("question", _text), read("answer", _text)
    if (question is None) != (answer is None):
        problems.append(f"{'question' if question is None else 'answer'} is empty; give both or neither")
    facts = {"title": read("title", _text), "tempo_bpm": read("tempo", _tempo), "key": read("key", _key)}
    facts |= _words(read("meter", _meter), {name: read(name, words) for name in _LISTED}, read("vocals", _truth))
    start, end = read("start", seconds), read("end", seconds)
    if end is not None and end <= (start or 0.0):
        problems.append(f"the stretch from {start or 0.0:g} s to {end:g} s is empty; give an end after the start")
    made = Entry(
        file=read("file", _text) or "",
        id=read("id", _name),
        captions=captions,
        question=(question, answer) if question and answer else None,
        licence=read("licence", _text),
        split=read("split", split),
        family=read("family", _text),
        start=start,
        end=end,
        facts={name: value for name, value in facts.items() if value is not None},
    )
    if not made.file and "file" not in by_meaning:
        problems.append("the name of the recording is empty; give its path in the folder")
    if problems:
        raise MessageError("; ".join(problems))
    return made


def words(value: Any) -> tuple[str, ...]:
    """A list, or a text with "|", ";" or "," between its words."""
    if isinstance(value, list):
        return tuple(filter(None, (_text(one) for one in value)))
    text = _text(value)
    separator = next((one for one in "|;" if one in text), ",")
    return tuple(word for part in text.split(separator) if (word := part.strip()))


def split(value: Any) -> str:
    """One of `tracks.SPLITS`, under the names that people give them."""
    name = _SPLITS.get(_text(value).lower())
    if name is None:
        raise MessageError(f"is {value!r}; expected train, validation or test")
    return name


def seconds(value: Any) -> float:
    """A time in a recording: "12.5", "1:23" or "1:02:03"."""
    clock = _CLOCK.fullmatch(str(value).strip())
    if clock:
        return 3600 * float(clock[1] or 0) + 60 * float(clock[2]) + float(clock[3])
    number = _number(value)
    if number < 0:
        raise MessageError(f"is {value!r}; expected seconds from the beginning, at least 0")
    return number


_LISTED = ("tags", "style", "moods", "instruments")


def _words(meter: str | None, lists: Mapping[str, tuple[str, ...] | None], vocals: bool | None) -> dict[str, Any]:
    """Everything that is told in words, as fields of a track."""
    styles = [_vocabulary.genre(one) for one in lists["style"] or ()]
    odd = [f"{meter} time"] if meter and meter not in METERS else []
    given = [*(lists["tags"] or ()), *styles, *odd]
    named = _vocabulary.sorted_tags(
        given, genres=styles, instruments=lists["instruments"] or (), moods=lists["moods"] or ()
    )
    fields = named.fields() | {"meter": meter if meter in METERS else None}
    if lists["moods"]:  # who has a column for moods means them, whatever the words
        fields["moods"] = tuple(dict.fromkeys(one.lower() for one in lists["moods"]))
    return fields | ({"vocals": vocals} if vocals is not None else {})


def _as(convert: Callable[[Any], Any], value: Any, problems: list[str]) -> Any:
    try:
        return convert(value)
    except MessageError as error:
        problems.append(f"caption {error}")
        return None


def _empty(value: Any) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise MessageError(f"is {value!r}; expected a text")
    return str(value).strip()


def _name(value: Any) -> str:
    text = _text(value)
    if not text.isprintable():
        raise MessageError(f"is {text[:80]!a}; expected no line break and no control character in it")
    return text


def _number(value: Any) -> float:
    text = str(value).strip()
    text = text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
    try:
        number = math.nan if isinstance(value, bool) else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise MessageError(f"is {value!r}; expected a number")
    return number


def _tempo(value: Any) -> float | None:
    text = str(value).strip().lower().removesuffix("bpm").strip()
    if text in _NOT_KNOWN:
        return None
    tempo = _number(text)
    if not LOWEST_TEMPO <= tempo <= HIGHEST_TEMPO:
        raise MessageError(f"is {value!r}; expected {LOWEST_TEMPO:g} to {HIGHEST_TEMPO:g} beats a minute")
    return tempo


def _key(value: Any) -> str | None:
    text = _text(value)
    key = _vocabulary.key(text)
    if key is None and text.lower() not in _NOT_KNOWN:
        raise MessageError(f"is {text!r}; expected one such as 'F# minor', 'Bb major' or 'D dorian'")
    return key


def _meter(value: Any) -> str | None:
    text = _text(value).replace(" ", "")
    if text.lower() in _NOT_KNOWN:
        return None
    if not _METER.fullmatch(text):
        raise MessageError(f"is {value!r}; expected one such as '4/4' or '6/8'")
    return text


def _truth(value: Any) -> bool | None:
    word = str(value).strip().lower()
    if word in _NOT_KNOWN:
        return None
    if word not in _TRUTH:
        raise MessageError(f"is {value!r}; expected yes or no")
    return _TRUTH[word]
