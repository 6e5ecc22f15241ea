"""What follows from known facts, and that nothing follows from what is unknown or hard to hear."""

from __future__ import annotations

import dataclasses

import pytest

from mllm.facts import INSTRUMENTS
from mllm.instruct_data import track_facts
from mllm.instruct_data.tracks import Track
from tests import random_tracks

TRACK = dataclasses.replace(
    random_tracks.blank(),
    seconds=60.0,
    activity={"piano": ((0.2, 60.0),), "flute": ((10.0, 20.0), (30.0, 40.0)), "drums": ((10.4, 59.5),)},
    absent=tuple(name for name in INSTRUMENTS if name not in ("piano", "flute", "drums")),
    sections=((0.0, 20.0, "A"), (20.0, 40.0, "B"), (40.0, 60.0, "A")),
    dynamics=((5.0, -9.0), (25.0, 0.0), (30.0, -1.0), (50.0, -6.0)),
)
BLANK = random_tracks.blank()


def with_tempo(*curve: tuple[float, float]) -> Track:
    return dataclasses.replace(BLANK, tempo_curve=curve)


def test_a_sudden_change_of_tempo() -> None:
    (change,) = track_facts.tempo_changes(with_tempo((0.0, 100.0), (30.0, 125.0))) or ()
    assert (change.begin, change.end, change.before_bpm, change.after_bpm) == (30.0, 30.0, 100.0, 125.0)


def test_small_steps_one_way_are_one_gradual_change() -> None:
    curve = [(0.0, 100.0), *((40.0 + n, 100.0 - 3 * (n + 1)) for n in range(6))]
    (change,) = track_facts.tempo_changes(with_tempo(*curve)) or ()
    assert (change.begin, change.end, change.before_bpm, change.after_bpm) == (40.0, 45.0, 100.0, 82.0)


def test_there_and_back_are_two_changes() -> None:
    changes = track_facts.tempo_changes(with_tempo((0.0, 100.0), (20.0, 120.0), (40.0, 100.0)))
    assert changes is not None
    assert [(one.before_bpm, one.after_bpm) for one in changes] == [(100.0, 120.0), (120.0, 100.0)]


@pytest.mark.parametrize(("after", "changes"), [(101.0, ()), (103.5, None)])
def test_a_change_that_is_hard_to_hear(after: float, changes: tuple[()] | None) -> None:
    assert track_facts.tempo_changes(with_tempo((0.0, 100.0), (30.0, after))) == changes


def test_changes_of_key() -> None:
    track = dataclasses.replace(BLANK, key="C major", keys=((0.0, "C major"), (30.0, "D minor")))
    (change,) = track_facts.key_changes(track) or ()
    assert (change.time, change.before, change.after) == (30.0, "C major", "D minor")
    assert track_facts.steady_key(track) is None
    assert track_facts.steady_mode(track) is None
    assert track_facts.steady_key(dataclasses.replace(BLANK, key="C major")) == "C major"


def test_when_instruments_enter_and_stop() -> None:
    assert [track_facts.enters(TRACK, name) for name in ("piano", "flute", "harp")] == [0.0, 10.0, None]
    assert [track_facts.stops(TRACK, name) for name in ("piano", "flute", "drums")] == [60.0, 40.0, 60.0]


def test_entries_at_once_are_one_and_near_ones_are_left_out() -> None:
    assert track_facts.entries(TRACK) == ((10.0, ("flute", "drums")), (30.0, ("flute",)))
    near = dataclasses.replace(TRACK, activity={"flute": ((10.0, 20.0),), "harp": ((12.0, 20.0),)})
    assert track_facts.entries(near) == ()


def test_what_plays_in_a_stretch() -> None:
    assert track_facts.playing_between(TRACK, 12.0, 18.0) == ("piano", "flute", "drums")
    assert track_facts.playing_between(TRACK, 22.0, 28.0) == ("piano", "drums")
    assert track_facts.playing_between(TRACK, 15.0, 20.4) == ("piano", "flute", "drums")
    assert track_facts.playing_between(TRACK, 19.5, 25.0) is None
    assert track_facts.playing_between(TRACK, 20.5, 25.0) is None


def test_sections_and_loudness() -> None:
    assert track_facts.section_at(TRACK, 25.0) == "B"
    assert track_facts.section_at(TRACK, 20.5) is None
    assert track_facts.extreme_section(TRACK, loudest=True) == 1
    assert track_facts.extreme_section(TRACK, loudest=False) == 0
    assert track_facts.loudness_trend(TRACK) == 3.0


def test_a_line_up_is_known_only_where_every_instrument_is() -> None:
    assert track_facts.line_up(TRACK) == ("piano", "flute", "drums")
    assert track_facts.line_up(dataclasses.replace(TRACK, absent=("harp",))) is None
    assert track_facts.line_up(dataclasses.replace(TRACK, absent=None)) is None


@pytest.mark.parametrize(
    ("bounds", "word"), [((30, 50), "low"), ((55, 67), "middle"), ((70, 90), "high"), ((45, 61), None)]
)
def test_registers(bounds: tuple[int, int], word: str | None) -> None:
    assert track_facts.register(dataclasses.replace(BLANK, registers={"flute": bounds}), "flute") == word


def test_nothing_follows_from_nothing() -> None:
    assert track_facts.tempo_changes(BLANK) is None
    assert track_facts.key_changes(BLANK) is None
    assert track_facts.line_up(BLANK) is None
    assert track_facts.entries(BLANK) == ()
    assert track_facts.playing_between(BLANK, 0.0, 5.0) is None
    assert track_facts.section_levels(BLANK) is None
    assert track_facts.chords_in_order(BLANK) is None
