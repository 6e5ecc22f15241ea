"""Averages the weights of backbones that went on from the same one with other seeds, and reads the gate of the mean.

    python scripts/average_backbones.py --parts "[runs/a/final,runs/b/final]" --output runs/mean

Exit status 1 if the gate is not passed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jsonargparse import auto_cli
from transformers import PreTrainedTokenizerFast

from mllm.instruct_data.backbone_gate import passes
from mllm.train.backbone import average


def run(parts: list[Path], output: Path, gate_questions: int = 3000) -> int:
    """Averages and reads the gate.

    Args:
        parts: directories of the backbones; the first one's tokenizer is kept.
        output: of the mean, in the same format.
        gate_questions: questions of the gate.
    """
    average(parts, output)
    PreTrainedTokenizerFast.from_pretrained(parts[0]).save_pretrained(output)
    return 0 if passes(output, questions=gate_questions) else 1


if __name__ == "__main__":
    sys.exit(auto_cli(run, as_positional=False))
