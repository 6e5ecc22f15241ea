"""Tunes as whole pieces: what is told is true of the notes, for every kind of tune and several lengths."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.typing import NDArray

from mllm import facts
from mllm.instruct_data.compose_tune import STYLES, compose_tune
from mllm.instruct_data.composition import Composition
from mllm.instruct_data.harmony import mode_of, tonic_of
from mllm.instruct_data.patterns import beat_quarters
from mllm.instruct_data.scores import BAR_QUARTERS, KINDS, Chord, Tune, key_correlations, pitch_class_weights

CASES = [(kind, "4/4") for kind in KINDS] + [("melody", meter) for meter in facts.METERS if meter != "4/4"]
WISHED = (20.0, 60.0, 150.0)


def tune_of(kind: str, meter: str = "4/4", key: str = "G major", bars: int = 16, upbeat: bool = False) -> Tune:
    """A tune of eighths on the scale of `key`, with what its kind needs."""
    steps = (0, 2, 4, 5, 7, 9, 11, 12) if mode_of(key) == "major" else (0, 2, 3, 5, 7, 8, 11, 12)
    order = (0, 2, 4, 7, 4, 2, 5, 3, 4, 1, 6, 7, 0, 4, 2, 1)
    bar = BAR_QUARTERS[meter]
    base = 60 + tonic_of(key)
    count = int(bars * bar / 0.5)
    rows = [(i * 0.5, 0.45, base + steps[order[i % 16]], 0) for i in range(count)]
    if upbeat:
        rows = [row for row in rows if bar - 1.0 <= row[0] < bars * bar - 1.0]
    for voice in {"parts": (1, 2, 3), "song": (1, 2)}.get(kind, ()):
        rows += [
            (float(i), 0.95, base - 12 * min(voice, 2) + steps[(0, 4, 2, 4)[i % 4]], voice)
            for i in range(int(bars * bar))
        ]
    roots = [(base + (0, 5, 7, 0)[i % 4]) % 12 for i in range(bars)]
    third = "maj" if mode_of(key) == "major" else "min"
    qualities = [(third, third, "7", third)[i % 4] for i in range(bars)]
    chords = tuple(
        Chord(onset=i * bar, duration=bar, root=root, quality=quality, bass=root)
        for i, (root, quality) in enumerate(zip(roots, qualities, strict=True))
    )
    return Tune(
        id=f"made/{kind}",
        title="A made tune",
        family="made tune",
        source="made",
        licence="CC0-1.0",
        kind=kind,
        key=key,
        meter=meter,
        notes=np.array(sorted(rows), dtype=np.float64),
        chords=chords if kind in ("leadsheet", "song") else (),
    )


@functools.cache
def pieces(kind: str, meter: str) -> tuple[tuple[float, Composition], ...]:
    return tuple(
        (
            seconds,
            compose_tune(
                tune_of(kind, meter),
                np.random.default_rng((CASES.index((kind, meter)), seed, int(seconds))),
                seconds=seconds,
            ),
        )
        for seconds in WISHED
        for seed in range(6)
    )


def seconds_of(piece: Composition) -> float:
    """Length of a piece whose tempo is steady."""
    return piece.end / beat_quarters(piece.meter) * 60 / piece.tempos[0].bpm


def pitched(piece: Composition) -> NDArray[np.float64]:
    return np.concatenate([line.rows for line in piece.lines if line.role != "drums"])


@pytest.mark.parametrize(("kind", "meter"), CASES)
def test_names_licence_and_meter_are_those_of_the_tune(kind: str, meter: str) -> None:
    for _, piece in pieces(kind, meter):
        assert (piece.title, piece.family, piece.source) == ("A made tune", "made tune", "made")
        assert piece.licence == "CC0-1.0"
        assert piece.meter == meter
        assert piece.style == STYLES[kind]


@pytest.mark.parametrize(("kind", "meter"), CASES)
def test_pieces_are_about_as_long_as_wished_and_end_with_a_bar(kind: str, meter: str) -> None:
    for wished, piece in pieces(kind, meter):
        bars = piece.end / BAR_QUARTERS[meter]
        assert abs(bars - round(bars)) < 1e-6
        if len(piece.tempos) == 1:
            assert abs(seconds_of(piece) / wished - 1) < 0.15


@pytest.mark.parametrize(("kind", "meter"), CASES)
def test_sections_cover_the_piece_and_notes_stay_inside(kind: str, meter: str) -> None:
    for _, piece in pieces(kind, meter):
        ends = [section.end for section in piece.sections]
        assert [section.onset for section in piece.sections] == [0.0, *ends[:-1]]
        assert ends[-1] == piece.end
        for line in piece.lines:
            assert line.rows[:, 0].min() >= 0
            assert (line.rows[:, 0] + line.rows[:, 1]).max() <= piece.end + 1e-6
            assert (np.diff(line.rows[:, 0]) >= 0).all()
            if line.role != "drums":
                assert facts.instrument_of_program(line.program) == line.instrument
                for value in np.unique(line.rows[:, 2]):
                    rows = line.rows[line.rows[:, 2] == value]
                    assert (rows[1:, 0] >= rows[:-1, 0] + rows[:-1, 1] - 1e-6).all()


@pytest.mark.parametrize(("kind", "meter"), CASES)
def test_the_tune_sounds_from_beginning_to_end(kind: str, meter: str) -> None:
    for _, piece in pieces(kind, meter):
        onsets = np.unique(np.concatenate([line.rows[:, 0] for line in piece.lines if line.role == "melody"]))
        assert onsets[0] == 0
        assert np.diff(onsets).max() <= 0.5 + 1e-6
        assert onsets[-1] >= piece.end - 1.0


@pytest.mark.parametrize(("kind", "meter"), CASES)
def test_the_key_is_that_of_the_notes(kind: str, meter: str) -> None:
    for _, piece in pieces(kind, meter):
        (key,) = piece.keys
        correlations = key_correlations(pitch_class_weights(pitched(piece)))
        own = correlations[key.tonic + (12 if key.mode == "minor" else 0)]
        assert own > correlations.max() - 0.15


@pytest.mark.parametrize("kind", ["melody", "leadsheet", "song"])
def test_told_chords_sound(kind: str) -> None:
    told = 0.0
    for _, piece in pieces(kind, "4/4"):
        rows = pitched(piece)
        for chord in piece.chords:
            end = chord.onset + chord.duration
            during = rows[(rows[:, 0] < end - 0.05) & (rows[:, 0] + rows[:, 1] > chord.onset + 0.05)]
            assert set(during[:, 2].astype(int) % 12) >= set(chord.pitch_classes()) - {(chord.root + 7) % 12}
            told += chord.duration
    assert told > 0.6 * sum(piece.end for _, piece in pieces(kind, "4/4"))


def test_chords_of_independent_parts_are_not_told() -> None:
    assert all(piece.chords == () for _, piece in pieces("parts", "4/4"))


def test_the_same_generator_state_gives_the_same_piece() -> None:
    first, second = (compose_tune(tune_of("song"), np.random.default_rng(3), seconds=60.0) for _ in range(2))
    assert (first.keys, first.tempos, first.chords) == (second.keys, second.tempos, second.chords)
    for one, other in zip(first.lines, second.lines, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)


def test_keys_and_modes_vary_and_players_enter_late() -> None:
    found = [piece for kind, meter in CASES for _, piece in pieces(kind, meter)]
    assert len({piece.keys[0].tonic for piece in found}) == 12
    assert 0.35 < np.mean([piece.keys[0].mode == "minor" for piece in found]) < 0.65
    late = [line.rows[0, 0] >= BAR_QUARTERS[piece.meter] for piece in found for line in piece.lines]
    assert np.mean(late) > 0.1
    assert 0.2 < np.mean([piece.drum_pattern is not None for piece in found]) < 0.7


def test_an_upbeat_sounds_before_every_pass() -> None:
    tune = tune_of("melody", bars=8, upbeat=True)
    piece = compose_tune(tune, np.random.default_rng(2), seconds=90.0)
    melody = np.sort(np.concatenate([line.rows[:, 0] for line in piece.lines if line.role == "melody"]))
    assert melody[0] == 3.0
    assert piece.end > 2 * 8 * 4
    assert np.diff(np.unique(melody)).max() <= 0.5 + 1e-6


def test_a_tune_that_is_longer_than_wished_ends_with_a_part() -> None:
    piece = compose_tune(tune_of("leadsheet", bars=120), np.random.default_rng(4), seconds=40.0)
    assert len(piece.sections) < 8
    assert piece.end < 120 * 4
    assert piece.sections[-1].end == piece.end
