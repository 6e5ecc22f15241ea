"""What a text says of a piece of music, by kinds of fact, and how much of it is right.

In: a text and a kind of fact. Out: what is stated, as JSON, or None; and a credit in [0, 1] for it beside what is true.
Reading is done by `eval.reading`; nothing is guessed. Knows no questions.

Kinds: "tempo" (beats a minute, right within 4 %), "key", "meter", "number" (right where equal), "words" (one of given
words, right where it is the one and no other is named), "instruments" (F1 of those named), "times" (F1 of the times,
each right within a second of one that is true).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mllm.eval.reading import instruments, key, meter, number, tempo, times, words
from mllm.instruct_data.dialogue import speed_word
from mllm.instruct_data.tracks import Track

TEMPO_TOLERANCE = 0.04
TIME_TOLERANCE_SECONDS = 1.0

SPEEDS: Mapping[str, Sequence[str]] = {
    "slow": ("slowly", "slow-paced", "slow-tempo", "unhurried", "leisurely"),
    "moderate": (
        "moderately",
        "moderately paced",
        "moderate-paced",
        "mid-tempo",
        "medium tempo",
        "medium-paced",
        "medium",
    ),
    "fast": ("fast-paced", "fast-tempo", "quick", "quickly", "rapid", "brisk", "up-tempo", "lively tempo"),
}
"""Words for tempo, and other words for each."""


def read(kind: str, text: str, among: Collection[str] | Mapping[str, Collection[str]] = ()) -> Any:
    """What a text states of a kind of fact, as JSON; None where it states nothing, or contradicts itself.

    Args:
        kind: see above.
        text: an answer or a caption.
        among: of kind "words", those that there are.
    """
    if kind == "words":
        return words.one(text, among)
    if kind == "instruments":
        return sorted(instruments.read(text)) or None
    if kind == "times":
        return times.read(text) or None
    return {"tempo": tempo.read, "key": key.read, "meter": meter.read, "number": number.read}[kind](text)


def score(kind: str, truth: Any, said: Any) -> float:
    """How right a statement is, both as `read` gives them; 0 for None."""
    if said is None:
        return 0.0
    if kind == "tempo":
        return float(abs(said - truth) <= TEMPO_TOLERANCE * truth)
    if kind == "instruments":
        return _f1(len(set(truth) & set(said)), len(set(truth)), len(set(said)))
    if kind == "times":
        return _f1(_matching(truth, said), len(truth), len(said))
    return float(said == truth)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counted:
    """Facts of a caption."""

    true: int
    """That are known of the piece."""
    said: int
    """That the caption states."""
    right: int
    """Of these, those that are true."""


def of_track(track: Track) -> dict[str, Any]:
    """What is known of a piece and a caption may state: tempo_bpm, key, meter, instruments."""
    known = {
        "tempo_bpm": track.tempo_bpm,
        "key": track.key,
        "meter": track.meter,
        "instruments": list(track.playing) if track.playing is not None else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def count(truth: Mapping[str, Any], caption: str) -> Counted:
    """The facts of a caption: each instrument is one, and so are key, meter and tempo.

    A tempo is a number, right within 4 %, or where there is none a word such as "slow", right as in `speed_word`.
    What is not known of the piece is not counted.

    Args:
        truth: as `of_track` gives it.
        caption: any text.
    """
    found = [_one(truth, "key", read("key", caption)), _one(truth, "meter", read("meter", caption))]
    if "tempo_bpm" in truth:
        stated, word = read("tempo", caption), read("words", caption, SPEEDS)
        right = (
            score("tempo", truth["tempo_bpm"], stated)
            if stated is not None
            else float(word == speed_word(round(truth["tempo_bpm"])))
        )
        said = stated is not None or word is not None
        found.append(Counted(true=1, said=int(said), right=int(said and right)))
    if "instruments" in truth:
        named = set(read("instruments", caption) or ())
        playing = set(truth["instruments"])
        found.append(Counted(true=len(playing), said=len(named), right=len(named & playing)))
    return Counted(
        true=sum(one.true for one in found), said=sum(one.said for one in found), right=sum(one.right for one in found)
    )


def _one(truth: Mapping[str, Any], field: str, said: Any) -> Counted:
    if field not in truth:
        return Counted(true=0, said=0, right=0)
    return Counted(true=1, said=int(said is not None), right=int(said == truth[field]))


def _f1(right: int, true: int, said: int) -> float:
    return 2 * right / (true + said) if true + said else 1.0


def _matching(truth: Sequence[float], said: Sequence[float]) -> int:
    """How many times that were said can be paired with true ones, each with its own."""
    waiting = sorted(truth)
    matched = 0
    for time in sorted(said):
        near = next((one for one in waiting if abs(one - time) <= TIME_TOLERANCE_SECONDS), None)
        if near is not None:
            waiting.remove(near)
            matched += 1
    return matched
