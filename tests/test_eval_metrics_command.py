"""`mllm eval metrics`: figures by name, intervals, comparison, and every kind of bad input."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from mllm import cli
from mllm.eval.metrics import legacy, meteor, text, wordnet
from tests.caption_pairs import PREDICTIONS, REFERENCES, ROWS

FEW = ("--resamples", "200", "--processes", "1")


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `mllm eval metrics` with these words."""
    status = cli.main(["eval", "metrics", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def report(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any]]:
    status, out, err = run(capsys, *words, *FEW, "--json")
    assert out, err
    return status, json.loads(out, parse_constant=pytest.fail)


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """Those of our own that are not empty."""
    return write(tmp_path / "p.jsonl", [row for row in ROWS if row["prediction"]])


def test_captions_get_every_figure_by_name(capsys: pytest.CaptureFixture[str], captions: Path) -> None:
    status, found = report(capsys, "--predictions", captions, "--task", "caption")
    assert status == 0
    kept = [place for place, said in enumerate(PREDICTIONS) if said]
    expected = text.evaluate([PREDICTIONS[k] for k in kept], [REFERENCES[k] for k in kept])
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert {"bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider", "distinct1", "distinct2", "mean_words"} <= set(
        found
    )
    assert (found["task"], found["count"], found["problems"]) == ("caption", len(kept), [])
    for name in expected:
        low, high = found["intervals"][name]
        assert low < found[name] < high
    assert "bertscore_f1" in found["absent"]
    assert (meteor.NAME in found["absent"]) is not wordnet.is_there()


def test_the_same_seed_gives_the_same_numbers(capsys: pytest.CaptureFixture[str], captions: Path) -> None:
    first = run(capsys, "--predictions", captions, "--json", *FEW)
    assert first == run(capsys, "--predictions", captions, "--json", *FEW)
    assert first[1] != run(capsys, "--predictions", captions, "--json", *FEW, "--seed", "1")[1]


def test_the_broken_scorer_stands_beside(capsys: pytest.CaptureFixture[str], captions: Path) -> None:
    _, found = report(capsys, "--predictions", captions, "--legacy")
    kept = [row for row in ROWS if row["prediction"]]
    expected = legacy.evaluate([row["prediction"] for row in kept], [row["references"] for row in kept])
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_a_table_has_intervals(capsys: pytest.CaptureFixture[str], captions: Path) -> None:
    status, out, err = run(capsys, "--predictions", captions, *FEW)
    assert status == 0
    assert f"| figure | of {len(ROWS) - 1} items |" in out
    assert any(line.startswith("| rouge_l | 0.") and "[0." in line for line in out.splitlines())
    assert "bertscore_f1 is not counted" in err


def test_novelty_is_over_a_vocabulary(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    known = tmp_path / "train.txt"
    known.write_text("A slow song.\nThe piano\n")
    path = write(tmp_path / "p.jsonl", [{"prediction": "a slow zither", "references": ["a harp"]}])
    _, found = report(capsys, "--predictions", path, "--vocabulary", known)
    assert found["novelty"] == found["vocabulary_novelty"] == pytest.approx(1 / 3)


def test_two_systems_are_compared_by_pairs(capsys: pytest.CaptureFixture[str], tmp_path: Path, captions: Path) -> None:
    copied = [
        {"prediction": row["references"][0], "references": row["references"]} for row in ROWS if row["prediction"]
    ]
    better = write(tmp_path / "better.jsonl", copied)
    status, found = report(capsys, "--predictions", better, "--compare", captions)
    assert status == 0
    gap = found["compared"]["rouge_l"]
    assert gap["difference"] == pytest.approx(found["rouge_l"] - gap["other"])
    assert gap["interval"][0] > 0
    _, same = report(capsys, "--predictions", captions, "--compare", captions)
    assert same["compared"]["cider"]["interval"] == [0.0, 0.0]
    assert "difference" in run(capsys, "--predictions", better, "--compare", captions, *FEW)[1]


# --- bad input


def test_files_joined_by_id_keep_the_denominator(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    references = [{"id": str(k), "references": [f"a song number {k} with a piano"]} for k in range(5)]
    right = [{"id": str(k), "prediction": f"a song number {k} with a piano"} for k in range(4)]
    again = {"id": "1", "prediction": "something else"}
    extra = {"id": "9", "prediction": "a song number 9"}
    said = write(tmp_path / "p.jsonl", [*right, again, extra, {"prediction": "whose?"}])
    status, found = report(capsys, "--predictions", said, "--references", write(tmp_path / "r.jsonl", references))
    assert status == 1
    assert found["count"] == 5
    assert found["rouge_l"] == pytest.approx(4 / 5)
    told = "\n".join(found["problems"])
    assert "ids that stand in p.jsonl more than once, of which the first line counts: 1 (1)" in told
    assert "ids of p.jsonl that have no references, which are left out: 1 (9)" in told
    assert "ids without a prediction in p.jsonl, which count as empty predictions: 1 (4)" in told
    assert 'lines of p.jsonl without "id", which are left out: 1 (line 7)' in told


def test_every_kind_of_broken_line_counts_as_wrong_and_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    right = b'{"prediction": "a slow piano", "references": ["a slow piano"]}'
    lines = [
        right,
        b"{not json",
        b'["a list"]',
        '{"prediction": "caf\xe9", "references": ["a slow piano"]}'.encode("latin-1"),
        b'{"prediction": NaN, "references": ["a slow piano"]}',
        b'{"prediction": "", "references": ["a slow piano"]}',
        b'{"references": ["a slow piano"]}',
        b'{"prediction": 12, "references": ["a slow piano"]}',
        b'{"prediction": "a slow piano", "references": []}',
        b'{"prediction": "a slow piano"}',
        b"[" * 100_000,
        b'{"prediction": "\\ud800", "references": ["a slow piano"]}',
    ]
    path = tmp_path / "p.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n\n")
    status, found = report(capsys, "--predictions", path, "--legacy")
    assert status == 1
    assert found["count"] == len(lines)
    assert found["rouge_l"] == pytest.approx(1 / len(lines))
    told = "\n".join(found["problems"])
    for part in (
        "lines that are no JSON, which count as empty predictions: 2 (line 2 of p.jsonl, line 11 of p.jsonl)",
        "lines that hold no JSON object, which count as empty predictions: 1 (line 3 of p.jsonl)",
        "lines that are not UTF-8, the predictions of which count as empty: 1 (line 4 of p.jsonl)",
        "lines with NaN or Infinity, which is no JSON and is read as nothing: 1 (line 5 of p.jsonl)",
        "empty predictions, which count as wrong: 1 (line 6)",
        'lines without "prediction", which count as empty predictions: 1 (line 7)',
        "predictions that are numbers instead of a text, which count as empty: 1 (line 8)",
        'items without "references" (a list of texts), which count as wrong: 2 (line 9, line 10)',
    ):
        assert part in told


def test_an_answer_of_ten_megabytes_takes_seconds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    endless = "a slow piano plays. " * 500_000
    path = write(tmp_path / "p.jsonl", [{"prediction": endless, "references": ["a slow piano plays."]}, ROWS[0]])
    began = time.process_time()
    status, found = report(capsys, "--predictions", path, "--legacy")
    assert time.process_time() - began < 20
    assert status == 1
    assert "texts longer than 20,000 characters, of which that much is scored: 1 (line 1)" in found["problems"]
    assert found["mean_words"] < 3000


def test_an_answer_is_never_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    harmful = f"__import__('pathlib').Path({str(witness)!r}).touch()"
    rows = [{"prediction": harmful, "references": ["a song"]}, {"prediction": "1/0", "references": ["a song"]}]
    status, _ = report(capsys, "--predictions", write(tmp_path / "p.jsonl", rows))
    assert status == 0
    assert not witness.exists()


@pytest.mark.parametrize(
    ("content", "task", "message"),
    [
        ("", "caption", "holds no line that can be scored"),
        ('{"prediction": "a"}\n', "caption", 'no line has "references"'),
        ('{"prediction": "a"}\n', "choice", 'no line has "choices" and "answer"'),
        ('{"prediction": ["a"]}\n', "tags", 'no line has "references"'),
        ('{"prediction": 100, "reference": NaN}\n', "tempo", 'no line has "reference", a number'),
        ('{"prediction": "C major", "reference": "H"}\n', "key", 'no line has "reference", a key'),
    ],
)
def test_nothing_that_can_be_scored_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, task: str, message: str
) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(content)
    status, out, err = run(capsys, "--predictions", path, "--task", task, "--json")
    assert (status, out) == (2, "")
    assert message in err


def test_files_that_are_not_there_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, captions: Path
) -> None:
    for words, message in (
        (("--predictions", tmp_path / "none.jsonl"), "cannot be read"),
        (("--predictions", captions, "--references", tmp_path), "cannot be read"),
        (("--predictions", captions, "--vocabulary", tmp_path / "none.txt"), "--vocabulary"),
        (("--predictions", captions, "--bert-model", tmp_path), "holds no config.json"),
    ):
        status, out, err = run(capsys, *words)
        assert (status, out) == (2, "")
        assert message in err


