"""Blind answerers find a bias where there is one, and none where there is none."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from mllm.instruct_data import asking, balance, blind, data_set
from mllm.instruct_data.records import Record, conversation
from tests import random_tracks

ROOT = Path(__file__).resolve().parents[1]
LABELLED = ("yes_no", "multiple_choice", "comparison")


def record(number: int, **fields: object) -> Record:
    plain = {
        "id": f"r-{number}",
        "task": "made",
        "template": "made/one",
        "source": "s",
        "licence": "CC0",
        "split": "train",
    }
    return Record(messages=conversation([], [("Q?", "A.")]), **(plain | fields))  # type: ignore[arg-type]


def score(records: list[Record], answerer: str) -> blind.Score:
    return next(one for one in blind.scores(records) if one.answerer == answerer)


def test_a_commoner_label_is_found() -> None:
    biased = [record(n, label="yes" if n % 10 < 7 else "no") for n in range(2000)]
    found = score(biased, "majority per template")
    assert found.score == pytest.approx(0.7, abs=0.01)
    assert found.chance == 0.5
    assert found.gains(0.02)
    assert score(biased, "always yes").score == pytest.approx(0.7)


def test_even_labels_give_chance() -> None:
    even = [record(n, label="yes" if n % 2 else "no") for n in range(2000)]
    found = score(even, "majority per template")
    assert found.score == pytest.approx(0.5, abs=0.002)
    assert not found.gains(0.02)


def test_a_longer_right_option_is_found() -> None:
    rng = random.Random(0)
    records = []
    for n in range(1200):
        options = ["waltz", "march", "a slow and solemn chorale"]
        rng.shuffle(options)
        records.append(record(n, choices=tuple(options), correct=options.index("a slow and solemn chorale")))
    assert score(records, "longest option").score == 1.0
    assert score(records, "shortest option").score == 0.0
    assert score(records, "option most often right").score == 1.0
    assert score(records, "majority per template and options").score == 1.0
    assert not score(records, "always A").gains(0.02)


def test_a_favoured_position_is_found() -> None:
    rng = random.Random(0)
    records = [
        record(n, choices=("a", "b", "c", "d"), correct=1 if rng.random() < 0.6 else rng.randrange(4))
        for n in range(1500)
    ]
    assert score(records, "always B").score == pytest.approx(0.7, abs=0.05)
    assert score(records, "majority per template").gains(0.02)
    assert not score(records, "always A").gains(0.02)


def test_letters_that_are_not_offered_are_not_said() -> None:
    records = [record(n, choices=("a", "b"), correct=n % 2) for n in range(10)]
    assert {one.answerer for one in blind.scores(records)} >= {"always A", "always B"}
    assert not {one.answerer for one in blind.scores(records)} & {"always C", "always D", "always yes"}


def test_free_answers_are_not_scored() -> None:
    assert blind.scores([record(n) for n in range(5)]) == []


def test_the_wilson_interval_of_half() -> None:
    low, high = blind.wilson(50, 100)
    assert (low, high) == (pytest.approx(0.4038, abs=1e-3), pytest.approx(0.5962, abs=1e-3))


@pytest.fixture(scope="module")
def balanced() -> list[Record]:
    """Questions about recordings whose facts are very unevenly common."""
    weights = dict.fromkeys(asking.kinds(), 0.0) | dict.fromkeys(LABELLED, 1.0)
    given = random_tracks.tracks(3000)
    records = list(asking.records_about(given, seed=1, per_track=6, weights=weights))
    dropped = balance.surplus(row for record in records if (row := balance.row(record)) is not None)
    assert len(dropped) < 0.2 * len(records)
    return [record for record in records if record.id not in dropped]


def test_no_blind_answerer_gains_on_what_is_made(balanced: list[Record]) -> None:
    scores = blind.scores(balanced)
    assert {one.task for one in scores} == set(LABELLED)
    for one in scores:
        noise = (one.high - one.low) / 2
        assert one.count > 300
        assert abs(one.score - one.chance) <= 0.02 + noise, one
        assert not one.gains(0.02), one


def test_the_facts_are_unevenly_common(balanced: list[Record]) -> None:
    given = random_tracks.tracks(500)
    assert sum(track.meter == "4/4" for track in given) > 300
    assert sum("piano" in (track.activity or ()) for track in given) > 300
    asked = {record.template for record in balanced}
    assert {"yes_no/has/piano", "yes_no/has/drums", "yes_no/is_meter/4/4", "multiple_choice/meter"} <= asked


def write(folder: Path, records: list[Record]) -> None:
    data_set.write_records(folder / data_set.RECORDS / data_set.file_name("train", 0, 1), records)
    (folder / data_set.MANIFEST).write_text("{}")


def bench(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "scripts" / "bench_blind.py"), str(folder), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, check=False)


def test_the_script_passes_a_balanced_data_set(tmp_path: Path, balanced: list[Record]) -> None:
    write(tmp_path, balanced)
    found = bench(tmp_path)
    assert found.returncode == 0, found.stderr
    assert "| multiple_choice | longest option |" in found.stdout


def test_the_script_names_who_gains(tmp_path: Path) -> None:
    write(tmp_path, [record(n, label="yes" if n % 10 < 7 else "no") for n in range(2000)])
    found = bench(tmp_path, "--json_lines", "true")
    assert found.returncode == 1
    assert "majority per template gains 20.0 points on made" in found.stderr
    assert json.loads(found.stdout.splitlines()[0])["count"] == 2000


def test_the_script_refuses_what_is_not_finished(tmp_path: Path) -> None:
    found = bench(tmp_path)
    assert found.returncode == 2
    assert "holds no finished data set" in found.stderr
