"""Questions for reward training: their facts are those of the labels, and true answers to them earn everything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mllm import registry
from mllm.instruct_data.reward_questions import KINDS, questions

ROOT = Path(__file__).parents[1]
LABELS: list[dict[str, Any]] = [
    {"path": "a.flac", "tempo_bpm": 121.3, "key": "F# minor", "meter": "4/4", "instruments": ["piano", "flute"]},
    {"path": "b/c.flac", "tempo_bpm": 76.0, "key": "C major", "meter": "6/8", "instruments": ["strings"]},
]


def test_every_kind_asks_for_what_its_reward_judges(tmp_path: Path) -> None:
    found = list(questions(LABELS, tmp_path, held_out=False, seed=3))
    assert len(found) == len(LABELS) * len(KINDS)
    for number, line in enumerate(found):
        row, kind = LABELS[number // len(KINDS)], KINDS[number % len(KINDS)]
        (message,) = line["messages"]
        audio, text = message["content"]
        assert audio == {"type": "audio", "path": str(tmp_path / row["path"])}
        assert text["text"]
        reward = registry.find("reward", kind).reward
        said = {
            "tempo": f"It is at {round(row['tempo_bpm'])} BPM.",
            "instruments": f"I hear {' and '.join(row['instruments'])}.",
            "key": f"It is in {row['key']}.",
            "yes_no": "Yes." if line["facts"].get("yes") else "No.",
            "cannot_tell": "I cannot tell that.",
        }[kind]
        assert reward(said, line["facts"]) == pytest.approx(1.0)
        assert reward("", line["facts"]) == 0.0


def test_wordings_that_are_kept_are_other_wordings_and_a_seed_gives_the_same(tmp_path: Path) -> None:
    def texts(*, held_out: bool, seed: int = 1) -> list[str]:
        many = LABELS * 40
        found = questions(many, tmp_path, kinds=("tempo", "key"), held_out=held_out, seed=seed)
        return [line["messages"][0]["content"][1]["text"] for line in found]

    assert not set(texts(held_out=True)) & set(texts(held_out=False))
    assert texts(held_out=False) == texts(held_out=False)
    assert texts(held_out=False) != texts(held_out=False, seed=2)


def test_the_script_writes_a_file_of_them(tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text("".join(json.dumps(row) + "\n" for row in LABELS))
    out = tmp_path / "questions.jsonl"
    script = ROOT / "scripts" / "make_reward_questions.py"
    words = ["--labels", str(labels), "--out", str(out), "--kinds", "[tempo, yes_no]", "--limit", "1"]
    subprocess.run([sys.executable, str(script), *words], check=True, cwd=ROOT, timeout=120)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["facts"]["asked"] for line in lines] == [["tempo_bpm"], ["yes"]]
