"""Generated music: what is told of a piece is true of its notes, in every style, and the whole is balanced."""

from __future__ import annotations

import collections
import functools
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from mllm import facts, registry
from mllm.instruct_data import instruments
from mllm.instruct_data.composition import Composition, KeyFrom
from mllm.instruct_data.patterns import beat_quarters
from mllm.instruct_data.scores import BAR_QUARTERS, QUALITIES, key_correlations, pitch_class_weights
from mllm.instruct_data.tracks import MODES

STYLES = registry.names("style")
ASKED_FOR = {
    *("folk_dance", "chorale", "string_quartet", "rock", "pop_ballad", "jazz_swing", "bossa", "reggae", "techno"),
    *("house", "waltz", "march", "ambient"),
}
METERS = {
    "folk_dance": {"2/4", "3/4", "4/4", "6/8", "9/8", "12/8"},
    "waltz": {"3/4"},
    "march": {"2/4", "4/4", "6/8"},
    "polka": {"2/4"},
}
LENGTHS = (20.0, 25.0, 32.0, 45.0, 60.0, 110.0)
PIECES_A_STYLE = 18
SCALES = {
    "major": {0, 2, 4, 5, 7, 9, 11},
    "minor": {0, 2, 3, 5, 7, 8, 10, 11},
    "dorian": {0, 2, 3, 5, 7, 9, 10},
    "mixolydian": {0, 2, 4, 5, 7, 9, 10},
}


@functools.cache
def pieces(style: str) -> tuple[tuple[float, Composition], ...]:
    """Pieces of a style with the wished length of each."""
    module = registry.find("style", style)
    seeds = [(2024, STYLES.index(style), number) for number in range(PIECES_A_STYLE)]
    wished = [LENGTHS[number % len(LENGTHS)] for number in range(PIECES_A_STYLE)]
    return tuple(
        (seconds, module.compose(np.random.default_rng(seed), seconds=seconds))
        for seed, seconds in zip(seeds, wished, strict=True)
    )


def all_pieces() -> list[Composition]:
    return [piece for style in STYLES for _, piece in pieces(style)]


def seconds_of(piece: Composition) -> float:
    """Length of a piece, with gradual changes added up in small steps."""
    grid = np.linspace(0, piece.end, 4001)
    middles = (grid[:-1] + grid[1:]) / 2
    bpm = np.empty(len(middles))
    for number, tempo in enumerate(piece.tempos):
        after = piece.tempos[number + 1] if number + 1 < len(piece.tempos) else None
        until = after.onset if after else piece.end
        inside = (middles >= tempo.onset) & (middles <= until)
        end_bpm = after.bpm if after is not None and after.gradual else tempo.bpm
        share = (middles[inside] - tempo.onset) / max(until - tempo.onset, 1e-9)
        bpm[inside] = tempo.bpm + share * (end_bpm - tempo.bpm)
    return float(np.sum(np.diff(grid) / beat_quarters(piece.meter) * 60 / bpm))


def pitched(piece: Composition) -> NDArray[np.float64]:
    rows = np.concatenate([line.rows for line in piece.lines if line.role != "drums"])
    return rows[np.argsort(rows[:, 0], kind="stable")]


def key_spans(piece: Composition) -> list[tuple[KeyFrom, NDArray[np.float64]]]:
    """Each key with how long each pitch class sounds in it, counted from the tonic."""
    rows = pitched(piece)
    ends = [key.onset for key in piece.keys[1:]] + [piece.end]
    spans = []
    for key, end in zip(piece.keys, ends, strict=True):
        inside = rows[(rows[:, 0] >= key.onset - 0.01) & (rows[:, 0] < end - 0.01)]
        spans.append((key, np.roll(pitch_class_weights(inside), -key.tonic)))
    return spans


def same(first: Composition, second: Composition) -> bool:
    if len(first.lines) != len(second.lines):
        return False
    rows = all(np.array_equal(a.rows, b.rows) for a, b in zip(first.lines, second.lines, strict=True))
    return rows and (first.title, first.keys, first.tempos, first.chords, first.sections, first.dynamics) == (
        *(second.title, second.keys, second.tempos, second.chords, second.sections, second.dynamics),
    )


def test_every_style_that_was_asked_for_is_there() -> None:
    assert set(STYLES) >= ASKED_FOR


