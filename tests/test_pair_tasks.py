"""Tasks of pairs: what they ask is true, half of it is yes, and whoever hears nothing stays where chance is.

Tracks drawn at random have every fact; their recordings hold noise of their own. The truth of each question is found
here from the tracks, or from the samples, without what made the questions.
"""

from __future__ import annotations

import dataclasses
import random
import re
import types
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mllm import registry
from mllm.eval import blind, conditions, scoring, statistic
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.tasks import _premises, _ten_wordings, _which, comparison, long_audio, negation, temporal_order
from mllm.facts import INSTRUMENTS
from mllm.instruct_data.asked import kinds, phrasings
from mllm.instruct_data.phrases import Phrasings, plain
from mllm.instruct_data.synth import SAMPLE_RATE_HZ
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS
from tests import random_tracks

TASKS = ("negation", "not_heard", "comparison", "long_audio", "temporal_order", "robustness", "paraphrase")
SIZES = {"robustness": 0.13, "long_audio": 0.5}
"""Of tasks that make many or long recordings: less than the whole."""
COUNT = 64
SECONDS = (12.0, 20.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawn(Music):
    """Music with tracks that were drawn at random, and noise for their recordings."""

    tracks: tuple[Track, ...]

    def short(self) -> list[Track]:
        return list(self.tracks)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    folder = tmp_path_factory.mktemp("music")
    found = tuple(_recorded(random_tracks.track(number, split="test"), folder) for number in range(COUNT))
    return Drawn(folder=folder, tracks=found, tell=lambda text: None)


def _recorded(track: Track, folder: Path) -> Track:
    """A track cut to a few seconds, with a recording."""
    rng = random.Random(track.id)
    seconds = round(rng.uniform(*SECONDS), 2)
    path = folder / f"{track.id}.flac"
    noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 0.1, round(seconds * SAMPLE_RATE_HZ))
    soundfile.write(path, noise.astype(np.float32), SAMPLE_RATE_HZ, subtype="PCM_16")
    factor = seconds / (track.seconds or 1.0)
    activity = {
        name: tuple((round(begin * factor, 3), round(end * factor, 3)) for begin, end in spans)
        for name, spans in (track.activity or {}).items()
    }
    return dataclasses.replace(
        track,
        path=str(path),
        seconds=seconds,
        activity=activity,
        keys=tuple((at * factor, key) for at, key in track.keys or ()),
        tempo_curve=tuple((at * factor, bpm) for at, bpm in track.tempo_curve or ()),
        sections=tuple((begin * factor, end * factor, name) for begin, end, name in track.sections or ()),
        vocals="choir" in activity,
    )


@pytest.fixture(scope="module")
def by_path(music: Drawn) -> dict[str, Track]:
    return {track.path: track for track in music.tracks}


def task(name: str) -> types.ModuleType:
    return registry.find("task", name)


def values(name: str, questions: Sequence[Question], said: Sequence[Said]) -> dict[str, float | None]:
    draws = statistic.draw([question.unit for question in questions], resamples=20, seed=0)
    found = scoring.figures(task(name), questions, said)
    return {figure: statistic.estimate(one, draws).value for figure, one in found.items()}


@pytest.fixture
def questions(name: str, music: Drawn) -> list[Question]:
    """Of the task of that name."""
    return asked(name, music)


def asked(name: str, music: Drawn) -> list[Question]:
    size = SIZES.get(name, 1.0)
    return list(task(name).load(dataclasses.replace(music, size=size)))


def told(questions: Sequence[Question]) -> list[Said]:
    return [Said(text=question.references[0]) for question in questions]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_asks_the_same_each_time_and_scores_whoever_knows_and_whoever_is_silent(
    name: str, questions: list[Question], music: Drawn
) -> None:
    assert questions
    assert questions == asked(name, music)
    assert len({question.id for question in questions}) == len(questions)
    assert all(Path(str(sound.source)).is_file() for question in questions for sound in question.recordings)
    wrong = [one for one, said in zip(questions, told(questions), strict=True) if task(name).credit(one, said) != 1.0]
    assert not wrong, [(one.asked, one.references[0]) for one in wrong]
    assert {task(name).credit(one, Said()) for one in questions} == {0.0}
    assert {task(name).credit(one, Said(text="Bananas.")) for one in questions} == {0.0}
    assert list(values(name, questions, told(questions))) == list(task(name).ABOUT.figures)


@pytest.mark.parametrize("name", TASKS)
def test_another_seed_asks_otherwise(name: str, questions: list[Question], music: Drawn) -> None:
    other = asked(name, dataclasses.replace(music, seed=1))
    assert [one.asked for one in other] != [one.asked for one in questions]