# --- other tasks


def test_choices_are_read_strictly(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    choices = ["a piano", "a guitar", "a very long harp", "drums"]
    rows = [
        {"prediction": "B", "choices": choices, "answer": "B"},
        {"prediction": "(C) a very long harp", "choices": choices, "answer": 2},
        {"prediction": "drums", "choices": choices, "answer": "drums"},
        {"prediction": "either A or B", "choices": choices, "answer": "A"},
        {"prediction": "no idea at all", "choices": choices, "answer": "A"},
        {"prediction": "A", "choices": choices, "answer": "E"},
    ]
    status, found = report(capsys, "--predictions", write(tmp_path / "p.jsonl", rows), "--task", "choice")
    assert status == 1
    assert (found["accuracy"], found["answered"]) == (3 / 6, 3 / 6)
    assert (found["chance"], found["longest_option"]) == (0.25, pytest.approx(1 / 5))
    assert found["problems"] == [
        'items without two "choices" and an "answer" among them, which count as wrong: 1 (line 6)'
    ]


def test_tags_are_compared_in_lower_case(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [
        {"prediction": ["Rock", "loud"], "references": ["rock", "guitar"]},
        {"prediction": [], "references": ["jazz"]},
        {"prediction": "rock", "references": ["rock"]},
    ]
    status, found = report(capsys, "--predictions", write(tmp_path / "p.jsonl", rows), "--task", "tags")
    assert status == 1
    assert found["problems"] == ["predictions that are no list of texts, which count as empty: 1 (line 3)"]
    assert (found["precision"], found["recall"], found["exact"]) == (1 / 2, 1 / 4, 0.0)
    assert found["micro_f1"] == pytest.approx(2 / 6)


def test_tempi_are_numbers_or_texts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = [100, "about 52 bpm", "I cannot tell", None, 1e999, True]
    rows = [{"prediction": one, "reference": 100} for one in said] + [{"prediction": 100, "reference": -3}]
    status, found = report(capsys, "--predictions", write(tmp_path / "p.jsonl", rows), "--task", "tempo")
    assert status == 1
    assert (found["count"], found["acc1"], found["acc2"]) == (7, 1 / 7, 2 / 7)
    assert found["answered"] == pytest.approx(3 / 7)


def test_keys_are_read_in_any_spelling(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = ["Gb minor", "It is in A major.", "no idea"]
    rows = [{"prediction": one, "reference": "F# minor"} for one in said]
    status, found = report(capsys, "--predictions", write(tmp_path / "p.jsonl", rows), "--task", "key")
    assert status == 0
    assert (found["exact"], found["mirex"]) == (pytest.approx(1 / 3), pytest.approx(1.3 / 3))
