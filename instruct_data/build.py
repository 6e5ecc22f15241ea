"""Builds a data set from settings: units of work in any engine, then Parquet files, card and manifest.

In: a `BuildConfig`. Out: the folder of a data set as `data_set` describes it; `manifest.json` comes last, so that a
folder that has it is whole. A build that was ended at any moment goes on when it is called again, and makes the same
files as one that was not. Knows neither how pieces are rendered nor how sources are read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

import mllm
from mllm import registry
from mllm.errors import ConfigError
from mllm.instruct_data import (
    build_asking,
    build_engines,
    build_finish,
    build_parts,
    build_pieces,
    build_sources,
    data_set,
    manifest,
)
from mllm.instruct_data.build_config import BuildConfig
from mllm.instruct_data.build_engines import Engine
from mllm.instruct_data.build_parts import Parts, Summary, Unit
from mllm.instruct_data.tracks import SPLITS
from mllm.train import setting_files

RECORDS_PER_FILE = 10_000
TRACKS_PER_FILE = 20_000
AUDIO_HASHES = "audio.sha256"
MOST_ROUNDS = 20
"""Pieces are added so often at most until there are the hours that were asked for."""
_SETTINGS = "settings.json"
_LOCK = "lock"
_FINAL = "final"
_Row = TypeVar("_Row")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """A data set that is whole."""

    out: Path
    manifest: dict[str, Any]
    found: bool
    """Whether it was whole before, so that nothing was done."""


def build(config: BuildConfig, say: Callable[[str], object], tell: Callable[[str], object]) -> Finished:
    """Build a data set, or go on with it.

    Args:
        config: its settings.
        say: told sentences that should be read.
        tell: told what is done now.

    Raises:
        ConfigError: settings do not go with the folder or with each other, a source lacks files, the disk is full, or a
            worker died; what was made is kept.
    """
    config = build_pieces.with_fonts(config, say)
    _check_sources(config)
    build_asking.check(config)
    engine = build_engines.engine_of(config)
    out = Path(config.out)
    with build_parts.disk_told(out):
        if (finished := _finished(out, config)) is not None:
            return finished
        parts = _claim(out, config)
        with _locked(parts):
            parts.clear_unfinished()
            units = _make_all(parts, config, engine, tell)
            tell("putting the parts together")
            made = _finish(parts, config, units)
    shutil.rmtree(parts.folder, ignore_errors=True)
    return Finished(out=out, manifest=made, found=False)


def _check_sources(config: BuildConfig) -> None:
    """Refuse benchmarks that would be trained on and folders that are not there, all at once."""
    problems = []
    for number, section in enumerate(config.sources):
        about = registry.find("source", section.name).ABOUT
        if about.evaluation_only and not section.evaluation:
            problems.append(
                f"sources[{number}]: {about.title} is a benchmark, which is never trained on; set evaluation: true to "
                "have it in the test split, or leave it out"
            )
        if not Path(section.path).is_dir():
            problems.append(f"sources[{number}]: there is no folder {section.path}; {about.where}")
    if problems:
        raise ConfigError("; ".join(problems))


def _finished(out: Path, config: BuildConfig) -> Finished | None:
    """The data set that is whole already."""
    path = out / data_set.MANIFEST
    if not path.is_file():
        return None
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
        before = made["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no manifest of a build ({error}); give another out") from error
    _refuse_changes(out, "a finished data set", before, config.plain())
    shutil.rmtree(Parts(out).folder, ignore_errors=True)
    return Finished(out=out, manifest=made, found=True)


def _claim(out: Path, config: BuildConfig) -> Parts:
    """Write down what the folder is going to hold, or check that it is what was begun."""
    parts = Parts(out)
    path = parts.folder / _SETTINGS
    now = {**config.plain(), "made_by": mllm.__version__}
    if path.is_file() and (parts.any_done() or any(child != parts.folder for child in out.iterdir())):
        _refuse_changes(out, "an unfinished data set", json.loads(path.read_text(encoding="utf-8")), now)
        return parts
    if out.exists() and (not out.is_dir() or any(child != parts.folder for child in out.iterdir())):
        raise ConfigError(f"{out} holds something that no build has begun; give another out, or remove it")
    parts.folder.mkdir(parents=True, exist_ok=True)
    _write_whole(path, json.dumps(now, ensure_ascii=False))
    return parts


def _refuse_changes(out: Path, what: str, before: Any, now: Any) -> None:
    changed = [
        f"{name} is {new!r} now and was {old!r}"
        for name, old, new in setting_files.differences(before, json.loads(json.dumps(now)))
    ]
    if changed:
        raise ConfigError(
            f"{out} holds {what} of other settings: {'; '.join(changed)}; give the same settings, or another out"
        )


@contextlib.contextmanager
def _locked(parts: Parts) -> Iterator[None]:
    """Keep a second build out of the folder."""
    lock = FileLock(parts.folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ConfigError(f"another build writes into {parts.out}; wait for it, or end it") from error
    try:
        yield
    finally:
        lock.release()


def _make_all(parts: Parts, config: BuildConfig, engine: Engine, tell: Callable[[str], object]) -> list[Unit]:
    """Make everything that is missing; the units that rows come from, in order."""
    run = _Run(parts, config, engine, tell)
    listings = [Unit(kind="listing", source=number) for number in range(len(config.sources))]
    run.make(
        [*listings, *build_pieces.score_units(config)],
        "reading sources and scores (music21's take some ten minutes the first time)",
    )
    units = build_pieces.units_of(config)
    for listed in listings:
        units += build_sources.units_of(parts.summary(listed), listed.source)
    run.make(units, "making")
    for _ in range(MOST_ROUNDS):
        seconds = sum(parts.summary(unit).seconds for unit in units if unit.kind == "pieces")
        more = build_pieces.more_units(config, units, seconds)
        if not more:
            break
        run.make(more, "making the rest")
        units = [*units, *more]
    return units


class _Run:
    """Makes units that are missing and tells how far it is."""

    def __init__(self, parts: Parts, config: BuildConfig, engine: Engine, tell: Callable[[str], object]) -> None:
        self._parts = parts
        self._config = config
        self._tell = tell
        self._engine = engine

    def make(self, units: Sequence[Unit], what: str) -> None:
        missing = [unit for unit in units if not self._parts.is_done(unit)]
        done = len(units) - len(missing)
        self._tell(f"{what}: {done} of {len(units)} parts")
        for _ in self._engine(missing, self._config):
            done += 1
            self._tell(f"{what}: {done} of {len(units)} parts")


def _finish(parts: Parts, config: BuildConfig, units: Sequence[Unit]) -> dict[str, Any]:
    """Write everything that a reader sees; the manifest last."""
    final = parts.folder / _FINAL
    shutil.rmtree(final, ignore_errors=True)
    selection = build_finish.select(parts, units)
    counts, files, used = manifest.Counts(), dict[str, str](), set[bytes]()
    for split in SPLITS:
        records = counts.of_records(build_finish.records_of(parts, units, selection, seed=config.seed, split=split))
        tracks = counts.of_tracks(build_finish.tracks_of(parts, units, selection, split=split))
        listed = build_finish.noted_paths(tracks, used)
        written = _write_files(final / data_set.RECORDS, split, records, data_set.write_records, RECORDS_PER_FILE)
        written += _write_files(final / data_set.TRACKS, split, listed, data_set.write_tracks, TRACKS_PER_FILE)
        files |= {f"{path.parent.name}/{path.name}": build_parts.sha256(path) for path in written}
    audio = build_finish.list_recordings(parts, units, used, final / AUDIO_HASHES)
    skipped = Summary()
    for unit in _all_units(config, units):
        skipped.merge(parts.summary(unit))
    made = manifest.manifest(
        counts,
        settings=json.loads(json.dumps(config.plain())),
        files=files,
        audio=audio,
        left_out=selection.counts,
        skipped=skipped.skipped,
        remarks=skipped.remarks,
    )
    if not files:
        raise ConfigError(f"nothing is left to be written to {parts.out}: {_why_nothing(skipped)}")
    for folder in (data_set.RECORDS, data_set.TRACKS):
        shutil.rmtree(parts.out / folder, ignore_errors=True)
        (final / folder).rename(parts.out / folder)
    (final / AUDIO_HASHES).replace(parts.out / AUDIO_HASHES)
    _write_whole(parts.out / data_set.CARD, manifest.card(made, parts.out.resolve().name), beside=final)
    text = json.dumps(made, ensure_ascii=False, indent=2) + "\n"
    _write_whole(parts.out / data_set.MANIFEST, text, beside=final)
    return made


def _all_units(config: BuildConfig, units: Sequence[Unit]) -> Iterator[Unit]:
    """Those of the sources and scores, then those of the rows."""
    yield from (Unit(kind="listing", source=number) for number in range(len(config.sources)))
    yield from build_pieces.score_units(config)
    yield from units


def _write_files(
    folder: Path, split: str, rows: Iterator[_Row], write: Callable[[Path, Iterator[_Row]], int], most: int
) -> list[Path]:
    """Write rows into files of at most so many; how many files there are is in their names."""
    folder.mkdir(parents=True, exist_ok=True)
    halves: list[Path] = []
    for first in rows:
        halves.append(folder / f"{split}-{len(halves)}")
        write(halves[-1], itertools.chain([first], itertools.islice(rows, most - 1)))
    return [half.rename(folder / data_set.file_name(split, number, len(halves))) for number, half in enumerate(halves)]


def _write_whole(path: Path, text: str, *, beside: Path | None = None) -> None:
    half = (beside or path.parent) / f"{path.name}.half"
    half.write_text(text, encoding="utf-8")
    half.replace(path)


def _why_nothing(skipped: Summary) -> str:
    told = [f"{place}: {one.count} skipped, such as {one.first[0]}" for place, one in skipped.skipped.items()]
    return "; ".join(told) or "the sources hold no rows"