@pytest.mark.parametrize("name", TASKS)
def test_a_hundredth_of_the_questions_can_be_asked_under_every_condition(name: str, music: Drawn) -> None:
    """Few pieces are enough that each has another one in its place."""
    few = dataclasses.replace(music, size=0.01, tracks=music.tracks[:5])
    questions = task(name).load(few)
    assert 2 <= len(questions) <= 100
    for condition in conditions.CONDITIONS:
        assert len(conditions.put(condition, questions, seed=0)) == len(questions)


CHANCE = {
    ("negation", "affirmative"): 0.6,
    ("negation", "negated"): 0.6,
    ("negation", "pair"): 0.55,
    ("not_heard", "accuracy"): 0.6,
    ("comparison", "accuracy"): 0.6,
    ("comparison", "both_orders"): 0.3,
    ("temporal_order", "accuracy"): 0.65,
    ("long_audio", "score"): 0.35,
    ("paraphrase", "accuracy"): 0.45,
}
"""What nobody who hears nothing may reach: half, with what chance adds to so few."""


@pytest.mark.parametrize("name", TASKS)
def test_whoever_hears_nothing_stays_near_chance(name: str, questions: list[Question]) -> None:
    lines = {"yes": [Said(text="Yes.")] * len(questions), "no": [Said(text="No.")] * len(questions)}
    for line, said in {**lines, **blind.answers(questions)}.items():
        found = values(name, questions, said)
        for (of, figure), most in CHANCE.items():
            if of == name:
                assert (found[figure] or 0.0) <= most, (line, figure)


def test_every_instrument_is_asked_about_as_often_where_it_plays_as_where_it_does_not(music: Drawn) -> None:
    """So knowing which instruments are common, or which recording is asked about, does not help."""
    for name in ("negation", "not_heard", "robustness", "paraphrase"):
        counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for question in asked(name, music):
            if question.label in ("yes", "no"):
                heard = re.search(r"(?:I hear|it is) (?:no |not )?(?:an? )?(.*)\.", question.references[0])
                assert heard is not None
                counts[question.template, heard[1].replace("singing", "vocals")][question.label] += 1
        assert counts
        by_thing: dict[str, Counter[str]] = defaultdict(Counter)
        for (template, thing), labels in counts.items():
            by_thing[f"{template} {_vocabulary(thing)}"] += labels
        assert all(labels["yes"] == labels["no"] for labels in by_thing.values()), by_thing


def _vocabulary(said: str) -> str:
    """One word for all names of an instrument."""
    others = {"sax": "saxophone", "synth": "synthesizer", "bowed strings": "strings", "woodwinds": "woodwind"}
    mallets = dict.fromkeys(("mallet percussion", "mallet instruments"), "mallets")
    return (others | mallets).get(said, said)


def _plays(track: Track, name: str) -> bool:
    return any(one.endswith("guitar") if name == "guitar" else one == name for one in track.activity or ())


def test_negated_pairs_differ_in_the_negation_alone_and_their_labels_are_true(
    music: Drawn, by_path: dict[str, Track]
) -> None:
    questions = asked("negation", music)
    assert len(questions) > 200
    for plainly, negated in zip(questions[::2], questions[1::2], strict=True):
        assert {plainly.label, negated.label} == {"yes", "no"}
        assert plainly.recordings == negated.recordings
        without = re.sub(r"\b(?:no|not) ", "", negated.asked, count=1, flags=re.IGNORECASE)
        assert without.lower() in (
            plainly.asked.lower(),
            re.sub(r"\b(an?) ", "", plainly.asked.lower()),
            *_bare(plainly),
        )
        track = by_path[str(plainly.recordings[0].source)]
        assert (plainly.label == "yes") == _is_so(track, plainly.template.split("/")[1], str(plainly.truth["asked"]))


def _bare(question: Question) -> list[str]:
    """The question without one of its articles."""
    text = question.asked.lower()
    return [text[: found.start()] + text[found.end() :] for found in re.finditer(r"\ban? ", text)]


def _is_so(track: Track, kind: str, thing: str) -> bool:
    if kind == "tempo":
        assert len({round(bpm) for _, bpm in track.tempo_curve or ()}) == 1
        return (track.tempo_bpm or 0.0) > float(thing)
    if kind == "mode":
        modes = {key.split()[1] for _, key in track.keys or ()}
        assert len(modes) == 1
        return modes == {thing}
    if kind == "meter":
        return track.meter == thing
    return bool(track.vocals) if kind == "vocals" else _plays(track, thing)


