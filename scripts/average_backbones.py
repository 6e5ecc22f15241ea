"""Averages the weights of backbones that went on from the same one with other seeds, and reads the gate of the mean.

    python scripts/average_backbones.py --parts "[runs/a/final,runs/b/final]" --output runs/mean

Exit status 1 if the gate is not passed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from jsonargparse import auto_cli
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mllm.instruct_data.backbone_gate import GATE_PASS, gate
from mllm.train.backbone import average


def run(parts: list[Path], output: Path, gate_questions: int = 3000) -> int:
    """Averages and reads the gate.

    Args:
        parts: directories of the backbones; the first one's tokenizer is kept.
        output: of the mean, in the same format.
        gate_questions: questions of the gate.
    """
    average(parts, output)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(parts[0])
    tokenizer.save_pretrained(output)
    stored = LlamaForCausalLM.from_pretrained(output, dtype=torch.float32)
    reading = gate(stored, tokenizer, questions=gate_questions)
    (output / "gate.json").write_text(json.dumps(reading, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(reading["parts"], indent=1))
    return 0 if min(reading["parts"].values()) >= GATE_PASS else 1


if __name__ == "__main__":
    sys.exit(auto_cli(run, as_positional=False))
