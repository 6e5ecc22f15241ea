"""Playing: clocks that are exact through every change of tempo, timing within its bounds, articulation, dynamics."""

from __future__ import annotations

import numpy as np
import pytest

from mllm.instruct_data import playing
from mllm.instruct_data.composition import TempoFrom
from mllm.instruct_data.playing import Clock, play
from tests import tiny_compositions
from tests.tiny_compositions import END, line

CHANGING = (
    TempoFrom(onset=0.0, bpm=120.0),
    TempoFrom(onset=6.5, bpm=90.0),
    TempoFrom(onset=12.0, bpm=90.0),
    TempoFrom(onset=20.0, bpm=150.0, gradual=True),
    TempoFrom(onset=END, bpm=60.0, gradual=True),
)


def tempo_at(quarter: float) -> float:
    """The tempo of `CHANGING` as its docstring has it, written out."""
    if quarter < 6.5:
        return 120.0
    if quarter < 12.0:
        return 90.0
    if quarter < 20.0:
        return 90.0 + (quarter - 12.0) / 8.0 * 60.0
    return 150.0 - (quarter - 20.0) / (END - 20.0) * 90.0


@pytest.mark.parametrize("beat_quarters", [1.0, 1.5])
def test_seconds_are_the_integral_of_the_tempo(beat_quarters: float) -> None:
    clock = Clock(CHANGING, beat_quarters=beat_quarters, lead_seconds=0.25)
    step = 1e-4
    middles = np.arange(0.0, END, step) + step / 2
    summed = 0.25 + np.cumsum([60.0 / tempo_at(float(at)) / beat_quarters * step for at in middles])
    for quarter in (1.0, 6.5, 7.0, 12.0, 15.5, 20.0, 31.0):
        assert float(clock.seconds(quarter)) == pytest.approx(summed[round(quarter / step) - 1], abs=1e-5)
    assert float(clock.seconds(-1.0)) == pytest.approx(0.25 - 0.5 / beat_quarters)


@pytest.mark.parametrize("beat_quarters", [1.0, 1.5])
def test_counting_along_the_curve_leads_to_the_beats(beat_quarters: float) -> None:
    clock = Clock(CHANGING, beat_quarters=beat_quarters, lead_seconds=0.3)
    curve = clock.curve(END)
    assert curve[0] == (0.0, 120.0)
    onsets = np.arange(0.0, END, beat_quarters)
    beats = clock.seconds(onsets)
    times = np.array([0.3, *(time for time, _ in curve[1:]), 1e9])
    for number, beat in enumerate(beats):
        spans = np.clip(np.minimum(times[1:], beat) - times[:-1], 0.0, None)
        assert np.sum(spans * np.array([bpm for _, bpm in curve]) / 60.0) == pytest.approx(number, abs=2e-3)


def test_a_gradual_change_is_given_from_beat_to_beat_and_a_steady_tempo_once() -> None:
    clock = Clock(
        (
            TempoFrom(onset=0.0, bpm=100.0),
            TempoFrom(onset=8.0, bpm=100.0),
            TempoFrom(onset=12.0, bpm=60.0, gradual=True),
        ),
        beat_quarters=1.0,
    )
    curve = clock.curve(16.0)
    assert [time for time, _ in curve] == pytest.approx([0.0, *clock.seconds([8, 9, 10, 11, 12])], abs=1e-3)
    tempos = [bpm for _, bpm in curve]
    assert tempos[0] == 100.0
    assert tempos[-1] == 60.0
    assert tempos == sorted(tempos, reverse=True)


def starts(seed: int = 0, **changes: object) -> dict[str, np.ndarray]:
    """Onsets of each instrument, less the lead."""
    performance = play(tiny_compositions.composition(**changes), np.random.default_rng(seed))
    lead = float(performance.clock.seconds(0.0))
    return {part.instrument: part.notes[:, 0] - lead for part in performance.parts}