@pytest.mark.parametrize("style", STYLES)
def test_styles_say_what_they_are(style: str) -> None:
    module = registry.find("style", style)
    assert module.SUMMARY.endswith(".")
    assert module.WEIGHT > 0
    for _, piece in pieces(style):
        assert piece.style == style.replace("_", " ")
        assert (piece.source, piece.licence) == ("generated", "CC0-1.0")
        assert piece.family.startswith(piece.style)
        assert piece.title


@pytest.mark.parametrize("style", STYLES)
def test_the_same_generator_state_gives_the_same_piece_and_another_state_another(style: str) -> None:
    compose = registry.find("style", style).compose
    first, again, other = (compose(np.random.default_rng(seed), seconds=40.0) for seed in (5, 5, 6))
    assert same(first, again)
    assert first.family == again.family
    assert not same(first, other)
    assert first.family != other.family


@pytest.mark.parametrize("style", STYLES)
def test_lengths_are_as_wished_and_end_with_a_bar(style: str) -> None:
    for wished, piece in pieces(style):
        seconds = seconds_of(piece)
        assert abs(seconds / wished - 1) < 0.15
        assert seconds >= 12
        bars = piece.end / BAR_QUARTERS[piece.meter]
        assert abs(bars - round(bars)) < 1e-6
        assert piece.meter in METERS.get(style, set(facts.METERS))
        assert all(40 <= tempo.bpm <= 230 for tempo in piece.tempos)


@pytest.mark.parametrize("style", STYLES)
def test_very_short_and_very_long_wishes_give_whole_pieces(style: str) -> None:
    compose = registry.find("style", style).compose
    assert 12 <= seconds_of(compose(np.random.default_rng(1), seconds=3.0)) < 15
    assert 255 < seconds_of(compose(np.random.default_rng(1), seconds=300.0)) < 345


@pytest.mark.parametrize("style", STYLES)
def test_sections_keys_and_dynamics_stand_at_bars_and_cover_the_piece(style: str) -> None:
    for _, piece in pieces(style):
        bar = BAR_QUARTERS[piece.meter]
        ends = [section.end for section in piece.sections]
        onsets = [section.onset for section in piece.sections]
        assert onsets == [0.0, *ends[:-1]]
        assert ends[-1] == piece.end
        assert all(abs(onset / bar - round(onset / bar)) < 1e-6 for onset in onsets)
        assert {key.onset for key in piece.keys} <= set(onsets)
        times = [time for time, _ in piece.dynamics]
        assert times == sorted(set(times))
        assert times[0] == 0
        assert times[-1] <= piece.end
        assert all(-18 <= level <= 0 for _, level in piece.dynamics)
        changes = [tempo.onset for tempo in piece.tempos]
        assert changes == sorted(changes)
        assert changes[-1] <= piece.end


@pytest.mark.parametrize("style", STYLES)
def test_players_play_notes_that_they_can_play_within_the_piece(style: str) -> None:
    for _, piece in pieces(style):
        assert len(piece.lines) >= 2
        for line in piece.lines:
            onset, duration, pitch, velocity = line.rows.T
            assert len(line.rows) > 0
            assert (np.diff(onset) >= 0).all()
            assert onset.min() >= 0
            assert (onset + duration).max() <= piece.end + 1e-6
            assert duration.min() > 0
            assert velocity.min() >= 1
            assert velocity.max() <= 127
            assert line.gain_db <= 0
            if line.role == "drums":
                assert line.instrument == "drums"
                assert set(pitch) <= set(range(35, 82))
                continue
            assert facts.instrument_of_program(line.program) == line.instrument
            low, high = instruments.range_of(line.instrument, line.program)
            assert pitch.min() >= (40 if line.instrument == "choir" else low)
            assert pitch.max() <= (81 if line.instrument == "choir" else high)
            for value in np.unique(pitch):
                rows = line.rows[pitch == value]
                assert (rows[1:, 0] >= rows[:-1, 0] + rows[:-1, 1] - 1e-6).all()


@pytest.mark.parametrize("style", STYLES)
def test_something_pitched_sounds_in_every_bar(style: str) -> None:
    for _, piece in pieces(style):
        rows = pitched(piece)
        bar = BAR_QUARTERS[piece.meter]
        for start in np.arange(0.0, piece.end - 0.01, bar):
            sounding = (rows[:, 0] < start + bar - 0.01) & (rows[:, 0] + rows[:, 1] > start + 0.01)
            assert sounding.any(), (piece.family, start)


