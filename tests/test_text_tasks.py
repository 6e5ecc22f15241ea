"""Captions, open questions, text ability and retrieval: right answers earn all, silence nothing, words alone little."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import types
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mllm import registry
from mllm.eval import blind
from mllm.eval.music import AbsentError, Music
from mllm.eval.questions import Question, Said
from mllm.eval.tasks import _facts, captioning
from mllm.instruct_data.tracks import Track
from tests import known_music, random_tracks, source_samples

TASKS = ("captioning", "open_qa", "retrieval", "text_ability")
OF_WORDS = ("captioning", "open_qa")
COUNTS = {"captioning": 60, "open_qa": 120, "retrieval": 120, "text_ability": 40}


def task(name: str) -> types.ModuleType:
    return registry.find("task", name)


def figures(name: str, questions: Sequence[Question], said: Sequence[Said]) -> dict[str, float]:
    once = np.ones((1, len(questions)))
    return {name: float(one(once)[0]) for name, one in task(name).figures(questions, said).items()}


def right(one: Question) -> Said:
    if one.kind == "rank":
        return Said(ranking=(one.truth, *(other for other in one.given["candidates"] if other != one.truth)))
    return Said(text=one.references[0]) if one.references else Said(value=0.0)


@pytest.mark.parametrize("name", TASKS)
def test_questions_are_many_and_the_same_each_time(name: str) -> None:
    questions = task(name).load(known_music.of(160))
    assert questions == task(name).load(known_music.of(160))
    assert len(questions) == COUNTS[name]
    assert len({one.id for one in questions}) == len(questions)
    assert len(task(name).load(known_music.of(160, size=0.1))) == COUNTS[name] // 10
    json.dumps([[one.truth, dict(one.given)] for one in questions])


@pytest.mark.parametrize("name", TASKS)
def test_right_answers_earn_all_and_silence_nothing(name: str) -> None:
    module = task(name)
    questions = module.load(known_music.of(160))
    for one in questions:
        assert module.credit(one, right(one)) == 1.0, (one.references, one.truth)
        assert module.credit(one, Said(error="nothing")) == 0.0
    headlines = [figure for figure, about in module.ABOUT.figures.items() if about.headline]
    of_right = figures(name, questions, [right(one) for one in questions])
    of_silence = figures(name, questions, [Said(error="nothing")] * len(questions))
    for figure in headlines:
        assert of_right[figure] == (pytest.approx(0.95, abs=0.05) if figure == "facts_f1" else 1.0), figure
        assert of_silence[figure] == 0.0


@pytest.mark.parametrize("name", OF_WORDS)
def test_who_never_hears_names_few_facts_whatever_his_words(name: str) -> None:
    questions = task(name).load(known_music.of(160))
    headline = {"captioning": "facts_f1", "open_qa": "correct"}[name]
    for answerer, said in blind.answers(questions).items():
        found = figures(name, questions, said)
        assert found[headline] < 0.5, answerer
    assert found["rouge_l"] > 0.25  # fluent words alone do well where words are counted


def test_captions_state_facts_that_are_counted() -> None:
    truth = {"tempo_bpm": 96.0, "key": "E minor", "meter": "3/4", "instruments": ["harp", "flute"]}
    cases = {
        "A waltz for harp and flute in E minor, in 3/4 time, at about 97 BPM.": (5, 5),
        "A moderate waltz with flute and drums.": (3, 2),
        "A fast piece in E major.": (2, 0),
        "Music.": (0, 0),
        "": (0, 0),
    }
    for caption, (said, correct) in cases.items():
        assert _facts.count(truth, caption) == _facts.Counted(true=5, said=said, right=correct), caption
    assert _facts.count({}, "A slow waltz in E minor.") == _facts.Counted(true=0, said=0, right=0)


def test_references_are_several_true_captions() -> None:
    for track in random_tracks.tracks(40, split="test"):
        found = captioning.references(track)
        assert len(set(found)) == len(found) >= 3
        for one in found:
            counted = _facts.count(_facts.of_track(track), one)
            assert counted.said == counted.right, (one, _facts.of_track(track))


def test_open_answers_are_read_for_the_fact_and_not_for_words() -> None:
    module = task("open_qa")
    questions = module.load(known_music.of(160))
    kinds = {one.truth["kind"] for one in questions}
    assert kinds == {"tempo", "key", "meter", "instruments", "times", "number", "words"}
    for one in questions:
        if one.truth["kind"] == "key":
            tonic = "C" if not one.truth["is"].startswith("C ") else "D"
            wrong = f"The key is {tonic} {one.truth['is'].split()[1]}."
            assert module.credit(one, Said(text=one.truth["is"])) == 1.0
            assert module.credit(one, Said(text=wrong)) == 0.0
        if one.truth["kind"] == "number":
            assert module.credit(one, Said(text=str(one.truth["is"]))) == 1.0
            assert module.credit(one, Said(text=str(one.truth["is"] + 1))) == 0.0
        if one.truth["kind"] == "times":
            near = " and ".join(f"{time + 0.6:.1f} s" for time in one.truth["is"])
            assert module.credit(one, Said(text=near)) == 1.0
            assert module.credit(one, Said(text="at 9:59")) == 0.0


def test_conversations_end_with_the_question() -> None:
    questions = task("open_qa").load(known_music.of(160))
    turns = {len(one.messages) for one in questions}
    assert {1, 3} <= turns
    for one in questions:
        assert one.messages[-1].role == "user"
        assert len(one.recordings) == 1


@pytest.mark.parametrize("key", ["musiccaps", "song_describer", "lp_musiccaps", "midicaps"])
def test_published_captions(key: str, tmp_path: Path) -> None:
    music = known_music.with_files(key, source_samples.prepare(key, tmp_path))
    questions = task("captioning").load(music)
    assert questions
    published = {record["messages"][-1]["content"] for record in source_samples.golden(key, "records.jsonl")}
    for one in questions:
        assert set(one.references) <= published
        assert one.groups == {"data": key}
        assert all(Path(str(sound.source)).is_file() for sound in one.recordings)
    found = figures("captioning", questions, [right(one) for one in questions])
    assert found["rouge_l"] == 1.0
    assert np.isnan(found["facts_f1"])


@pytest.mark.parametrize("key", ["musicqa", "musicinstruct"])
def test_published_questions(key: str, tmp_path: Path) -> None:
    music = known_music.with_files(key, source_samples.prepare(key, tmp_path))
    questions = task("open_qa").load(music)
    assert questions
    assert all(task("open_qa").credit(one, right(one)) == 1.0 for one in questions)
    assert np.isnan(figures("open_qa", questions, [right(one) for one in questions])["correct"])


def test_ones_own_captions(tmp_path: Path) -> None:
    known_music.write_tone(tmp_path / "a.wav")
    rows = [{"path": "a.wav", "captions": ["One.", "Two."]}, {"path": "b.wav", "captions": ["x"]}, {"path": "a.wav"}]
    (tmp_path / "captions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    told: list[str] = []
    (one,) = task("captioning").load(known_music.with_files("captions", tmp_path, told=told))
    assert one.references == ("One.", "Two.")
    assert "2 of 3 rows" in told[0]
    (tmp_path / "captions.jsonl").unlink()
    with pytest.raises(AbsentError, match=r"captions\.jsonl is not there"):
        task("captioning").load(known_music.with_files("captions", tmp_path))


def test_absent_recordings_of_a_benchmark_are_told(tmp_path: Path) -> None:
    folder = source_samples.prepare("musiccaps", tmp_path)
    for path in (folder / "audio").iterdir():
        path.unlink()
    with pytest.raises(AbsentError, match="no recording is named"):
        task("captioning").load(known_music.with_files("musiccaps", folder))


def test_rankings_hold_sixteen_different_captions_in_drawn_order() -> None:
    questions = [one for one in task("retrieval").load(known_music.of(160)) if len(one.given["texts"]) > 1]
    for one in questions:
        assert len(set(one.given["texts"])) == len(set(one.given["candidates"])) == 16
        assert one.truth in one.given["candidates"]
    places = [one.given["candidates"].index(one.truth) for one in questions]
    assert len(set(places)) > 8
    other = [one for one in task("retrieval").load(known_music.of(160, seed=1)) if len(one.given["texts"]) > 1]
    assert [one.id for one in other] == [one.id for one in questions]
    assert [one.given["candidates"] for one in other] != [one.given["candidates"] for one in questions]


def test_recordings_are_ranked_within_blocks_that_share_none() -> None:
    questions = [one for one in task("retrieval").load(known_music.of(160)) if len(one.given["texts"]) == 1]
    assert len(questions) == 60
    blocks: dict[str, set[str]] = {}
    for one in questions:
        names = {str(recording.source) for recording in one.recordings}
        assert len(names) == len(one.given["candidates"]) == 16
        assert blocks.setdefault(one.unit, names) == names
        place = one.given["candidates"].index(one.truth)
        assert Path(str(one.recordings[place].source)).stem == one.truth.split("-")[2]
    assert len(blocks) == 10
    assert len(set.union(*blocks.values())) == 160


def test_rankings_by_chance_are_at_chance() -> None:
    module = task("retrieval")
    questions = module.load(known_music.of(160))
    rng = random.Random(0)
    found: dict[str, list[float]] = {}
    for _ in range(30):
        said = [Said(ranking=tuple(rng.sample(one.given["candidates"], 16))) for one in questions]
        for name, value in figures("retrieval", questions, said).items():
            found.setdefault(name, []).append(value)
    for name, values in found.items():
        assert np.mean(values) == pytest.approx(module.ABOUT.figures[name].chance, rel=0.12), name
    half = [right(one) if number % 2 else Said(error="none") for number, one in enumerate(questions)]
    assert figures("retrieval", questions, half)["recall_at_1"] == 0.5
    assert figures("retrieval", questions, half)["recording_at_1"] == 0.5
    assert figures("retrieval", questions, half)["mrr"] == 0.5


def test_any_difference_of_a_logit_counts_and_no_answer_too() -> None:
    module = task("text_ability")
    questions = module.load(known_music.of(2))
    assert len({one.asked for one in questions}) == 40
    assert not any(one.recordings for one in questions)
    assert any(not one.asked.isascii() for one in questions)
    said = [Said(value=0.0)] * 38 + [Said(value=1e-6), Said(error="none")]
    found = figures("text_ability", questions, said)
    assert found["identical"] == pytest.approx(38 / 40)
    assert found["greatest_difference"] == 1e-6
    assert blind.answers(questions) == {}


def test_pieces_of_which_little_is_known_are_asked_what_is_known() -> None:
    bare = [
        dataclasses.replace(track, key=None, keys=None, sections=None, chords=None)
        for track in random_tracks.tracks(20, split="test")
    ]
    music = dataclasses.replace(known_music.of(2), tracks=tuple(bare))
    assert all(one.truth["kind"] != "key" for one in task("open_qa").load(music))
    pairs = itertools.pairwise(task("captioning").load(music))
    assert all("key" not in one.truth and one.unit != other.unit for one, other in pairs)
    assert isinstance(bare[0], Track)
    assert isinstance(music, Music)