def test_onsets_are_loose_within_the_stated_bounds_and_each_player_in_their_own_way() -> None:
    furthest: dict[str, float] = {}
    exact = 0
    for seed in range(40):
        played = starts(seed)
        away = played["piano"] - np.arange(END) * 0.5
        exact += bool(np.abs(away).max() < 1e-9)
        for name, first in (("piano", 0.0), ("flute", 4.0), ("drums", 12.0)):
            shift = np.abs(played[name] - first - np.arange(len(played[name])) * 0.5).max()
            furthest[name] = max(furthest.get(name, 0.0), float(shift))
    assert 0.008 < furthest["piano"] <= playing.MOST_SHIFT_SECONDS + 1e-9
    assert 0.004 < furthest["drums"] <= playing.MOST_DRUM_SHIFT_SECONDS + 1e-9
    assert 3 <= exact <= 20  # machines play too: a quarter of the pieces


def test_swing_moves_second_eighths_and_nothing_else_and_compound_meters_do_not_swing() -> None:
    eighths = [(index / 2, 0.5, 60.0 + index % 7, 90.0) for index in range(64)]
    for swing, meter, expected in ((0.66, "4/4", 0.33), (0.5, "4/4", 0.25), (0.66, "12/8", 1 / 6)):
        found = [starts(seed, lines=(line(eighths),), swing=swing, meter=meter)["piano"][1::2] for seed in range(6)]
        beat = 0.5 if meter == "4/4" else 1 / 3
        late = np.mean([np.mean(row - np.arange(len(row)) * beat) for row in found])
        assert late == pytest.approx(expected, abs=0.008)


def test_articulation_decides_how_long_notes_are_held() -> None:
    lengths = {}
    for articulation in ("legato", "normal", "staccato"):
        rows = [(float(beat), 1.0, 60.0 + beat % 7, 90.0) for beat in range(32)]
        lines = (line(rows, instrument="flute", program=73, articulation=articulation),)
        part = play(tiny_compositions.composition(lines=lines), np.random.default_rng(1)).parts[0]
        lengths[articulation] = float(np.median(part.notes[:, 1] - part.notes[:, 0]))
    assert lengths["legato"] >= 0.5
    assert 0.42 < lengths["normal"] < 0.5
    assert lengths["staccato"] < 0.32


def test_velocity_and_volume_add_up_to_the_written_dynamics() -> None:
    dynamics = ((0.0, -12.0), (16.0, -12.0), (16.0, 0.0), (END, 0.0))
    performance = play(tiny_compositions.composition(dynamics=dynamics), np.random.default_rng(2))
    times, decibels = zip(*performance.volume, strict=True)
    piano = next(part for part in performance.parts if part.instrument == "piano").notes
    half = float(performance.clock.seconds(15.5))
    soft, loud = (np.median(piano[mask, 3]) for mask in (piano[:, 0] < half, piano[:, 0] > half + 0.5))
    from_velocity = 40 * np.log10(soft / loud)
    from_volume = np.interp(half - 1, times, decibels) - np.interp(half + 1, times, decibels)
    assert from_velocity + from_volume == pytest.approx(-12.0, abs=1.0)
    assert from_velocity < -4
    assert from_volume < -4


def test_a_pitch_is_free_before_it_is_played_again() -> None:
    rows = [(beat / 4, 2.0, 60.0 + beat % 2, 90.0) for beat in range(64)]
    part = play(
        tiny_compositions.composition(lines=(line(rows, articulation="legato"),)), np.random.default_rng(3)
    ).parts[0]
    for pitch in (60, 61):
        notes = part.notes[part.notes[:, 2] == pitch]
        assert len(notes) == 32
        assert (notes[1:, 0] - notes[:-1, 1] > 0).all()


def test_what_hardly_sounds_is_left_out() -> None:
    lines = (
        line([(float(beat), 1.0, 60.0, 90.0) for beat in range(32)]),
        line([(4.0, 0.5, 70.0, 90.0)], instrument="harp", program=46),
    )
    performance = play(tiny_compositions.composition(lines=lines), np.random.default_rng(0))
    assert [part.instrument for part in performance.parts] == ["piano"]


def test_the_same_generator_plays_the_same() -> None:
    one, two = (play(tiny_compositions.composition(), np.random.default_rng(7)) for _ in range(2))
    assert one.seconds == two.seconds
    for first, second in zip(one.parts, two.parts, strict=True):
        np.testing.assert_array_equal(first.notes, second.notes)
    assert play(tiny_compositions.composition(), np.random.default_rng(8)).seconds != one.seconds
