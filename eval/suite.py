"""The rendered music of evaluations: pieces that nobody trained on, with exact facts, made once and kept.

In: a folder. Out: folders of recordings and tracks as `instruct_data.data_set` reads them, the same on every machine
with the same synthesizer. All pieces are composed in the styles of `instruct_data/styles` with the seeds of split
"test", dry, and played with TimGM6mb, which pretty_midi brings and which our trainings hold out. Knows nothing of
questions.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import importlib.util
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from mllm.errors import ConfigError
from mllm.instruct_data import tracks
from mllm.instruct_data.fonts import Font
from mllm.instruct_data.pieces import PieceMaker, PieceSettings, write_piece
from mllm.instruct_data.synth import backend_in_use
from mllm.instruct_data.tracks import Track

VERSION = "1"
"""Grows whenever the pieces change."""
SEED = 6_000_606
FONT = "TimGM6mb.sf2"
_KNOWN = "known"
_AT_ONCE = 10
"""Pieces that a process renders with a sound font loaded once."""


PIECES = 160
SECONDS = (12.0, 30.0)
"""Shortest and longest piece."""


def default_folder() -> Path:
    """Where rendered music is kept unless told otherwise."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "mllm" / "eval"


def place(folder: Path) -> Path:
    """Folder of the pieces of this version, below `folder`."""
    return folder / f"suite-{VERSION}-{backend_in_use(None)}"


def pieces(folder: Path, *, size: float, tell: Callable[[str], object]) -> list[Track]:
    """The pieces, made where they are absent; what was begun is gone on with. Paths are absolute.

    Args:
        folder: for all rendered music of evaluations.
        size: share of the pieces, in (0, 1]; a smaller one gives the first of them.
        tell: told how far it is.

    Raises:
        ConfigError: no synthesizer or no sound font is installed.
    """
    found = place(folder).absolute() / "short"
    count = max(2, round(PIECES * size))
    (found / _KNOWN).mkdir(parents=True, exist_ok=True)
    with FileLock(found.with_suffix(".lock")):
        missing = [index for index in range(count) if not _fact_file(found, index).is_file()]
        if missing:
            _make(found, missing, tell)
    made = [tracks.from_json(json.loads(_fact_file(found, index).read_text("utf-8"))) for index in range(count)]
    return [dataclasses.replace(track, path=str(found / track.path)) for track in made]


def digest(made: Sequence[Track]) -> str:
    """A hash of everything that is known of pieces, and of which they are."""
    lines = (tracks.line(dataclasses.replace(track, path=Path(track.path).name)) for track in made)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def font() -> Path:
    """The sound font.

    Raises:
        ConfigError: pretty_midi, which brings it, is not installed.
    """
    package = importlib.util.find_spec("pretty_midi")
    path = Path(package.origin).parent / FONT if package is not None and package.origin is not None else None
    if path is None or not path.is_file():
        raise ConfigError(
            f"rendered music needs the sound font {FONT} of pretty_midi, which is not here: pip install "
            "'mllm-music[data]'"
        )
    return path


def _make(found: Path, missing: Sequence[int], tell: Callable[[str], object]) -> None:
    settings = _settings()
    workers = min(os.cpu_count() or 1, len(missing))
    chunks = [missing[at : at + _AT_ONCE] for at in range(0, len(missing), _AT_ONCE)]
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = 0
        for one in concurrent.futures.as_completed([pool.submit(_render, found, settings, chunk) for chunk in chunks]):
            done += one.result()
            tell(f"rendering music: {done} of {len(missing)} pieces")


def _settings() -> PieceSettings:
    return PieceSettings(
        seed=SEED,
        split="test",
        fonts=(),
        held_out_fonts=(Font(path=font()),),
        share_of_tunes=0.0,
        seconds=SECONDS,
        effects=False,
        audio_format="flac",
    )


def _render(found: Path, settings: PieceSettings, indices: Sequence[int]) -> int:
    """Render pieces in a process of the pool."""
    maker = PieceMaker(settings)
    for index in indices:
        piece = maker.make(index)
        write_piece(found, piece)
        _write(_fact_file(found, index), tracks.line(piece.track))
    return len(indices)


def _fact_file(found: Path, index: int) -> Path:
    """Where the facts of a piece are; written after its recording, so that a piece that has it is whole."""
    return found / _KNOWN / f"{index}.json"


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.half")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
