"""Shared by the tasks that ask about one recording: which ones, and how a question about one is made.

In: `Music`, and what must be known of a recording. Out: tracks, in an order that only the seed decides, and questions.
Knows no fact and no score.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mllm.eval.blind import Way
from mllm.eval.music import Music
from mllm.eval.questions import Question, asked
from mllm.instruct_data import statements
from mllm.instruct_data.dialogue import speed_word
from mllm.instruct_data.exchanges import Draw
from mllm.instruct_data.phrases import with_article
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import STATEMENTS
from mllm.messages import Audio

MOST_OF_A_SOURCE = 500
"""Recordings of one benchmark that are asked about, at most."""
_UNCLEAR = 0.06
"""A tempo no farther than this share from a border between slow, moderate and fast is called neither."""


def rendered(music: Music, usual: int, wanted: Callable[[Track], bool]) -> list[Track]:
    """The first rendered pieces of which something is known, where `usual` is the whole number of questions."""
    return [track for track in music.short() if wanted(track)][: music.count(usual)]


def given(music: Music, keys: Sequence[str], wanted: Callable[[Track], bool]) -> list[Track]:
    """Recordings of the benchmarks whose folders were given: of their test part, where they have one.

    Raises:
        AbsentError: a folder was given that cannot be used.
    """
    found = []
    for key in keys:
        if music.has(key):
            tracks = [track for track in music.source_tracks(key) if wanted(track)]
            tested = [track for track in tracks if track.split == "test"] or tracks
            drawn = sorted(tested, key=lambda track: hashlib.sha256(f"{music.seed}/{track.id}".encode()).digest())
            found += drawn[: music.count(MOST_OF_A_SOURCE)]
    return found


def chance(music: Music, *names: str) -> Draw:
    """Where the choices of one question come from; wordings are those that training never uses."""
    return Draw(rng=random.Random("/".join((str(music.seed), *names))), held_out=True)


def question(track: Track, name: str, text: str, **fields: Any) -> Question:
    """A question about one recording.

    Args:
        track: that is asked about.
        name: of the question among those about the track.
        text: what is asked.
        **fields: of the `Question`.
    """
    kinds = {"source": track.source, **fields.pop("groups", {})}
    return Question(
        id=f"{track.id}/{name}", messages=asked(text, [recording(track)]), unit=track.id, groups=kinds, **fields
    )


def told(track: Track, draw: Draw) -> str:
    """Tempo, key, meter and instruments of a track in English, as far as they are known, in held-out wordings."""
    playing = track.playing or ()
    values = {
        "tempo": None if track.tempo_bpm is None else str(round(track.tempo_bpm)),
        "key": track.key,
        "meter": track.meter,
        "instruments": statements.join([with_article(name) for name in playing]) if playing else None,
    }
    return " ".join(
        STATEMENTS[field].choose(draw.rng, held_out=True).format(x=value)
        for field, value in values.items()
        if value is not None
    )


def with_more(question: str, more: str) -> str:
    """A question and a sentence behind it."""
    return f"{question}{'' if question.endswith(('.', '?', '!')) else '?'} {more}"


def recording(track: Track) -> Audio:
    """The recording of a track."""
    return Audio(source=Path(track.path), start=track.start, end=track.end)


def balanced(tracks: Sequence[Track], label_of: Callable[[Track], str | None], each: int) -> list[tuple[Track, str]]:
    """The first tracks of each label, as many of every label, at most `each`, in the order of the tracks."""
    by_label: dict[str, list[Track]] = {}
    for track in tracks:
        label = label_of(track)
        if label is not None:
            by_label.setdefault(label, []).append(track)
    count = min([each, *(len(of_label) for of_label in by_label.values())])
    kept = {track.id: label for label, of_label in by_label.items() for track in of_label[:count]}
    return [(track, kept[track.id]) for track in tracks if track.id in kept]


def constants(texts: Sequence[str]) -> list[Way]:
    """Ways of answering blindly that say the same each time."""

    def always(text: str) -> Way:
        return lambda _: text

    return [always(text) for text in texts]


def commonest(labels: Sequence[Sequence[str]]) -> list[str]:
    """Lists of the commonest labels, from one to all, as text: what someone says who knows what is common.

    Args:
        labels: those of each question.
    """
    counts = Counter(label for of_one in labels for label in of_one)
    ranked = sorted(counts, key=lambda label: (-counts[label], label))
    return [", ".join(ranked[:count]) for count in range(1, len(ranked) + 1)] or [""]


def speed(track: Track) -> str | None:
    """Slow, moderate or fast; None where the tempo is not known, changes between them or is near a border."""
    if track.tempo_bpm is None:
        return None
    tempi = [track.tempo_bpm, *(bpm for _, bpm in track.tempo_curve or ())]
    words = {speed_word(round(bpm * factor)) for bpm in tempi for factor in (1 - _UNCLEAR, 1 + _UNCLEAR)}
    return words.pop() if len(words) == 1 else None
