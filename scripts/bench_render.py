"""Measures how much music a core makes in a second: `python scripts/bench_render.py --fonts a.sf2 b.sf3`.

    python scripts/bench_render.py [--pieces 24] [--processes '[1, 2]'] [--seconds '[30, 90]']

Prints one JSON object for each number of processes: hours of audio an hour of each core, of rendering alone (composed,
played, synthesised, with effects) and end to end (labelled, encoded, written) as FLAC and as Opus; by the clock, and by
the time that the processes had the processor, which on a shared machine is less; and the peak memory of all of them.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

from jsonargparse import auto_cli

from mllm.instruct_data import coding, tracks
from mllm.instruct_data.fonts import Font
from mllm.instruct_data.pieces import Piece, PieceMaker, PieceSettings, write_piece

FORMATS = ("flac", "opus")
WARM_UP_INDEX = 1_000_000


def measure(number: int, fonts: list[Path], pieces: int, seconds: tuple[float, float], folder: str) -> dict[str, float]:
    """Makes pieces in this process; returns seconds of audio, and of clock and processor for each step."""
    settings = PieceSettings(
        seed=0, split="train", fonts=tuple(Font(path=font) for font in fonts), seconds=seconds, share_of_tunes=0.0
    )
    maker = PieceMaker(settings)
    for index in range(2 * len(fonts)):  # loads the fonts, and what the first use of a library loads
        maker.make(WARM_UP_INDEX + index)
    spent = dict.fromkeys(("audio", "wall make", "cpu make"), 0.0)
    for index in range(number * pieces, (number + 1) * pieces):
        began = time.perf_counter(), time.process_time()
        piece = maker.make(index)
        _add(spent, "make", began)
        for form in FORMATS:
            began = time.perf_counter(), time.process_time()
            tracks.line(piece.track)
            write_piece(Path(folder), _in_format(piece, form))
            _add(spent, form, began)
        spent["audio"] += float(piece.track.seconds or 0.0)
    spent["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return spent


def _in_format(piece: Piece, form: str) -> Piece:
    path = Path(str(piece.track.path)).with_suffix(coding.SUFFIXES[form]).as_posix()
    return dataclasses.replace(piece, track=dataclasses.replace(piece.track, path=path))


def _add(spent: dict[str, float], step: str, began: tuple[float, float]) -> None:
    for clock, start, now in zip(("wall", "cpu"), began, (time.perf_counter(), time.process_time()), strict=True):
        spent[f"{clock} {step}"] = spent.get(f"{clock} {step}", 0.0) + now - start


def figures(results: list[dict[str, float]]) -> dict[str, float]:
    """Ratios of audio to time in one core, the mean over all processes."""
    total = {name: sum(result[name] for result in results) for name in results[0]}
    shown: dict[str, float] = {"processes": len(results), "audio_seconds": round(total["audio"])}
    for clock in ("wall", "cpu"):
        shown[f"rendering_x_{clock}"] = round(total["audio"] / total[f"{clock} make"])
        for form in FORMATS:
            spent = total[f"{clock} make"] + total[f"{clock} {form}"]
            shown[f"end_to_end_{form}_x_{clock}"] = round(total["audio"] / spent)
    shown["peak_mb_of_all"] = round(total["peak"])
    return shown


def run(
    fonts: list[Path], pieces: int = 24, processes: list[int] | None = None, seconds: tuple[float, float] = (30.0, 90.0)
) -> int:
    """Measures and prints.

    Args:
        fonts: sound fonts that together have all of General MIDI.
        pieces: how many each process makes.
        processes: numbers of processes at a time; default: one, and two.
        seconds: shortest and longest piece.
    """
    for count in processes or [1, 2]:
        with (
            tempfile.TemporaryDirectory() as folder,
            multiprocessing.get_context("spawn").Pool(count) as pool,
        ):
            jobs = [pool.apply_async(measure, (n, fonts, pieces, seconds, folder)) for n in range(count)]
            print(json.dumps(figures([job.get() for job in jobs])), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(auto_cli(run, as_positional=False))