def test_always_denying_what_was_affirmed_gets_half_of_the_pairs(music: Drawn) -> None:
    questions = asked("negation", music)
    consistent = [Said(text="Yes." if one.template.endswith("affirmative") else "No.") for one in questions]
    found = values("negation", questions, consistent)
    assert found == {"pair": 0.5, "affirmative": 0.5, "negated": 0.5, "yes": 0.5}
    one_right = [Said(text=one.references[0] if one.template.endswith("affirmative") else "") for one in questions]
    assert values("negation", questions, one_right) == {"pair": 0.0, "affirmative": 1.0, "negated": 0.0, "yes": 0.25}


def test_what_is_not_heard_is_not_there(music: Drawn, by_path: dict[str, Track]) -> None:
    questions = asked("not_heard", music)
    for question in questions:
        track, kind = by_path[str(question.recordings[0].source)], question.groups["kind"]
        thing = question.truth["asked"]
        if kind in ("presence", "time", "unknowable"):
            there = _plays(track, thing)
        elif kind == "section":
            there = thing in {name for _, _, name in track.sections or ()}
        else:
            there = len({value for _, value in (track.keys if thing == "key" else track.tempo_curve) or ()}) > 1
        assert question.truth["heard"] == there
        assert (question.label in ("yes", "heard")) == there
        for number in re.findall(r"at (?:about )?([\d.]+) seconds", question.references[0]):
            moments = {
                "time": [at for span in (track.activity or {}).get(thing, ()) for at in span],
                "section": [begin for begin, _, name in track.sections or () if name == thing],
                "change": [at for at, _ in (track.keys if thing == "key" else track.tempo_curve) or ()],
            }[kind]
            assert min(abs(float(number) - at) for at in moments) <= 0.051


def test_what_is_made_up_is_counted(music: Drawn) -> None:
    questions = asked("not_heard", music)
    believing = []
    for question in questions:
        text = {"presence": "Yes.", "unknowable": "That is Jane."}.get(question.groups["kind"], "At 0:07, it changes.")
        believing.append(Said(text=text))
    found = values("not_heard", questions, believing)
    assert found["hallucinated"] == 1.0
    assert found["f1_absent"] == 0.0
    denying = [Said(text="No, there is no such thing.")] * len(questions)
    found = values("not_heard", questions, denying)
    assert found["hallucinated"] == 0.0
    assert found["accuracy"] == 0.5
    assert found["f1_absent"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("answer", "asked_for", "stance"),
    [
        ("There is no flute in this recording.", "time", "absent"),
        ("I hear no flute.", "time", "absent"),
        ("The flute does not play here.", "time", "absent"),
        ("No flute is heard in this recording.", "number", "absent"),
        ("The key does not change; it stays C minor.", "change", "absent"),
        ("It stays in one key.", "change", "absent"),
        ("The flute enters at 0:12.", "time", "there"),
        ("It plays from the very beginning.", "time", "there"),
        ("Until the end, it never stops.", "time", "there"),
        ("Three times.", "number", "there"),
        ("It modulates to G major.", "change", "there"),
        ("I cannot tell that.", "time", "cannot tell"),
        ("The tempo is about 97 BPM.", "change", None),
        ("It is in 4/4.", "time", None),
        ("I hear a flute and a piano.", "number", None),
        ("", "time", None),
    ],
)
def test_an_answer_takes_a_premise_for_real_or_denies_it(
    answer: str, asked_for: _premises.AskedFor, stance: str | None
) -> None:
    assert _premises.read(answer, asked_for) == stance


def test_comparisons_are_true_in_both_orders(music: Drawn, by_path: dict[str, Track]) -> None:
    questions = asked("comparison", music)
    kinds_asked = Counter(question.groups["about"] for question in questions)
    assert set(kinds_asked) == {
        "faster", "higher", "louder", "which_has", "more_instruments", "same_key", "same_meter"
    }  # fmt: skip
    for one, turned in zip(questions[::2], questions[1::2], strict=True):
        assert one.recordings == turned.recordings[::-1]
        assert one.asked == turned.asked
        assert (one.label == turned.label) == one.groups["about"].startswith("same")
        if one.groups["about"] == "louder":
            power = [np.mean(np.square(soundfile.read(sound.source)[0])) for sound in one.recordings]
            assert 10 * np.log10(max(power) / min(power)) == pytest.approx(15.0, abs=0.1)
            assert one.label == ("first" if power[0] > power[1] else "second")
            continue
        first, second = (by_path[str(sound.source)] for sound in one.recordings)
        assert one.label == _compared(one.groups["about"], first, second, one.references[0])
    labels = Counter((question.template, question.label) for question in questions)
    assert all(labels[template, "first"] == labels[template, "second"] for template, _ in labels)
    assert all(labels[template, "yes"] == labels[template, "no"] for template, _ in labels)


