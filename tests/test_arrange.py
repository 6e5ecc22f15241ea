"""Arrangement: harmony, patterns and clips obey what the labels say, for every kind of tune and many seeds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from mllm import facts
from mllm.instruct_data import patterns
from mllm.instruct_data.arrange import Arrangement, arrange
from mllm.instruct_data.harmony import flip_mode, harmonise, mode_of, tonic_of, transpose
from mllm.instruct_data.instruments import into_range, pick_program, range_of
from mllm.instruct_data.performance import LEAST_DRUM_HITS, QUIETEST_PART_DB
from mllm.instruct_data.scores import BAR_QUARTERS, Chord, Tune, key_is_certain

SEEDS = range(9)


def tune_of(kind: str, meter: str = "4/4", key: str = "C major", bars: int = 24) -> Tune:
    """A tune of eighths on the scale of `key`, with what its kind needs."""
    steps = (0, 2, 4, 5, 7, 9, 11, 12) if mode_of(key) == "major" else (0, 2, 3, 5, 7, 8, 11, 12)
    order = (0, 2, 4, 7, 4, 2, 5, 3, 4, 1, 6, 7, 0, 4, 2, 1)
    bar = BAR_QUARTERS[meter]
    count = int(bars * bar / 0.5)
    base = 60 + tonic_of(key)
    rows = [(i * 0.5, 0.45, base + steps[order[i % 16]], 0) for i in range(count)]
    voices = {"parts": (1, 2, 3), "song": (1, 2)}.get(kind, ())
    for voice in voices:
        rows += [
            (i * 1.0, 0.95, base - 12 * (voice % 2) + steps[(0, 4, 2, 4)[i % 4]], voice) for i in range(int(bars * bar))
        ]
    chords = tuple(
        Chord(
            onset=i * bar,
            duration=bar,
            root=(base + (0, 7)[i % 2]) % 12,
            quality=_quality(key, i),
            bass=(base + (0, 7)[i % 2]) % 12,
        )
        for i in range(bars)
    )
    notes = np.array(sorted(rows), dtype=np.float64)
    return Tune(
        id=f"made/{kind}",
        title="made",
        family="made",
        source="made",
        licence="CC0",
        kind=kind,
        key=key,
        meter=meter,
        notes=notes,
        chords=chords if kind in ("leadsheet", "song") else (),
    )


def _quality(key: str, index: int) -> str:
    return "7" if index % 2 else ("maj" if mode_of(key) == "major" else "min")


def degrees(tune: Tune) -> NDArray[np.int64]:
    return (tune.notes[:, 2].astype(np.int64) - tonic_of(tune.key)) % 12


def arrangements() -> list[tuple[str, Arrangement]]:
    tunes = [tune_of(kind) for kind in ("melody", "leadsheet", "parts", "song")]
    tunes += [tune_of("melody", meter) for meter in facts.METERS]
    return [(tune.kind, arrange(tune, np.random.default_rng(seed))) for tune in tunes for seed in SEEDS]


@pytest.fixture(scope="module")
def all_arrangements() -> list[tuple[str, Arrangement]]:
    return arrangements()


@pytest.mark.parametrize("key", ["C major", "A minor", "F# major"])
def test_harmony_starts_near_and_ends_on_the_tonic(key: str) -> None:
    tune = harmonise(tune_of("melody", key=key), slots_per_bar=2)
    assert len(tune.chords) == 2 * tune.bars
    assert tune.chords[-1].root == tonic_of(key)
    assert tune.chords[-1].quality == ("maj" if key.endswith("major") else "min")
    scale = {(p - tonic_of(key)) % 12 for chord in tune.chords for p in chord.pitch_classes()}
    assert scale <= ({0, 2, 4, 5, 7, 9, 11} if key.endswith("major") else {0, 2, 3, 5, 7, 8, 10, 11})


def test_harmony_follows_the_melody() -> None:
    tune = tune_of("melody", bars=4)
    pitches = {0: (60, 64, 67), 1: (65, 69, 72), 2: (67, 71, 74), 3: (60, 64, 67)}
    notes = np.array([(b * 4 + i, 1.0, p, 0) for b, ps in pitches.items() for i, p in enumerate((*ps, ps[0]))])
    chords = harmonise(dataclasses.replace(tune, notes=notes)).chords
    assert [chord.root for chord in chords] == [0, 5, 7, 0]


@pytest.mark.parametrize("semitones", [-5, 0, 6])
def test_transposition_moves_notes_chords_and_key_together(semitones: int) -> None:
    tune = tune_of("leadsheet", key="A minor")
    moved = transpose(tune, semitones)
    np.testing.assert_array_equal(moved.notes[:, 2] - tune.notes[:, 2], semitones)
    assert moved.key == facts.KEYS[(9 + semitones) % 12 + 12]
    assert moved.chords[0].root == (tune.chords[0].root + semitones) % 12
    np.testing.assert_array_equal(degrees(moved), degrees(tune))


@pytest.mark.parametrize("kind", ["melody", "leadsheet", "parts", "song"])
@pytest.mark.parametrize("key", ["C major", "E minor"])
def test_mode_flip_gives_the_parallel_key_and_keeps_it_certain(kind: str, key: str) -> None:
    tune = tune_of(kind, key=key)
    flipped = flip_mode(harmonise(tune) if kind == "melody" else tune)
    assert tonic_of(flipped.key) == tonic_of(key)
    assert mode_of(flipped.key) != mode_of(key)
    assert key_is_certain(flipped.notes, flipped.key)
    assert set(degrees(flipped)) <= ({0, 2, 4, 5, 7, 9, 11} if mode_of(key) == "minor" else {0, 2, 3, 5, 7, 8, 10, 11})


def test_the_dominant_keeps_its_leading_note_in_minor() -> None:
    tune = tune_of("leadsheet")
    tune.notes[::2, 2] = 71
    flipped = flip_mode(tune)
    assert {(chord.root, chord.quality) for chord in flipped.chords} == {(0, "min"), (7, "7")}
    sevenths = degrees(tune) == 11
    over_dominant = (tune.notes[:, 0] // 4) % 2 == 1
    assert set(degrees(flipped)[sevenths & over_dominant]) == {11}
    assert set(degrees(flipped)[sevenths & ~over_dominant]) == {10}


def test_same_generator_state_gives_the_same_arrangement() -> None:
    first, second = (arrange(tune_of("song"), np.random.default_rng(5)) for _ in range(2))
    assert (first.key, first.tempo_bpm, first.activity) == (second.key, second.tempo_bpm, second.activity)
    for one, other in zip(first.parts, second.parts, strict=True):
        np.testing.assert_array_equal(one.notes, other.notes)


def test_beats_are_steady_and_bars_have_the_beats_of_the_meter(all_arrangements: list[tuple[str, Arrangement]]) -> None:
    for _, clip in all_arrangements:
        beat = 60 / clip.tempo_bpm
        assert 40 <= clip.tempo_bpm <= 201
        np.testing.assert_allclose(np.diff(clip.beats), beat, atol=1e-9)
        per_bar = BAR_QUARTERS[clip.meter] / patterns.beat_quarters(clip.meter)
        np.testing.assert_allclose(np.diff(clip.downbeats), beat * per_bar, atol=1e-9)
        assert np.abs(clip.downbeats[:, None] - clip.beats).min(axis=1).max(initial=0) < 1e-9
        assert clip.beats.min() >= 0
        assert clip.beats.max() < clip.seconds
        assert clip.seconds - clip.beats.max() <= beat + 1e-9


def test_notes_lie_on_the_grid_of_the_beats(all_arrangements: list[tuple[str, Arrangement]]) -> None:
    for kind, clip in all_arrangements:
        if kind != "parts" or clip.lead_seconds == 0:
            continue
        onsets = np.concatenate([part.notes[:, 0] for part in clip.parts if not part.is_drums])
        sixteenth = 60 / clip.tempo_bpm / 4
        phase = (onsets - clip.beats[0]) / sixteenth
        distance = np.abs(phase - np.round(phase)) * sixteenth
        assert np.median(distance) < 0.02


def test_labelled_instruments_are_those_that_sound(all_arrangements: list[tuple[str, Arrangement]]) -> None:
    for _, clip in all_arrangements:
        assert list(clip.activity) == [name for name in facts.INSTRUMENTS if name in clip.activity]
        assert set(clip.activity) == {part.instrument for part in clip.parts}
        for part in clip.parts:
            assert QUIETEST_PART_DB <= part.gain_db <= 0
            inside = part.notes[(part.notes[:, 0] >= 0) & (part.notes[:, 0] < clip.seconds)]
            assert len(inside) >= (LEAST_DRUM_HITS if part.is_drums else 1)
            assert part.is_drums or facts.instrument_of_program(part.program) == part.instrument
            spans = clip.activity[part.instrument]
            assert all(0 <= start < stop <= clip.seconds for start, stop in spans)
            for onset in inside[:, 0]:
                assert any(start - 1e-3 <= onset <= stop + 1e-3 for start, stop in spans)
        assert max(part.gain_db for part in clip.parts) == 0


def test_pitches_are_playable_and_notes_of_one_pitch_never_overlap(
    all_arrangements: list[tuple[str, Arrangement]],
) -> None:
    for _, clip in all_arrangements:
        for part in clip.parts:
            assert part.notes[:, 2].min() >= 21
            assert part.notes[:, 2].max() <= 108
            assert (part.notes[:, 1] > part.notes[:, 0]).all()
            for pitch in np.unique(part.notes[:, 2]):
                same = part.notes[part.notes[:, 2] == pitch]
                assert (same[1:, 0] >= same[:-1, 1]).all()


def test_keys_modes_and_drums_are_spread(all_arrangements: list[tuple[str, Arrangement]]) -> None:
    clips = [clip for _, clip in all_arrangements]
    assert len({tonic_of(clip.key) for clip in clips}) >= 10
    assert 0.3 < np.mean([clip.key.endswith("minor") for clip in clips]) < 0.6
    assert 0.3 < np.mean(["drums" in clip.activity for clip in clips]) < 0.75
    assert {name for clip in clips for name in clip.activity} == set(facts.INSTRUMENTS)


@pytest.mark.parametrize("meter", facts.METERS)
@pytest.mark.parametrize("name", sorted(patterns.HARMONY))
def test_harmony_patterns_play_chord_tones_inside_the_bars(name: str, meter: str) -> None:
    bar = BAR_QUARTERS[meter]
    chords = tuple(Chord(onset=i * bar, duration=bar, root=7 * i % 12, quality="7", bass=7 * i % 12) for i in range(6))
    bars = patterns.Bars(meter=meter, count=6, chords=chords)
    rows = patterns.HARMONY[name](bars, 60.0, np.random.default_rng(1))
    assert rows
    for onset, duration, pitch, velocity in rows:
        chord = chords[int((onset + 1e-6) // bar)]
        assert pitch % 12 in {*chord.pitch_classes(), (chord.root + 7) % 12}
        assert 0 <= onset < bars.end
        assert duration > 0
        assert 1 <= velocity <= 127


@pytest.mark.parametrize("meter", facts.METERS)
def test_drums_stay_inside_the_bars(meter: str) -> None:
    bars = patterns.Bars(meter=meter, count=8, chords=())
    for seed in SEEDS:
        rows = np.array(patterns.drum_track(bars, np.random.default_rng(seed)))
        assert rows[:, 0].min() >= 0
        assert rows[:, 0].max() < bars.end
        assert len(rows) >= 8


def test_lines_fold_into_the_range_of_the_instrument() -> None:
    flute = pick_program(np.random.default_rng(0), "flute")
    low, high = range_of("flute", flute)
    moved = into_range(np.arange(30.0, 60.0), low, high)
    assert moved.min() >= low
    assert moved.max() <= high
    np.testing.assert_array_equal(moved % 12, np.arange(30.0, 60.0) % 12)
