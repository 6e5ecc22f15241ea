"""The reward for a yes/no question: an answer and `yes` (whether yes is right) in, 0 or 1 out.

The first word decides, as for who reads the answer; every other beginning earns nothing. Always saying yes earns as
much as the share of questions to which it is right, so ask as often for no. Knows no audio.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mllm.train.rewards import _reading

_FIRST_WORD = re.compile(r"[\W_]*([^\W\d_]+)")


def reward(answer: str, facts: Mapping[str, Any]) -> float | None:
    """0 or 1; None where nothing is asked that yes or no answers."""
    if not _reading.is_asked(facts, "yes"):
        return None
    match = _FIRST_WORD.match(_reading.readable(answer))
    said = {"yes": True, "no": False}.get(match[1].lower()) if match else None
    return float(said is bool(facts["yes"]))