def _compared(kind: str, first: Track, second: Track, answer: str) -> str:
    if kind == "same_key":
        return "yes" if first.key == second.key else "no"
    if kind == "same_meter":
        return "yes" if first.meter == second.meter else "no"
    if kind == "which_has":
        name = max((one for one in INSTRUMENTS if one in answer), key=len)
        assert _plays(first, name) != _plays(second, name)
        return "first" if _plays(first, name) else "second"
    measured = [_measured(kind, track) for track in (first, second)]
    assert measured[0] != measured[1]
    return "first" if measured[0] > measured[1] else "second"


def _measured(kind: str, track: Track) -> float:
    if kind == "faster":
        return track.tempo_bpm or 0.0
    if kind == "higher":
        return max(high for _, high in (track.registers or {}).values())
    assert kind == "more_instruments"
    return len(track.activity or ())


@pytest.mark.parametrize(
    ("answer", "which"),
    [
        ("The first one is faster: about 120 BPM against about 90 BPM.", "first"),
        ("The second is quicker than the first.", "second"),
        ("Compared to the first, the second is louder.", "second"),
        ("Recording two.", "second"),
        ("2", "second"),
        ("clip A", "first"),
        ("It has 8 notes a second.", None),
        ("The first or the second.", None),
        ("Neither.", None),
    ],
)
def test_which_of_two_is_named(answer: str, which: str | None) -> None:
    assert _which.read(answer) == which


def test_the_order_of_instruments_and_of_parts_is_true(music: Drawn, by_path: dict[str, Track]) -> None:
    questions = asked("temporal_order", music)
    for question in questions:
        path = Path(str(question.recordings[0].source))
        if question.groups["kind"] == "part":
            parts = [by_path[str(music.folder / f"{name}.flac")] for name in path.stem.split("+")]
            heard = np.concatenate([soundfile.read(part.path)[0] for part in parts])
            np.testing.assert_allclose(soundfile.read(path)[0], heard, atol=1e-4)
            assert question.label == _part(question.template.split("/")[2], *parts)
            continue
        track = by_path[str(path)]
        first, second = (
            name for _, name in sorted((question.asked.find(name), name) for name in question.truth["asked"])
        )
        begins = {name: min(begin for begin, _ in (track.activity or {})[name]) for name in (first, second)}
        assert abs(begins[first] - begins[second]) >= 2.0
        assert question.truth["earlier"] == min(begins, key=lambda name: begins[name])
        asked_first, asked_second = question.truth["asked"]
        is_first = begins[asked_first] < begins[asked_second]
        assert (question.label in ("yes", "former")) == is_first


def _part(kind: str, first: Track, second: Track) -> str:
    assert _is_it(kind, first, second) != _is_it(kind, second, first)
    return "first" if _is_it(kind, first, second) else "second"


def _is_it(kind: str, one: Track, other: Track) -> bool:
    if kind == "faster":
        return (one.tempo_bpm or 0.0) > 1.2 * (other.tempo_bpm or 0.0)
    if kind == "minor":
        return str(one.key).endswith("minor") and str(other.key).endswith("major")
    assert kind == "triple"
    return one.meter == "3/4" and other.meter != "3/4"


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("The flute.", True),
        ("The flute enters before the drums.", True),
        ("The drums come in after the flute.", True),
        ("The former.", True),
        ("I checked: flute yes, drums no.", True),
        ("The drums, then the flute.", False),
        ("The latter: drums.", False),
        ("Both.", False),
        ("The piano.", False),
    ],
)
def test_what_comes_first_is_read_from_either_name(answer: str, right: bool) -> None:
    question = Question(
        id="which_first/t/flute/drums",
        messages=(),
        truth={"asked": ["flute", "drums"], "earlier": "flute"},
        unit="t",
        template="temporal_order/which_first",
        label="former",
        groups={"kind": "which_first"},
    )
    assert temporal_order.credit(question, Said(text=answer)) == float(right)


