"""Makes the questions for `train_rewards.py` from the labels of rendered clips.

python scripts/make_reward_questions.py --labels runs/clips/train/labels.jsonl --out train.jsonl \
        --kinds '[tempo, instruments]' --limit 400
python scripts/make_reward_questions.py --labels runs/clips/test/labels.jsonl --out test.jsonl --held_out true
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from jsonargparse import auto_cli

from mllm.instruct_data import reward_questions
from mllm.instruct_data.reward_questions import KINDS, Kind


def run(
    labels: Path,
    out: Path,
    kinds: list[Kind] | None = None,
    held_out: bool = False,
    limit: int | None = None,
    seed: int = 1,
) -> int:
    """Writes a line for each question.

    Args:
        labels: labels.jsonl of rendered clips.
        out: JSONL file to write.
        kinds: of the questions; None for all.
        held_out: whether the wordings are those that are kept from training.
        limit: at most that many clips, drawn at random; None for all.
        seed: of clips and wordings.
    """
    rows = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines()]
    chosen = rows if limit is None else random.Random(seed).sample(rows, min(limit, len(rows)))
    found = reward_questions.questions(
        chosen, labels.parent, kinds=KINDS if kinds is None else kinds, held_out=held_out, seed=seed
    )
    out.write_text("".join(json.dumps(line) + "\n" for line in found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(auto_cli(run, as_positional=False))
