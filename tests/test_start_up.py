"""A command's short start: what it leaves out is not imported, and is there for whoever asks for it later."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

_SCRIPT = """
import json, sys
from mllm.commands import _shared
listener = _shared.open_listener(None, seed=0)
left_out = ("torch._dynamo", "torch.distributed.tensor", "sklearn", "scipy", "pandas")
seen = {"imported": [name for name in left_out if name in sys.modules]}
import torch
from transformers import BertConfig, masking_utils, models
with masking_utils.TransformGetItemToIndex():
    seen["compiled"] = torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2)).tolist()
seen["hidden size"] = BertConfig().hidden_size
seen["family"] = models.bert.BertConfig.__name__
from torch.distributed.tensor import DTensor
seen["distributed"] = [torch.distributed.is_available(), DTensor.__name__]
from scipy import stats
seen["scipy"] = stats.__name__
print(json.dumps(seen))
"""


def _run(script: str) -> Any:
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_a_command_leaves_out_is_there_for_others() -> None:
    assert _run(_SCRIPT) == {
        "imported": [],
        "compiled": [2.0, 2.0],
        "hidden size": 768,
        "family": "BertConfig",
        "distributed": [True, "DTensor"],
        "scipy": "scipy.stats",
    }


def test_where_transformers_is_there_already_nothing_is_left_out() -> None:
    seen = _run(f"import transformers.models.auto.modeling_auto\n{_SCRIPT}")
    assert {"torch._dynamo", "scipy"} <= set(seen["imported"])
    assert seen["compiled"] == [2.0, 2.0]