def test_facts_of_long_recordings_are_found_again_in_their_samples(music: Drawn) -> None:
    """The pieces are looked for in the sound: a stretch of each recording is part of exactly one of them."""
    questions = asked("long_audio", music)
    assert Counter(question.groups["minute"] for question in questions).keys() == {"1", "3", "5"}
    sounds = [soundfile.read(track.path, dtype="int16")[0] for track in music.tracks]
    paths = {str(one.recordings[0].source) for one in questions}
    parts = {path: _parts(path, music.tracks, sounds) for path in paths}
    for question in questions:
        in_order, minute = parts[str(question.recordings[0].source)], int(question.groups["minute"])
        name = question.id.rpartition("/")[2]
        if question.groups["fact"] == "first":
            entries = [begin + at for begin, track in in_order for at, _ in (track.activity or {}).get(name, ())]
            assert question.truth == pytest.approx(min(entries), abs=0.01)
            assert abs(question.truth - 60 * minute) <= 50
            continue
        time = _time(question.asked)
        assert abs(time - 60 * minute) <= 30
        begin, track = max((begin, track) for begin, track in in_order if begin <= time)
        if question.groups["fact"] == "key":
            assert {key for _, key in track.keys or ()} == {question.truth}
        elif question.groups["fact"] == "tempo":
            assert question.truth == track.tempo_bpm
        else:
            sounding = any(at <= time - begin <= to for at, to in (track.activity or {}).get(name, ()))
            assert sounding == question.truth == (question.label == "yes")


def _time(text: str) -> float:
    found = re.search(r"(\d):(\d\d)", text)
    assert found is not None
    return 60.0 * int(found[1]) + int(found[2])


def _parts(path: str, tracks: Sequence[Track], sounds: Sequence[np.ndarray]) -> list[tuple[float, Track]]:
    """Begin and track of every piece in a row, found by the samples half a second after the one before has ended."""
    sound, rate = soundfile.read(path, dtype="int16")
    assert 330.0 <= len(sound) / rate <= 330.0 + SECONDS[1]
    lengths = [len(one) for one in sounds]
    everything = np.concatenate(sounds)
    edges = np.cumsum([0, *lengths])
    begin, found = 0, []
    while begin < len(sound):
        at = begin + rate // 2
        stretch = sound[at : at + 64]
        near = np.flatnonzero(everything[:-64] == stretch[0])
        places = [place for place in near if np.array_equal(everything[place : place + 64], stretch)]
        assert len(places) == 1
        number = int(np.searchsorted(edges, places[0], side="right")) - 1
        assert at - (places[0] - edges[number]) == begin
        found.append((begin / rate, tracks[number]))
        begin += lengths[number]
    return found


def test_ten_wordings_ask_for_what_is_true_of_the_piece(music: Drawn, by_path: dict[str, Track]) -> None:
    questions = asked("paraphrase", music)
    by_piece: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        by_piece[question.id.rpartition("/")[0]].append(question)
    for ten in by_piece.values():
        assert len({question.asked for question in ten}) == 10
        track, fact = by_path[str(ten[0].recordings[0].source)], ten[0].groups["fact"]
        if fact == "presence":
            name = max((one for one in (*INSTRUMENTS, "guitar") if one in ten[0].references[0]), key=len)
            assert {question.truth for question in ten} == {_plays(track, name)}
            assert all(name in question.asked for question in ten)
        else:
            truth = {"tempo": track.tempo_bpm, "key": track.key, "meter": track.meter}[fact]
            assert {question.truth for question in ten} == {truth}


def test_consistency_counts_the_commonest_reading(music: Drawn) -> None:
    questions = asked("paraphrase", music)
    seven = [Said(text=one.references[0] if int(one.id.rpartition("/")[2]) < 7 else "Hm.") for one in questions]
    found = values("paraphrase", questions, seven)
    assert found == {"consistency": pytest.approx(0.7), "accuracy": pytest.approx(0.7), "all_right": 0.0}


def _own_wordings() -> dict[str, tuple[str, ...]]:
    return {
        "stated": negation.STATED,
        "before": temporal_order.BEFORE,
        "which_first": temporal_order.WHICH_FIRST,
        **{f"part/{kind}": wordings for kind, wordings in temporal_order.PART.items()},
        "long/key": long_audio.KEY,
        "long/tempo": long_audio.TEMPO,
        **{kind: wordings.held_out for kind, wordings in comparison.OWN.items()},
        **{f"ten/{fact}": wordings for fact, wordings in _ten_wordings.WORDINGS.items()},
    }


def test_wordings_of_their_own_are_many_different_and_never_those_of_training() -> None:
    rng = random.Random(0)
    everything: list[Phrasings] = [*QUESTIONS.values(), *(one for kind in kinds() for one in phrasings(kind).values())]
    trained = {plain(one.choose(rng, held_out=False)) for one in everything for _ in range(300)}
    trained |= {plain(sentence) for one in everything for sentence in (*one.train, *one.held_out)}
    for name, wordings in _own_wordings().items():
        said = {plain(wording) for wording in wordings}
        assert len(said) == len(wordings) >= (10 if name.startswith("ten") else 3)
        assert not said & trained, name
