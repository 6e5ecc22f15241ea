"""How fast `mllm data build` makes exact-truth music, and how much memory it takes: builds a data set as a process.

In: what to build. Out: one JSON object: hours of music, seconds from process start to end, hours built an hour, times
real time for each core, peak memory of all processes together, megabytes on disk. With `--kills N` the build is ended
N times by kill -9 at random moments and started again; its files are compared with nothing here (see the tests).
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil

GIB = 2**30
_SAMPLED_SECONDS = 1.0
_MEAN_SECONDS_TO_A_KILL = 60.0


def main() -> int:
    """Parse the arguments, build, print the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="of music (default: 1)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--format", choices=("flac", "opus", "ogg"), default="flac", help="of recordings")
    parser.add_argument("--kills", type=int, default=0, help="how often it is killed and started again")
    parser.add_argument("words", nargs="*", help="further settings, such as render.composed=0.5")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "mllm", "data", "build", "--hours", str(arguments.hours)]
    command += ["--out", str(arguments.out), f"workers={arguments.workers}", f"render.format={arguments.format}"]
    command += arguments.words
    rng = random.Random(0)
    began, peak, status = time.perf_counter(), 0, None
    for kills_left in range(arguments.kills, -1, -1):
        until = rng.expovariate(1 / _MEAN_SECONDS_TO_A_KILL) if kills_left else float("inf")
        status, most = _run(command, until)
        peak = max(peak, most)
        if status is not None:
            break
    seconds = time.perf_counter() - began
    if status != 0:
        print(f"the build ended with status {status}", file=sys.stderr)
        return 1
    manifest = json.loads((arguments.out / "manifest.json").read_text(encoding="utf-8"))
    hours = sum(split["hours"] for split in manifest["splits"].values())
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    figures = {
        "hours": round(hours, 2),
        "records": sum(split["records"] for split in manifest["splits"].values()),
        "seconds": round(seconds, 1),
        "kills": arguments.kills,
        "hours_an_hour": round(hours * 3600 / seconds, 1),
        "times_real_time_a_core": round(hours * 3600 / seconds / min(arguments.workers, psutil.cpu_count() or 1), 1),
        "peak_gib": round(peak / GIB, 2),
        "megabytes": round(size / 1e6),
    }
    print(json.dumps(figures))
    return 0


def _run(command: list[str], until: float) -> tuple[int | None, int]:
    """Exit status, None where it was killed after so many seconds, and the most bytes that all processes held."""
    began, peak = time.perf_counter(), 0
    with subprocess.Popen(command) as process:  # noqa: S603 (our own command)
        while process.poll() is None:
            peak = max(peak, _held(process.pid))
            if time.perf_counter() - began > until:
                for one in _tree(process.pid):
                    one.kill()
                process.wait()
                return None, peak
            time.sleep(_SAMPLED_SECONDS)
        return process.returncode, peak


def _held(number: int) -> int:
    """Bytes of a process and of all that it started, what they share counted once."""
    held = 0
    for one in _tree(number):
        try:
            held += one.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
            continue  # it has just ended
    return held


def _tree(number: int) -> list[psutil.Process]:
    try:
        first = psutil.Process(number)
        return [*first.children(recursive=True), first]
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    sys.exit(main())
