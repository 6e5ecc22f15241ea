"""Renders scores to labelled audio: `python scripts/render.py --out DIR --clips N --split train --fonts a.sf2 b.sf3`.

In: command-line arguments. Out: a data set folder as `mllm.instruct_data.render` describes it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mllm.errors import MllmError
from mllm.instruct_data.fonts import parse_font
from mllm.instruct_data.library import load_tunes
from mllm.instruct_data.render import SPLITS, BuildSettings, build
from mllm.instruct_data.synth import BACKENDS


def main() -> int:
    """Parses the arguments, gathers the tunes, builds; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set; an unfinished one is finished")
    parser.add_argument("--clips", type=int, required=True, help="number of clips in the finished data set")
    parser.add_argument("--split", choices=SPLITS, required=True, help="which side of the tunes")
    parser.add_argument("--seed", type=int, default=0, help="0 or more")
    parser.add_argument("--fonts", nargs="+", required=True, help="sound fonts, each PATH or PATH@WEIGHT")
    parser.add_argument("--scores", type=Path, required=True, help="folder of parsed scores; made if absent")
    parser.add_argument("--pop909", type=Path, help="folder of POP909")
    parser.add_argument("--openewld", type=Path, help="folder of OpenEWLD")
    parser.add_argument("--no-music21", action="store_true", help="leave music21's corpus out")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--varied", action="store_true", help="vary voices, mix fonts and keep stems; needs FluidSynth")
    parser.add_argument("--backend", choices=BACKENDS, help="synthesiser; default: FluidSynth where it is installed")
    arguments = parser.parse_args()
    try:
        settings = BuildSettings(
            out=arguments.out,
            clips=arguments.clips,
            split=arguments.split,
            seed=arguments.seed,
            fonts=tuple(parse_font(text) for text in arguments.fonts),
            workers=arguments.workers,
            backend=arguments.backend,
            varied=arguments.varied,
        )
        tunes = load_tunes(
            arguments.scores,
            with_music21=not arguments.no_music21,
            pop909=arguments.pop909,
            openewld=arguments.openewld,
        )
        build(settings, tunes, progress=_report)
    except MllmError as error:
        print(f"render: {error}", file=sys.stderr)
        return 2
    return 0


def _report(done: int, wanted: int) -> None:
    if done % 50 == 0 or done == wanted:
        print(f"{done} of {wanted} clips", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
