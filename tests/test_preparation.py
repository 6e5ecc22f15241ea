"""What processes share before a training: started without an agent, as DeepSpeed does it, they all get it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

ONE_PROCESS = """
import datetime, sys, time
from pathlib import Path
from torch import distributed
from mllm.train import preparation

def make():
    return preparation.Prepared(
        start=Path("start"), store=Path("store"), train=Path("train"), validation=None, max_tokens=17
    )

if sys.argv[1] == "1":
    time.sleep(2)  # the first one has long had its own by then
made = preparation.together(make)
distributed.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
distributed.barrier()
print(made)
distributed.destroy_process_group()
"""


def test_processes_without_an_agent_get_what_the_first_one_made() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    root = Path(__file__).parents[1]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_PROCESS, str(rank)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        ended = [process.communicate(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], ended[1][1]
    assert ended[0][0] == ended[1][0]
    assert "max_tokens=17" in ended[1][0]
