"""Scores of musical facts: those that mir_eval has are equal to it, the others to values computed by hand."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import mir_eval
import numpy as np
import pytest

from mllm.errors import ConfigError
from mllm.eval import statistic
from mllm.eval.metrics import beats, chords, key, meter, sections, tempo, times
from mllm.eval.statistic import Statistic
from mllm.facts import KEYS


def value(figure: Statistic, count: int) -> float:
    return float(figure(np.ones((1, count)))[0])


@pytest.mark.parametrize(
    ("said", "acc1", "acc2"),
    [
        (100, True, True),
        (104, True, True),
        (96, True, True),
        (95.9, False, False),
        (208, False, True),
        (208.1, False, False),
        (48, False, True),
        (47.9, False, False),
        (300, False, True),
        (100 / 3, False, True),
        (150, False, False),
        (math.nan, False, False),
        (None, False, False),
    ],
)
def test_tempo_bounds(said: float | None, acc1: bool, acc2: bool) -> None:
    assert tempo.acc1(100, said) is acc1
    assert tempo.acc2(100, said) is acc2


def test_tempo_of_several_recordings() -> None:
    found = tempo.evaluate([100, 100, 60, 60], [100, 50, 60, None])
    assert found == {"acc1": 0.5, "acc2": 0.75, "answered": 0.75}
    with pytest.raises(ConfigError, match="the true tempo is 0"):
        tempo.evaluate([0], [100])
    with pytest.raises(ConfigError, match="2 tempi and 1 answers"):
        tempo.evaluate([100, 100], [100])


@pytest.mark.parametrize("said", KEYS)
def test_mirex_is_that_of_mir_eval(said: str) -> None:
    for true in KEYS[::5]:
        assert key.mirex(true, said) == mir_eval.key.weighted_score(true, said)


def test_keys_by_hand() -> None:
    said = {"C major": 1.0, "G major": 0.5, "F major": 0.0, "A minor": 0.3, "C minor": 0.2, "D major": 0.0, None: 0.0}
    assert {one: key.mirex("C major", one) for one in said} == said
    assert key.exact("F# minor", "Gb minor")
    assert key.exact("B major", "Cb major")
    assert key.mirex("B major", "Cb major") == 1.0
    assert not key.exact("F# minor", "F# major")
    assert key.tonic("F# minor", "Gb major")
    assert not key.exact("F# minor", "minor")


def test_modes_beside_major_and_minor() -> None:
    assert key.exact("D dorian", "D dorian")
    assert not key.exact("D dorian", "D minor")
    assert key.mirex("D dorian", "D minor") == 1.0
    assert key.mirex("D dorian", "F major") == 0.3
    assert key.mirex("G mixolydian", "G major") == 1.0
    assert key.mirex("G mixolydian", "D major") == 0.5
    with pytest.raises(ConfigError, match="'D lydian' is no key"):
        key.exact("D lydian", "D major")


def test_keys_of_several_recordings() -> None:
    found = key.evaluate(["C major", "A minor"], ["G major", None])
    assert found == {"exact": 0.0, "tonic": 0.0, "mirex": 0.25, "answered": 0.5}


def test_who_always_says_four_four_gains_nothing_in_the_mean_over_meters() -> None:
    truths = ["4/4"] * 8 + ["3/4", "6/8"]
    found = meter.evaluate(truths, ["4/4"] * 10)
    assert found == {"accuracy": 0.8, "balanced": pytest.approx(1 / 3), "answered": 1.0}
    assert meter.evaluate(truths, truths)["balanced"] == 1.0
    assert meter.evaluate(truths, [None] * 10) == {"accuracy": 0.0, "balanced": 0.0, "answered": 0.0}


def test_the_mean_over_meters_leaves_out_what_a_resample_does_not_hold() -> None:
    figure = meter.balanced(["4/4", "3/4"], ["4/4", "4/4"])
    np.testing.assert_allclose(figure(np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])), [0.5, 1.0, 0.0])
    found = statistic.estimate(figure, statistic.draw(["a", "b"], resamples=50, seed=1))
    assert (found.low, found.high) == (0.0, 1.0)


NAMES = ("C:maj", "A:min", "G:7", "D:min7", "F:maj7", "B:dim", "E:sus4", "N", "Bb:maj", "F#:hdim7")
RULES = {"root": mir_eval.chord.root, "majmin": mir_eval.chord.majmin, "thirds": mir_eval.chord.thirds}


@pytest.mark.parametrize("rule", chords.RULES)
def test_chords_are_compared_as_mir_eval_compares_them(rule: chords.Rule) -> None:
    for true in NAMES:
        for said in NAMES:
            expected = RULES[rule]([true], [said])[0]
            assert chords.compare(true, said, rule) == (None if expected < 0 else expected)


def test_a_chord_that_is_not_said_or_none_is_wrong() -> None:
    assert chords.compare("C:maj", None, "root") == 0.0
    assert chords.compare("C:maj", "H:blue", "root") == 0.0
    assert chords.compare("C:maj7", "C:maj", "majmin") == 1.0
    assert chords.compare("C:sus4", "C:maj", "majmin") is None
    with pytest.raises(ConfigError, match="'H:blue' is no chord"):
        chords.compare("H:blue", "C:maj", "root")


def spans(rng: random.Random, end: float) -> list[chords.Chord]:
    edges = [0.0, *sorted(rng.uniform(0.5, end - 0.5) for _ in range(6)), end]
    return [(begin, stop, rng.choice(NAMES)) for begin, stop in itertools.pairwise(edges)]


@pytest.mark.parametrize("seed", range(5))
def test_chords_of_a_recording_are_weighed_by_duration_as_in_mir_eval(seed: int) -> None:
    rng = random.Random(seed)
    true, said = spans(rng, 20.0), spans(rng, 20.0)

    def split(given: Sequence[chords.Chord]) -> tuple[np.ndarray, list[str]]:
        return np.array([one[:2] for one in given]), [one[2] for one in given]

    assert chords.evaluate(true, said) == pytest.approx(mir_eval.chord.evaluate(*split(true), *split(said)))


def test_chords_by_duration_by_hand() -> None:
    true = [(0.0, 3.0, "C:maj"), (3.0, 4.0, "A:min")]
    assert chords.evaluate(true, [(0.0, 4.0, "C:maj")])["majmin"] == 0.75
    assert chords.evaluate(true, [])["root"] == 0.0


@pytest.mark.parametrize(
    ("said", "score"),
    [
        (["C:maj", "A:min", "F:maj", "G:maj"], 1.0),
        (["C:maj", "A:min", "G:maj"], 0.75),
        (["C:maj", "A:maj", "F:maj", "G:maj"], 0.75),
        (["C:maj", "A:min", "F:maj", "G:maj", "C:maj", "C:maj", "C:maj", "C:maj"], 0.5),
        ([], 0.0),
        (["B:dim"], 0.0),
    ],
)
def test_sequences_by_edits(said: list[str], score: float) -> None:
    assert chords.sequence(["C:maj", "A:min", "F:maj", "G:maj"], said, "thirds") == score


@pytest.mark.parametrize("seed", range(5))
def test_beats_are_scored_as_in_mir_eval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = np.cumsum(rng.uniform(0.4, 0.6, 30))
    said = np.sort((true + rng.normal(0, 0.03, 30))[rng.random(30) < 0.8])
    found = beats.evaluate(true.tolist(), said.tolist())
    assert found["f_measure"] == mir_eval.beat.f_measure(true, said)
    assert [found[name] for name in beats.CONTINUITY] == list(mir_eval.beat.continuity(true, said))
    late = beats.evaluate(true.tolist(), said.tolist(), begin_seconds=5.0)
    whole = mir_eval.beat.evaluate(true, said)
    assert late["f_measure"] == whole["F-measure"]
    assert late["amlt"] == whole["Any Metric Level Total"]


def test_beats_by_hand() -> None:
    true = [0.5, 1.0, 1.5, 2.0]
    assert beats.f_measure(true, [0.5, 1.06, 1.58, 2.0]) == 0.75
    assert beats.evaluate(true, []) == dict.fromkeys(("f_measure", *beats.CONTINUITY), 0.0)
    assert beats.continuity(true, [0.5])["cmlt"] == 0.0
    assert beats.continuity(true, [0.5, 1.5])["amlt"] == 1.0
    with pytest.raises(ConfigError, match="there is no true beat"):
        beats.f_measure([], [1.0])
    with pytest.raises(ConfigError, match="do not rise"):
        beats.f_measure([1.0, 0.5], [1.0])


@pytest.mark.parametrize("trim", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_sections_are_scored_as_in_mir_eval(seed: int, trim: bool) -> None:
    rng = random.Random(seed)
    true, said = (sections.from_borders([rng.uniform(5, 55) for _ in range(5)], seconds=60.0) for _ in range(2))
    found = sections.evaluate(true, said, trim=trim)
    reference, estimate = np.array(true), np.array(said)
    for window in (0.5, 3.0):
        expected = mir_eval.segment.detection(reference, estimate, window=window, trim=trim)
        assert tuple(found[f"{name}@{window:g}"] for name in ("precision", "recall", "f_measure")) == expected
    expected = mir_eval.segment.deviation(reference, estimate, trim=trim)
    assert (found["median_true_to_said"], found["median_said_to_true"]) == expected


def test_sections_by_hand() -> None:
    true = [(0.0, 10.0), (10.0, 20.0), (20.0, 30.0)]
    said = sections.from_borders([10.4, 22.0], seconds=30.0)
    assert said == [(0.0, 10.4), (10.4, 22.0), (22.0, 30.0)]
    found = sections.evaluate(true, said)
    assert found["f_measure@0.5"] == 0.5
    assert found["f_measure@3"] == 1.0
    assert found["median_true_to_said"] == pytest.approx(1.2)
    nothing = sections.evaluate(true, [])
    assert nothing["f_measure@3"] == 0.0
    assert math.isnan(nothing["median_true_to_said"])
    with pytest.raises(ConfigError, match="1 true sections; expected at least 2"):
        sections.evaluate([(0.0, 10.0)], said)


def test_times_by_hand() -> None:
    assert times.within(10.0, 10.5)
    assert not times.within(10.0, 10.51)
    assert not times.within(10.0, None)
    assert times.error(10.0, 12.0, length=30.0) == 2.0
    assert times.error(10.0, 1e9, length=30.0) == 20.0
    assert times.error(10.0, None, length=30.0) == 20.0
    found = times.evaluate([10.0, 5.0, 20.0], [10.2, None, 19.0], lengths=[30.0, 30.0, 30.0])
    assert found["within_half_second"] == pytest.approx(1 / 3)
    assert found["mean_error_seconds"] == pytest.approx((0.2 + 25.0 + 1.0) / 3)
    assert found["median_error_seconds"] == 1.0
    assert found["answered"] == pytest.approx(2 / 3)
    with pytest.raises(ConfigError, match=r"40\.0 s; expected one within"):
        times.error(40.0, 1.0, length=30.0)
