"""The tunes of all collections that are here, parsed once and kept in one cache file a collection.

In: a cache folder, the folders of the collections and of any other scores. Out: tunes. Parsing takes minutes, reading
the cache a second.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mllm.errors import ConfigError
from mllm.instruct_data import score_readers
from mllm.instruct_data.scores import CACHE_FORMAT, Tune, read_cache, write_cache


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreFolder:
    """A folder of MIDI, MusicXML or ABC files."""

    path: Path
    licence: str
    """Of all its scores."""


def load_tunes(
    cache: Path,
    *,
    with_music21: bool = True,
    workers: int = 1,
    pop909: Path | None = None,
    openewld: Path | None = None,
    folders: Sequence[ScoreFolder] = (),
    tell: Callable[[Path, str], None] | None = None,
) -> tuple[Tune, ...]:
    """Tunes of the chosen collections, in a fixed order.

    Args:
        cache: folder of the parsed scores, `<collection>.json.gz`; what is missing is parsed and written.
        with_music21: whether the free collections of music21's corpus are wanted.
        workers: processes that parse them, where they are not there yet: some ten minutes for one.
        pop909: folder of POP909, if wanted.
        openewld: folder of OpenEWLD, if wanted.
        folders: folders of any other scores; parsed again when one of their files changed.
        tell: told (file, why) of every score of `folders` that is passed over, also where the cache is read.

    Returns:
        All tunes, both sides of the split.

    Raises:
        ConfigError: if one of `folders` is no folder or has no licence.
    """
    readers: dict[Path, Callable[[], Iterator[Tune]]] = {}
    if with_music21:
        for name in score_readers.MUSIC21_COLLECTIONS:
            readers[_file(cache, name)] = functools.partial(_read_music21_collection, name)
    if pop909 is not None:
        readers[_file(cache, "pop909")] = functools.partial(score_readers.read_pop909, pop909)
    if openewld is not None:
        readers[_file(cache, "openewld")] = functools.partial(score_readers.read_openewld, openewld)
    _parse({path: read for path, read in readers.items() if not path.exists()}, workers)
    tunes = [tune for path in readers for tune in read_cache(path)]
    for folder in folders:
        tunes.extend(_read_folder(cache, folder, tell))
    return tuple(tunes)


def user_cache() -> Path:
    """Where this user keeps the parsed scores of the music21 that is installed, for every build."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "mllm" / "scores" / f"music21-{importlib.metadata.version('music21')}-{CACHE_FORMAT}"


def music21_corpus() -> Path:
    """The folder of the corpus that music21 carries."""
    import music21

    return Path(music21.__file__).parent / "corpus"


def _file(cache: Path, name: str) -> Path:
    return cache / f"{name}.json.gz"


def _parse(readers: Mapping[Path, Callable[[], Iterator[Tune]]], workers: int) -> None:
    """Write a cache file for each reader."""
    if workers == 1 or len(readers) < 2:
        for path, read in readers.items():
            _parse_one(path, read)
        return
    with concurrent.futures.ProcessPoolExecutor(
        min(workers, len(readers)), mp_context=multiprocessing.get_context("spawn")
    ) as pool:
        for parsed in [pool.submit(_parse_one, path, read) for path, read in readers.items()]:
            parsed.result()


def _parse_one(path: Path, read: Callable[[], Iterator[Tune]]) -> None:
    write_cache(path, read())


def _read_music21_collection(name: str) -> Iterator[Tune]:
    return score_readers.read_music21_corpus(music21_corpus(), (name,))


def _read_folder(cache: Path, folder: ScoreFolder, tell: Callable[[Path, str], None] | None) -> tuple[Tune, ...]:
    """The tunes of a folder; beside their cache lies a list of the files that were passed over."""
    if not folder.path.is_dir() or not folder.licence.strip():
        raise ConfigError(
            f"score folder {folder.path} with licence {folder.licence!r}: expected a folder that is there, and the "
            "licence of its scores, such as 'CC0-1.0'"
        )
    state = hashlib.sha256(repr((str(folder.path.resolve()), folder.licence)).encode())
    for path in sorted(folder.path.rglob("*")):
        if path.suffix.lower() in score_readers.SCORE_SUFFIXES and path.is_file():
            found = path.stat()
            state.update(repr((str(path.relative_to(folder.path)), found.st_size, found.st_mtime_ns)).encode())
    scores = cache / f"folder-{state.hexdigest()[:16]}.json.gz"
    passed_over = cache / f"folder-{state.hexdigest()[:16]}.passed-over.json"
    if not (scores.exists() and passed_over.exists()):
        told: list[tuple[str, str]] = []
        tunes = list(
            score_readers.read_folder(
                folder.path, licence=folder.licence, tell=lambda path, why: told.append((str(path), why))
            )
        )
        cache.mkdir(parents=True, exist_ok=True)
        beside = passed_over.with_name(passed_over.name + ".part")
        beside.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
        beside.replace(passed_over)
        write_cache(scores, tunes)
    for path_text, why in json.loads(passed_over.read_text(encoding="utf-8")):
        if tell is not None:
            tell(Path(path_text), why)
    return read_cache(scores)
