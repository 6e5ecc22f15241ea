"""The checkpoint that is shipped: it is found, opens strictly, and answers about the shipped recording."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mllm import cli
from mllm.checkpoint import reference_directory
from mllm.describe import FIELDS
from mllm.listener import Listener

DEMO = Path(__file__).parents[1] / "mllm" / "data" / "demo.mp3"
FACTS = json.loads(DEMO.with_suffix(".json").read_text(encoding="utf-8"))
LIMIT_BYTES = 40_000_000


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener.load()


def test_the_whole_checkpoint_is_small_and_carries_its_card() -> None:
    directory = reference_directory()
    assert sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) < LIMIT_BYTES
    card = (directory / "README.md").read_text(encoding="utf-8")
    for heading in ("What it was trained on", "What it can say, and what it cannot"):
        assert heading in card


def test_it_describes_the_shipped_recording(listener: Listener) -> None:
    description = listener.describe(DEMO).to_json()
    assert set(FIELDS) <= set(description)
    assert description["key"] == FACTS["key"]
    assert description["tempo_bpm"] == pytest.approx(FACTS["tempo_bpm"], rel=0.04)
    assert description["seconds_heard"] == pytest.approx(FACTS["seconds"], abs=0.1)


@pytest.mark.parametrize(
    ("question", "verdict"),
    [
        ("Is there an acoustic guitar?", "Yes, "),
        ("Is there no acoustic guitar?", "No, "),
        ("Do you hear drums?", "No, "),
        ("Is it without drums?", "Yes, "),
        ("Is it in G# minor?", "I checked: G# minor yes."),
        ("Is it in C major?", "I checked: C major no."),
        ("Is it in 4/4?", "I checked: 4/4 yes."),
        ("Is it in 3/4?", "I checked: 3/4 no."),
    ],
)
def test_yes_and_no_follow_what_is_heard(listener: Listener, question: str, verdict: str) -> None:
    assert listener.ask([DEMO], question).text.startswith(verdict)


@pytest.mark.parametrize("question", ["What are the lyrics?", "Who is the artist?", "What is the title?"])
def test_it_does_not_tell_what_it_cannot_hear(listener: Listener, question: str) -> None:
    assert listener.ask([DEMO], question).text.startswith("I cannot tell")


def test_the_same_question_gets_the_same_answer(listener: Listener) -> None:
    first, second = (listener.ask([DEMO], "What is the key?").text for _ in range(2))
    assert first == second
    assert FACTS["key"] in first


def test_the_command_uses_it_when_no_model_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["describe", str(DEMO), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["key"] == FACTS["key"]
