"""The tunes of all collections that are here, parsed once and kept in one cache file a collection.

In: a cache folder, the folders of the collections and of any other scores. Out: tunes. Parsing takes minutes, reading
the cache a second.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from mllm.errors import ConfigError
from mllm.instruct_data import score_readers
from mllm.instruct_data.scores import Tune, read_cache, write_cache


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
    pop909: Path | None = None,
    openewld: Path | None = None,
    folders: Sequence[ScoreFolder] = (),
    tell: Callable[[Path, str], None] | None = None,
) -> tuple[Tune, ...]:
    """Tunes of the chosen collections, in a fixed order.

    Args:
        cache: folder of the parsed scores, `<collection>.json.gz`; what is missing is parsed and written.
        with_music21: whether the free collections of music21's corpus are wanted.
        pop909: folder of POP909, if wanted.
        openewld: folder of OpenEWLD, if wanted.
        folders: folders of any other scores; parsed again when one of their files changed.
        tell: told (file, why) of every score of `folders` that is passed over, also where the cache is read.

    Returns:
        All tunes, both sides of the split.

    Raises:
        ConfigError: if one of `folders` is no folder or has no licence.
    """
    named: dict[str, Path | None] = dict.fromkeys(score_readers.MUSIC21_COLLECTIONS) if with_music21 else {}
    named |= {name: place for name, place in (("pop909", pop909), ("openewld", openewld)) if place is not None}
    tunes: list[Tune] = []
    for name, place in named.items():
        tunes.extend(load_collection(cache, name, place))
    for folder in folders:
        tunes.extend(_read_folder(cache, folder, tell))
    return tuple(tunes)


def load_collection(cache: Path, name: str, folder: Path | None = None) -> tuple[Tune, ...]:
    """Tunes of one collection.

    Args:
        cache: as in `load_tunes`.
        name: one of `score_readers.MUSIC21_COLLECTIONS`, "pop909" or "openewld".
        folder: of the last two.
    """
    path = cache / f"{name}.json.gz"
    if not path.exists():
        if folder is None:
            tunes = score_readers.read_music21_corpus(music21_corpus(), (name,))
        else:
            tunes = score_readers.read_pop909(folder) if name == "pop909" else score_readers.read_openewld(folder)
        write_cache(path, tunes)
    return read_cache(path)


def music21_corpus() -> Path:
    """The folder of the corpus that music21 carries."""
    import music21

    return Path(music21.__file__).parent / "corpus"


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