@pytest.mark.parametrize("style", STYLES)
def test_told_chords_are_what_harmony_plays(style: str) -> None:
    inside = outside = told = total = 0.0
    for _, piece in pieces(style):
        onsets = [chord.onset for chord in piece.chords]
        assert onsets == sorted(onsets)
        assert all(chord.quality in QUALITIES for chord in piece.chords)
        told += sum(chord.duration for chord in piece.chords)
        total += piece.end
        rows = pitched(piece)
        for chord in piece.chords:
            end = chord.onset + chord.duration
            during = rows[(rows[:, 0] < end - 0.05) & (rows[:, 0] + rows[:, 1] > chord.onset + 0.05)]
            fifth = (chord.root + 7) % 12
            assert set(during[:, 2].astype(int) % 12) >= set(chord.pitch_classes()) - {fifth}
        for line in piece.lines:
            if line.role not in ("harmony", "pad"):
                continue
            for onset, duration, pitch, _ in line.rows:
                place = int(np.searchsorted(onsets, onset + 0.05, side="right")) - 1
                chord = piece.chords[place]
                if place < 0 or chord.onset + chord.duration < onset + 0.05:
                    continue
                if int(pitch) % 12 in chord.pitch_classes():
                    inside += duration
                else:
                    outside += duration
    assert inside >= 0.95 * (inside + outside)
    assert told >= 0.8 * total


@pytest.mark.parametrize("style", STYLES)
def test_notes_are_in_the_told_key_and_use_the_notes_that_tell_its_mode(style: str) -> None:
    misses = []
    for _, piece in pieces(style):
        for key, weights in key_spans(piece):
            share = sum(weights[step] for step in SCALES[key.mode]) / weights.sum()
            assert share >= (0.95 if key.mode in ("dorian", "mixolydian") else 0.82), piece.family
            if key.mode == "dorian":
                assert weights[9] > 5 * weights[8]
                assert weights[3] > 5 * weights[4]
            elif key.mode == "mixolydian":
                assert weights[10] > 5 * weights[11]
                assert weights[4] > 5 * weights[3]
            else:
                correlations = key_correlations(weights)
                misses.append(correlations.max() - correlations[0 if key.mode == "major" else 12])
    assert np.mean(np.array(misses) < 0.08) >= 0.9
    assert max(misses) < 0.35


@pytest.mark.parametrize("style", STYLES)
def test_pieces_begin_and_end_on_the_tonic(style: str) -> None:
    for _, piece in pieces(style):
        bar = BAR_QUARTERS[piece.meter]
        rows = pitched(piece)
        first, last = piece.keys[0].tonic, piece.keys[-1].tonic
        opening = rows[rows[:, 0] < bar - 0.01]
        assert first in set(opening[:, 2].astype(int) % 12), piece.family
        closing = rows[(rows[:, 0] < piece.end - 0.01) & (rows[:, 0] + rows[:, 1] > piece.end - bar + 0.01)]
        assert last in set(closing[:, 2].astype(int) % 12), piece.family
        for line in piece.lines:
            lowest = line.rows[line.rows[:, 0] >= piece.end - bar - 0.01]
            if line.role == "bass" and len(lowest):
                assert int(lowest[0, 2]) % 12 == last, piece.family


@pytest.mark.parametrize("style", STYLES)
def test_the_first_beat_of_bars_is_audible(style: str) -> None:
    """Bass notes, bass drums and changes of chord together weigh more on the first beat than on the others."""
    stronger = 0
    for _, piece in pieces(style):
        bar, beat = BAR_QUARTERS[piece.meter], beat_quarters(piece.meter)
        onsets = [chord.onset for chord in piece.chords]
        for line in piece.lines:
            low = line.rows[:, 2] == 36 if line.role == "drums" else np.full(len(line.rows), line.role == "bass")
            onsets.extend(line.rows[low, 0])
        place = np.array(onsets) % bar / beat
        on_beat = place[np.abs(place - np.round(place)) < 0.02]
        counts = np.bincount(np.round(on_beat).astype(int) % round(bar / beat), minlength=round(bar / beat))
        stronger += counts[0] > counts[1:].max()
    # The drums of reggae leave out the first beat: that is what "one drop" means.
    assert stronger >= (0.9 if style != "reggae" else 0.4) * PIECES_A_STYLE


@pytest.mark.parametrize("style", STYLES)
def test_drum_pattern_is_told_where_drums_play_and_only_there(style: str) -> None:
    for _, piece in pieces(style):
        assert (piece.drum_pattern is not None) == any(line.role == "drums" for line in piece.lines)


