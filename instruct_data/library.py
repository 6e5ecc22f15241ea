"""The tunes of all collections that are here, parsed once and kept in one cache file a collection.

In: a cache folder and the folders of the collections. Out: tunes. Parsing takes minutes, reading the cache a second.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

from mllm.instruct_data import score_readers
from mllm.instruct_data.scores import Tune, read_cache, write_cache


def load_tunes(
    cache: Path, *, with_music21: bool = True, pop909: Path | None = None, openewld: Path | None = None
) -> tuple[Tune, ...]:
    """Tunes of the chosen collections, in a fixed order.

    Args:
        cache: folder of the parsed scores, `<collection>.json.gz`; what is missing is parsed and written.
        with_music21: whether the free collections of music21's corpus are wanted.
        pop909: folder of POP909, if wanted.
        openewld: folder of OpenEWLD, if wanted.

    Returns:
        All tunes, both sides of the split.
    """
    readers: dict[str, Callable[[], Iterator[Tune]]] = {}
    if with_music21:
        for name in score_readers.MUSIC21_COLLECTIONS:
            readers[name] = functools.partial(_read_music21_collection, name)
    if pop909 is not None:
        readers["pop909"] = functools.partial(score_readers.read_pop909, pop909)
    if openewld is not None:
        readers["openewld"] = functools.partial(score_readers.read_openewld, openewld)
    tunes: list[Tune] = []
    for name, read in readers.items():
        path = cache / f"{name}.json.gz"
        if not path.exists():
            write_cache(path, read())
        tunes.extend(read_cache(path))
    return tuple(tunes)


def music21_corpus() -> Path:
    """The folder of the corpus that music21 carries."""
    import music21

    return Path(music21.__file__).parent / "corpus"


def _read_music21_collection(name: str) -> Iterator[Tune]:
    return score_readers.read_music21_corpus(music21_corpus(), (name,))
