"""Emotion: ratings of listeners, tables of one's own and of DEAM, answers on a scale."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mllm.eval import blind, statistic
from mllm.eval.music import AbsentError, Music
from mllm.eval.questions import Question, Said
from mllm.eval.reading import scale
from mllm.eval.tasks import emotion


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("7", 7.0),
        ("About 6.5 out of 9.", 6.5),
        ("I would say seven.", 7.0),
        ("8/9", 8.0),
        ('{"valence": 3}', 3.0),
        ("On a scale from 1 to 9, it is a 4.", 4.0),
        ("Not 7 but 5.", 5.0),
        ("5 or 6", None),
        ("12", None),
        ("0", None),
        ("It is sad.", None),
        ("", None),
        ("__import__('os').getpid()", None),
    ],
)
def test_one_place_on_the_scale_is_read(answer: str, value: float | None) -> None:
    assert scale.read(answer, 1, 9) == value


def ratings(folder: Path, count: int = 12) -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for number in range(count):
        soundfile.write(folder / f"{number}.wav", rng.uniform(-0.1, 0.1, 16_000), 16_000)
        rows.append({"file": f"{number}.wav", "valence": 2 + number * 0.5, "arousal": 8 - number * 0.5})
    return rows


@pytest.fixture
def questions(tmp_path: Path) -> list[Question]:
    rows = ratings(tmp_path)
    (tmp_path / "emotion.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(emotion.load(Music(folder=tmp_path / "music", places={"emotion": tmp_path})))


def values(questions: list[Question], said: list[Said]) -> dict[str, float]:
    draws = statistic.draw([one.unit for one in questions], resamples=10, seed=0)
    found = {}
    for name, figure in emotion.figures(questions, said).items():
        value = statistic.estimate(figure, draws).value
        assert value is not None
        found[name] = value
    return found


def test_right_answers_earn_all_and_nothing_said_earns_nothing(questions: list[Question]) -> None:
    assert len(questions) == 24
    assert set(values(questions, [Said(text=one.references[0]) for one in questions]).values()) == {1.0}
    silent = values(questions, [Said() for _ in questions])
    assert silent["valence_near"] == silent["arousal_near"] == 0.0
    assert silent["valence_r2"] < -1


def test_r_squared_is_0_for_the_mean_of_the_truth(questions: list[Question]) -> None:
    mean = np.mean([one.truth for one in questions if one.template == "emotion/valence"])
    found = values(questions, [Said(text=f"{mean:.4f}") for _ in questions])
    assert found["valence_r2"] == pytest.approx(0.0, abs=1e-6)


def test_the_best_single_rating_stands_beside(questions: list[Question]) -> None:
    said = emotion.blind(questions)["best single rating"]
    assert 0.1 < values(questions, said)["valence_near"] < 0.7
    assert set(blind.answers(questions)) == {"majority per template", "another recording's answer"}


def test_deam_is_read_as_its_authors_describe_it(tmp_path: Path) -> None:
    audio = tmp_path / "MEMD_audio"
    audio.mkdir()
    (audio / "2.mp3").write_bytes(b"not opened here")
    table = tmp_path / "annotations" / "static_annotations_averaged_songs_1_2000.csv"
    table.parent.mkdir()
    table.write_text("song_id, valence_mean, valence_std, arousal_mean, arousal_std\n2,3.1,0.94,3.0,0.63\n3,5,1,5,1\n")
    told: list[str] = []
    found = emotion.load(Music(folder=tmp_path / "music", places={"emotion": tmp_path}, tell=told.append))
    assert [(one.id, one.truth) for one in found] == [
        ("MEMD_audio/2.mp3/valence", 3.1),
        ("MEMD_audio/2.mp3/arousal", 3.0),
    ]
    assert any("1 of 3 rows cannot be used" in sentence for sentence in told)


def test_without_files_it_says_which_and_where_from(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match="give them with --data emotion=DIR"):
        emotion.load(Music(folder=tmp_path))
    with pytest.raises(AbsentError, match=r"holds no ratings\. Give a folder with emotion\.csv"):
        emotion.load(Music(folder=tmp_path, places={"emotion": tmp_path}))
    (tmp_path / "emotion.csv").write_text("file,valence,arousal\nabsent.wav,3,4\n")
    with pytest.raises(AbsentError, match="no row can be used"):
        emotion.load(Music(folder=tmp_path, places={"emotion": tmp_path}))
