"""Tracks with exact labels, drawn from a seed, for tests of what is asked about them, and a check of its wordings."""

from __future__ import annotations

import random

from mllm.facts import INSTRUMENTS
from mllm.instruct_data.phrases import Phrasings, plain
from mllm.instruct_data.tracks import Span, Track

_ENSEMBLES = {
    "jazz swing": ("piano", "bass", "drums", "saxophone", "brass"),
    "rock": ("electric guitar", "bass", "drums", "organ"),
    "string quartet": ("strings", "flute", "woodwind"),
    "pop ballad": ("piano", "bass", "drums", "strings", "acoustic guitar", "synthesizer"),
    "folk dance": ("accordion", "flute", "acoustic guitar", "strings"),
    "ambient": ("synthesizer", "mallets", "choir", "harp"),
}
_FORMS = (
    ((0.0, 8.0, "intro"), (8.0, 30.0, "verse"), (30.0, 60.0, "chorus")),
    ((0.0, 30.0, "verse"), (30.0, 60.0, "solo")),
    ((0.0, 40.0, "A"), (40.0, 60.0, "B")),
)


def labelled_tracks(count: int, seed: int = 0) -> list[Track]:
    """Tracks of a minute each, as rendering would label them."""
    return [_track(random.Random(f"{seed}/{number}"), number) for number in range(count)]


def _track(rng: random.Random, number: int) -> Track:
    style = rng.choice(sorted(_ENSEMBLES))
    pool = _ENSEMBLES[style]
    chosen = rng.sample(pool, rng.randint(len(pool) - 2, len(pool)))
    playing = tuple(name for name in INSTRUMENTS if name in chosen)
    tempo, key = float(rng.choice((60, 72, 104, 112, 144, 150))), rng.choice(("C major", "A minor", "D dorian"))
    return Track(
        id=f"t{number}",
        path=f"audio/{number}.flac",
        source="rendered",
        licence="CC0-1.0",
        family=f"f{number}",
        seconds=60.0,
        tempo_bpm=tempo,
        tempo_curve=((0.0, tempo), (20.0, tempo * 1.2)) if rng.random() < 0.4 else ((0.0, tempo),),
        meter=rng.choice(("4/4", "3/4")),
        key=key,
        keys=((0.0, key), (30.0, "G major")) if rng.random() < 0.4 else ((0.0, key),),
        activity={name: _spans(rng) for name in playing},
        instruments=playing,
        absent=tuple(name for name in INSTRUMENTS if name not in playing),
        sections=rng.choice(_FORMS),
        style=style,
        moods=tuple(rng.sample(("calm", "dark", "happy", "dreamy"), 2)),
        vocals=False,
        tags=tuple(rng.sample(("acoustic", "relaxing", "soundtrack", "energetic"), 2)),
    )


def _spans(rng: random.Random) -> tuple[Span, ...]:
    begin, end = rng.choice((0.0, 4.0, 9.5)), rng.choice((60.0, 52.5))
    return ((begin, end),) if rng.random() < 0.6 else ((begin, 20.0), (31.0, end))


def check_wordings(phrasings: Phrasings) -> None:
    """At least 20 ways of asking in training, at least 8 kept from it, none in both."""
    rng = random.Random(0)
    said = {plain(phrasings.choose(rng, held_out=False)) for _ in range(1500)}
    kept = {plain(one) for one in phrasings.held_out}
    assert len(said) >= 20
    assert len(kept) >= 8
    assert not said & kept