def drum_steps(piece: Composition, drum: int) -> collections.Counter[float]:
    """How often a drum is struck at each place of the bar, in quarter notes."""
    rows = next(line.rows for line in piece.lines if line.role == "drums")
    return collections.Counter(np.round(rows[rows[:, 2] == drum, 0] % BAR_QUARTERS[piece.meter], 2).tolist())


def of_pattern(name: str) -> list[Composition]:
    found = [piece for piece in all_pieces() if piece.drum_pattern == name and piece.meter == "4/4"]
    assert found
    return found


def test_grooves_are_what_their_names_say() -> None:
    for piece in of_pattern("four on the floor"):
        assert {place for place, _ in drum_steps(piece, 36).most_common(4)} == {0.0, 1.0, 2.0, 3.0}
    for piece in of_pattern("backbeat"):
        assert {place for place, _ in drum_steps(piece, 38).most_common(2)} == {1.0, 3.0}
    for piece in of_pattern("one drop"):
        assert drum_steps(piece, 36).most_common(1)[0][0] == 2.0
    for piece in of_pattern("swing ride"):
        assert {place for place, _ in drum_steps(piece, 51).most_common(6)} == {0.0, 1.0, 1.5, 2.0, 3.0, 3.5}
        assert {place for place, _ in drum_steps(piece, 44).most_common(2)} == {1.0, 3.0}


def test_swing_styles_swing_and_others_do_not() -> None:
    for style in STYLES:
        for _, piece in pieces(style):
            assert (0.58 <= piece.swing <= 0.7) if style in ("jazz_swing", "blues") else piece.swing == 0.5


def test_walking_basses_walk() -> None:
    for _, piece in pieces("jazz_swing"):
        bass = next(line.rows for line in piece.lines if line.role == "bass")
        assert np.median(np.diff(bass[:, 0])) == 1.0


def test_chorales_have_four_voices_that_do_not_cross() -> None:
    crossings = total = 0
    for _, piece in pieces("chorale"):
        assert len(piece.lines) in (4, 8)
        assert [line.role for line in piece.lines[:4]] == ["melody", "counter", "counter", "bass"]
        voices = [line.rows for line in piece.lines[:4]]
        for onset in voices[3][:, 0]:
            now = [rows[np.searchsorted(rows[:, 0], onset + 0.01) - 1, 2] for rows in voices]
            crossings += now != sorted(now, reverse=True)
            total += 1
    assert crossings <= 0.1 * total


def test_modes_tonics_and_changes_are_balanced_over_all_styles() -> None:
    found = all_pieces()
    modes = collections.Counter(piece.keys[0].mode for piece in found)
    assert set(modes) == set(MODES)
    assert modes["minor"] >= 0.40 * len(found)
    assert modes["dorian"] >= 0.04 * len(found)
    assert modes["mixolydian"] >= 0.04 * len(found)
    tonics = collections.Counter(piece.keys[0].tonic for piece in found)
    assert len(tonics) == 12
    assert max(tonics.values()) < 1.8 * len(found) / 12
    assert min(tonics.values()) > 0.4 * len(found) / 12
    assert 0.09 <= np.mean([len(piece.tempos) > 1 for piece in found]) <= 0.22
    assert 0.07 <= np.mean([len(piece.keys) > 1 for piece in found]) <= 0.18
    assert any(tempo.gradual for piece in found for tempo in piece.tempos)


def test_every_instrument_and_meter_occurs_and_players_enter_and_stop() -> None:
    found = all_pieces()
    assert {line.instrument for piece in found for line in piece.lines} == set(facts.INSTRUMENTS)
    compose = registry.find("style", "folk_dance").compose
    dances = {compose(np.random.default_rng((7, seed)), seconds=15.0).meter for seed in range(60)}
    assert dances == set(facts.METERS)
    late = [line.rows[0, 0] >= BAR_QUARTERS[piece.meter] * 2 for piece in found for line in piece.lines]
    assert np.mean(late) > 0.2


def test_composing_is_cheap() -> None:
    """A piece of a minute takes well under 50 ms; the bound leaves room for a busy machine."""
    composers = [registry.find("style", style).compose for style in STYLES]
    best = []
    for compose in composers:
        times = []
        for seed in (1, 1, 1):
            start = time.process_time()
            compose(np.random.default_rng(seed), seconds=60.0)
            times.append(time.process_time() - start)
        best.append(min(times))
    assert np.mean(best) < 0.05
