"""Scores against values computed by hand, mir_eval and scikit-learn, and that nothing wrong or missing passes."""

from __future__ import annotations

import dataclasses
import random

import mir_eval
import numpy as np
import pytest
import sklearn.metrics
import sklearn.preprocessing

from mllm import facts
from mllm.errors import ConfigError
from mllm.eval import intervals, metrics
from mllm.eval.metrics import Question, Ratio, Said, Truth


def truth(**fields: object) -> Truth:
    known = {
        "tempo_bpm": 100.0,
        "key": "F# minor",
        "meter": "3/4",
        "instruments": (frozenset({"piano"}), frozenset({"drums"})),
    }
    return Truth(**{**known, **fields})  # type: ignore[arg-type]


def question(*, negated: bool, yes: bool) -> Question:
    return Question(text="?", instrument="harp", negated=negated, yes=yes)


RIGHT = Said(tempo_bpm=100, key="F# minor", meter="3/4", instruments=("piano", "drums"), yes_no=(True, False))
QUESTIONS = (question(negated=False, yes=True), question(negated=True, yes=False))
SHARES_RIGHT = (
    "key_exact",
    "key_mirex",
    "tempo_acc1",
    "tempo_acc2",
    "meter",
    "instruments_f1",
    "instruments_recall",
    "yes_no",
    "yes_no_plain",
    "yes_no_negated",
)


def values(*said: Said, truths: list[Truth] | None = None) -> dict[str, float | None]:
    truths = truths or [truth()] * len(said)
    return {name: r.value for name, r in metrics.figures(truths, [QUESTIONS] * len(said), said).items()}


def test_everything_right_is_one() -> None:
    found = values(RIGHT, RIGHT)
    assert {name: found[name] for name in SHARES_RIGHT} == dict.fromkeys(SHARES_RIGHT, 1.0)
    assert found["yes_share"] == 0.5
    assert all(value == 1.0 for name, value in found.items() if name.startswith("answered"))


def test_unanswered_counts_as_wrong_and_stays_in_the_denominator() -> None:
    nothing = Said(yes_no=(None, None))
    found = values(RIGHT, nothing)
    assert {name: found[name] for name in SHARES_RIGHT if name != "instruments_f1"} == dict.fromkeys(
        [name for name in SHARES_RIGHT if name != "instruments_f1"], 0.5
    )
    assert found["instruments_f1"] == pytest.approx(2 * 2 / (2 * 2 + 2))
    assert found["instruments_precision"] == 1.0
    assert all(value == 0.5 for name, value in found.items() if name.startswith("answered"))


@pytest.mark.parametrize(
    ("change", "lowered"),
    [
        ({"tempo_bpm": 104.1}, {"tempo_acc1", "tempo_acc2"}),
        ({"tempo_bpm": 200.0}, {"tempo_acc1"}),
        ({"key": "A major"}, {"key_exact", "key_mirex"}),
        ({"key": "H minor"}, {"key_exact", "key_mirex"}),
        ({"meter": "6/8"}, {"meter"}),
        ({"instruments": ("piano",)}, {"instruments_f1", "instruments_recall"}),
        ({"instruments": ("piano", "drums", "harp")}, {"instruments_f1", "instruments_precision"}),
        ({"instruments": ()}, {"instruments_f1", "instruments_recall", "instruments_precision"}),
        ({"yes_no": (False, False)}, {"yes_no", "yes_no_plain", "yes_share"}),
        ({"yes_no": (True, True)}, {"yes_no", "yes_no_negated"}),
        ({"yes_no": (True, None)}, {"yes_no", "yes_no_negated", "answered_yes_no"}),
    ],
)
def test_a_wrong_answer_lowers_exactly_its_figures(change: dict[str, object], lowered: set[str]) -> None:
    before, after = values(RIGHT), values(dataclasses.replace(RIGHT, **change))  # type: ignore[arg-type]
    assert {name for name in before if (after[name] or 0.0) < (before[name] or 0.0)} == lowered


def test_clips_without_a_label_leave_the_denominator() -> None:
    unknown = Truth()
    found = values(RIGHT, Said(key="C major", instruments=("harp",), yes_no=(True, False)), truths=[truth(), unknown])
    assert found["key_exact"] == found["instruments_f1"] == found["meter"] == found["tempo_acc1"] == 1.0
    assert values(RIGHT, truths=[unknown])["key_exact"] is None


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
        (None, False, False),
    ],
)
def test_tempo_bounds(said: float | None, acc1: bool, acc2: bool) -> None:
    assert metrics.tempo_is_right(100, said) is acc1
    assert metrics.tempo_is_right(100, said, factors=metrics.OCTAVE_FACTORS) is acc2


def test_keys_are_equal_in_any_spelling() -> None:
    assert metrics.key_is_exact("F# minor", "Gb minor")
    assert metrics.key_is_exact("Db major", "C# major")
    assert metrics.key_is_exact("B major", "Cb major")  # mir_eval alone knows no Cb
    assert metrics.weighted_key_score("B major", "Cb major") == 1.0
    assert not metrics.key_is_exact("F# minor", "F# major")
    assert not metrics.key_is_exact("F# minor", None)
    assert not metrics.key_is_exact("F# minor", "minor")


