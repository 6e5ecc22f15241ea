"""Reads scores in a process of its own, which may crash, run out of memory or of time without harm to anybody.

In: paths of score files. Out: their tunes, and why others are none. `python -m mllm.instruct_data.score_worker` is that
process: JSON objects a line come in, and go out.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import mllm
from mllm.errors import ConfigError
from mllm.instruct_data.scores import Tune, from_row, to_row

_MOST_MEMORY_BYTES = 3 << 30


class Reader:
    """Reads one score after the other in a process that is started anew whenever it died.

    Args:
        most_seconds: how long a file may take; the process is ended then.
    """

    def __init__(self, *, most_seconds: float) -> None:
        self._most_seconds = most_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, path: Path, *, name: str, source: str, licence: str) -> tuple[list[Tune], list[str]]:
        """Tunes of a file and why others in it are none, as `score_files.tunes_of_file` gives them."""
        request = {"path": str(path), "name": name, "source": source, "licence": licence}
        answer = self._ask(json.dumps(request).encode() + b"\n")
        if isinstance(answer, str):
            return [], [answer]
        return [from_row(row) for row in answer["tunes"]], list(answer["refused"])

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, request: bytes) -> dict[str, Any] | str:
        """The answer of the process, or why there is none."""
        process = self._process = self._process or _started()
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(self._most_seconds, process.kill)
        began = time.monotonic()
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(request)
                process.stdin.flush()
            line = process.stdout.readline()
        finally:
            timer.cancel()
        if line.endswith(b"\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        seconds = time.monotonic() - began
        self.close()
        if seconds >= self._most_seconds:
            return f"reading it took more than {self._most_seconds:g} s"
        return "reading it took more memory than there is for it, or ended the process that read it"


def _started() -> subprocess.Popen[bytes]:
    ours = str(Path(mllm.__file__).resolve().parents[1])
    paths = [ours, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "mllm.instruct_data.score_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert process.stdout is not None
    if process.stdout.readline() != b"ready\n":  # music21 takes a moment to import, which is no file's fault
        process.communicate()
        raise ConfigError(
            "the process that reads scores did not start; `python -m mllm.instruct_data.score_worker` tells why "
            "(without music21: pip install 'mllm-music[data]')"
        )
    return process


def main() -> None:
    """Answers requests until there are no more."""
    from mllm.instruct_data.score_files import tunes_of_file

    # Whatever prints does not print into the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _limit_memory()
    import music21  # noqa: F401 (imported here so that "ready" is true)

    answers.write(b"ready\n")
    answers.flush()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        tunes, refused = tunes_of_file(Path(request.pop("path")), **request)
        answers.write(json.dumps({"tunes": [to_row(tune) for tune in tunes], "refused": refused}).encode() + b"\n")
        answers.flush()


def _limit_memory() -> None:
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))


if __name__ == "__main__":
    main()
