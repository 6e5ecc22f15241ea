"""The rendered music of evaluations: pieces that nobody trained on, with exact facts, made once and kept.

In: a folder. Out: folders of recordings and tracks as `instruct_data.data_set` reads them, the same on every machine
with the same synthesizer. All pieces are composed in the styles of `instruct_data/styles` with the seeds of split
"test", dry, and played with TimGM6mb, which pretty_midi brings and which our trainings hold out. Knows nothing of
questions.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import importlib.util
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from mllm.errors import ConfigError
from mllm.instruct_data import data_set, tracks
from mllm.instruct_data.fonts import Font
from mllm.instruct_data.pieces import PieceMaker, PieceSettings, write_piece
from mllm.instruct_data.synth import backend_in_use

VERSION = "1"
"""Grows whenever the pieces change."""
SEED = 6_000_606
FONT = "TimGM6mb.sf2"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Kind:
    pieces: int
    seconds: tuple[float, float]
    seed: int


KINDS = {
    "short": _Kind(pieces=160, seconds=(12.0, 30.0), seed=SEED),
    "long": _Kind(pieces=6, seconds=(320.0, 340.0), seed=SEED + 1),
}


def default_folder() -> Path:
    """Where rendered music is kept unless told otherwise."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "mllm" / "eval"


def place(folder: Path, size: float) -> Path:
    """Folder of the pieces of this version and size, below `folder`."""
    share = "" if size == 1.0 else f"-{size:g}"
    return folder / f"suite-{VERSION}-{backend_in_use(None)}{share}"


def ensure(folder: Path, kind: str, *, size: float, tell: Callable[[str], object]) -> Path:
    """The folder of the pieces of a kind, made where they are absent; what was begun is gone on with.

    Args:
        folder: for all rendered music of evaluations.
        kind: a key of `KINDS`.
        size: share of the pieces, in (0, 1].
        tell: told how far it is.

    Raises:
        ConfigError: no synthesizer or no sound font is installed.
    """
    found = place(folder, size) / kind
    found.mkdir(parents=True, exist_ok=True)
    with FileLock(found.with_suffix(".lock")):
        if not (found / data_set.MANIFEST).is_file():
            _make(found, KINDS[kind], max(2, round(KINDS[kind].pieces * size)), tell)
    return found


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


def _make(found: Path, kind: _Kind, count: int, tell: Callable[[str], object]) -> None:
    known = found / "known"
    known.mkdir(exist_ok=True)
    settings = _settings(kind)
    missing = [index for index in range(count) if not (known / f"{index}.json").is_file()]
    workers = min(os.cpu_count() or 1, len(missing)) or 1
    shares = [missing[number::workers] for number in range(workers)]
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = count - len(missing)
        tell(f"rendering music: {done} of {count} pieces")
        waiting = [pool.submit(_render, found, settings, chunk) for share in shares for chunk in _chunks(share)]
        for one in concurrent.futures.as_completed(waiting):
            done += one.result()
            tell(f"rendering music: {done} of {count} pieces")
    made = [tracks.from_json(json.loads((known / f"{index}.json").read_text("utf-8"))) for index in range(count)]
    data_set.write_tracks(found / data_set.TRACKS / data_set.file_name("test", 0, 1), made)
    about = {"version": VERSION, "pieces": count, "seconds": sum(track.seconds or 0.0 for track in made)}
    _write(found / data_set.MANIFEST, json.dumps(about, indent=1) + "\n")


def _settings(kind: _Kind) -> PieceSettings:
    return PieceSettings(
        seed=kind.seed,
        split="test",
        fonts=(),
        held_out_fonts=(Font(path=font()),),
        share_of_tunes=0.0,
        seconds=kind.seconds,
        effects=False,
        audio_format="flac",
    )


def _chunks(indices: Sequence[int], size: int = 10) -> list[Sequence[int]]:
    return [indices[at : at + size] for at in range(0, len(indices), size)]


def _render(found: Path, settings: PieceSettings, indices: Sequence[int]) -> int:
    """Render pieces in a process of the pool."""
    maker = PieceMaker(settings)
    for index in indices:
        piece = maker.make(index)
        write_piece(found, piece)
        _write(found / "known" / f"{index}.json", tracks.line(piece.track))
    return len(indices)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.half")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