@pytest.mark.parametrize("said", facts.KEYS)
def test_weighted_key_score_is_that_of_mir_eval(said: str) -> None:
    for true in ("C major", "Eb minor"):
        assert metrics.weighted_key_score(true, said) == mir_eval.key.weighted_score(true, said)


def test_weighted_key_score_by_hand() -> None:
    said = {"C major": 1.0, "G major": 0.5, "F major": 0.0, "A minor": 0.3, "C minor": 0.2, "D major": 0.0, None: 0.0}
    assert {key: metrics.weighted_key_score("C major", key) for key in said} == said


def test_instrument_figures_are_those_of_scikit_learn() -> None:
    rng = random.Random(1)
    true = [rng.sample(facts.INSTRUMENTS, rng.randint(1, 6)) for _ in range(40)]
    said = [rng.sample(facts.INSTRUMENTS, rng.randint(0, 6)) for _ in range(40)]
    found = metrics.figures(
        [Truth(instruments=tuple(frozenset({name}) for name in names)) for names in true],
        [()] * 40,
        [Said(instruments=tuple(names)) for names in said],
    )
    table = sklearn.preprocessing.MultiLabelBinarizer(classes=facts.INSTRUMENTS)
    matrices = table.fit_transform(true), table.transform(said)
    for name, score in (
        ("f1", sklearn.metrics.f1_score),
        ("precision", sklearn.metrics.precision_score),
        ("recall", sklearn.metrics.recall_score),
    ):
        assert found[f"instruments_{name}"].value == pytest.approx(score(*matrices, average="micro"))


def test_instruments_with_a_choice_and_with_doubt() -> None:
    guitar = Truth(
        instruments=(frozenset({"acoustic guitar", "electric guitar"}), frozenset({"piano"})),
        unscored=frozenset({"strings"}),
    )

    def counts(*said: str) -> tuple[int, int, int]:
        return dataclasses.astuple(metrics.count_instruments(guitar, said))

    assert counts("electric guitar") == (1, 0, 1)
    assert counts("acoustic guitar", "electric guitar", "piano", "strings") == (2, 0, 0)
    assert counts("strings", "harp") == (0, 1, 2)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("Yes, I hear a harp.", True),
        ("yes", True),
        ("  'No.", False),
        ("NO, I hear no harp.", False),
        ("I cannot tell. Yes.", None),
        ("Nothing", None),
        ("Yesterday", None),
        ("12", None),
        ("", None),
    ],
)
def test_first_word_of_an_answer(answer: str, said: bool | None) -> None:
    assert metrics.yes_or_no(answer) is said


def share(right: int, clips: int) -> Ratio:
    numerators = np.zeros(clips)
    numerators[:right] = 1
    return Ratio(numerators=numerators, denominators=np.ones(clips))


def test_interval_of_a_share_is_that_of_the_binomial() -> None:
    """The bootstrap of a share of n clips is binomial(n, share) / n."""
    found = intervals.estimate(share(240, 300), intervals.draw(300, seed=0))
    deviation = (0.8 * 0.2 / 300) ** 0.5
    assert found.value == 0.8
    assert found.low == pytest.approx(0.8 - 1.96 * deviation, abs=0.007)
    assert found.high == pytest.approx(0.8 + 1.96 * deviation, abs=0.007)


def test_questions_about_one_clip_are_drawn_together() -> None:
    """Two questions a clip that always agree tell no more than one."""
    one = share(50, 100)
    two = Ratio(numerators=2 * one.numerators, denominators=2 * one.denominators)
    resamples = intervals.draw(100, seed=3)
    assert intervals.estimate(one, resamples) == intervals.estimate(two, resamples)


def test_intervals_are_the_same_for_the_same_seed() -> None:
    first = intervals.estimate(share(30, 60), intervals.draw(60, seed=5))
    assert first == intervals.estimate(share(30, 60), intervals.draw(60, seed=5))
    assert intervals.draw(60, seed=5).multiplicities.shape == (2000, 60)
    assert (intervals.draw(60, seed=5).multiplicities.sum(1) == 60).all()


def test_difference_is_paired() -> None:
    resamples = intervals.draw(50, seed=0)
    same = intervals.difference(share(25, 50), share(25, 50), resamples)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    apart = intervals.difference(share(40, 50), share(10, 50), resamples)
    assert apart.value == pytest.approx(0.6)
    assert apart.low is not None
    assert apart.low > 0.4


def test_nothing_counted_has_no_figure() -> None:
    nothing = Ratio(numerators=np.zeros(3), denominators=np.zeros(3))
    resamples = intervals.draw(3, seed=0)
    assert intervals.estimate(nothing, resamples).value is None
    assert intervals.difference(share(1, 3), nothing, resamples).value is None


def test_rare_denominators_leave_the_interval_finite() -> None:
    rare = Ratio(numerators=np.array([1.0, 0.0, 0.0]), denominators=np.array([1.0, 0.0, 0.0]))
    found = intervals.estimate(rare, intervals.draw(3, seed=0))
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_no_clips_cannot_be_resampled() -> None:
    with pytest.raises(ConfigError, match="cannot resample 0 clips"):
        intervals.draw(0, seed=0)
