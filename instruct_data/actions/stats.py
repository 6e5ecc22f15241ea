"""`mllm data stats DIR`: what is in a data set, as tables, as JSON, or as a page to look at and listen to.

In: parsed options. Out: tables or JSON on standard output, and an HTML file where one is asked for. Says where a data
set is not finished or rows cannot be read; what is wrong with them, `mllm data check` tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt, PositiveFloat
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mllm import terminal
from mllm.errors import ConfigError
from mllm.instruct_data import data_set, rows, shown, stats_page
from mllm.instruct_data.rows import BadRow, Rows
from mllm.instruct_data.statistics import Statistics, ordered, splits_of
from mllm.instruct_data.stats_page import Sampler

SUMMARY = "count what is in a data set, and show it as a page with plots and players"
USAGE = "DIR [--json] [--html FILE [--samples N] [--links]]"
_ROWS_SHOWN = 12
_TELL_EVERY = 1000


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("folder", metavar="DIR", help="a built data set, a folder of your own, or a JSONL file")
    parser.add_argument("--source", metavar="NAME", help="the source that reads DIR (default: find out)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--html", metavar="FILE", help="write a page with plots, recordings and questions")
    parser.add_argument(
        "--samples", type=NonNegativeInt, default=12, metavar="N", help="recordings on the page (default: 12)"
    )
    parser.add_argument("--seed", type=NonNegativeInt, default=0, help="of the choice of recordings (default: 0)")
    parser.add_argument(
        "--links", action="store_true", help="link recordings instead of putting 30 s of each into the page"
    )
    parser.add_argument(
        "--max-mib", type=PositiveFloat, default=24.0, metavar="N", help="of recordings in the page (default: 24)"
    )


def run(options: Namespace) -> int:
    """Count and show; the exit status is 1 if rows cannot be read."""
    page = None if options.html is None else Path(options.html)
    if page is not None and not page.parent.is_dir():
        raise ConfigError(f"--html {page}: the folder {page.parent} does not exist; make it first")
    given = rows.open_rows(Path(options.folder), options.source)
    sampler = Sampler(options.samples if page is not None else 0, options.seed)
    statistics = _counted(given, sampler)
    unfinished = given.built and not (given.folder / data_set.MANIFEST).is_file()
    if unfinished:
        terminal.say(f"{given.folder} is not finished: {data_set.MANIFEST} is missing, so this is a part of a data set")
    if statistics.bad_rows:
        terminal.say(
            f"{statistics.bad_rows:,} rows or files cannot be read; mllm data check {options.folder} names them"
        )
    if page is not None:
        with terminal.progress("writing the page"):
            _write_page(page, statistics, sampler, given, unfinished, options)
        terminal.say(f"wrote {page} ({page.stat().st_size / 1e6:.1f} MB)")
    if options.json:
        print(json.dumps(statistics.to_json(), ensure_ascii=True, indent=1))
    elif page is None:
        _show(statistics)
    return 1 if statistics.bad_rows else 0


def _counted(given: Rows, sampler: Sampler) -> Statistics:
    statistics = Statistics()
    with terminal.progress("counting") as progress:
        for track in given.tracks():
            if isinstance(track, BadRow):
                statistics.bad_rows += 1
                continue
            statistics.add_track(track.value)
            sampler.add_track(track.value)
        for record in given.records():
            if isinstance(record, BadRow):
                statistics.bad_rows += 1
                continue
            statistics.add_record(record.value)
            sampler.add_record(record.value)
            if statistics.records.total() % _TELL_EVERY == 0:
                progress.tell(f"counting: {statistics.records.total():,} records")
    if not (statistics.tracks or statistics.records):
        raise ConfigError(f"{given.folder} holds no row that can be read; mllm data check tells what is wrong with it")
    return statistics


def _write_page(
    page: Path, statistics: Statistics, sampler: Sampler, given: Rows, unfinished: bool, options: Namespace
) -> None:
    try:
        stats_page.write(
            page,
            statistics,
            sampler.samples,
            folder=given.folder,
            unfinished=unfinished,
            most_bytes=None if options.links else round(options.max_mib * 2**20),
        )
    except OSError as error:
        raise ConfigError(f"--html {page} cannot be written ({error.strerror}); give another file") from error


def _show(statistics: Statistics) -> None:
    console = shown.console()
    splits = splits_of(statistics.tracks | statistics.records)
    table = Table("", *splits, "all", box=None, header_style="bold", pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    _add(table, "tracks", {split: statistics.tracks[split] for split in splits})
    hours = [statistics.seconds.get(split, 0.0) / 3600 for split in splits]
    table.add_row("hours", *(f"{hour:,.2f}" for hour in hours), f"{statistics.hours:,.2f}")
    _add(table, "records", {split: statistics.records[split] for split in splits})
    for task, counts in sorted(statistics.task_by_split.items()):
        _add(table, f"  {task}", {split: counts[split] for split in splits})
    console.print(table)
    for title, given in (("tracks", statistics.of_tracks), ("records", statistics.of_records)):
        for name, counts in given.items():
            _show_distribution(console, f"{title}: {name}", ordered(name, counts))


def _add(table: Table, name: str, counts: Mapping[str, int]) -> None:
    table.add_row(
        Text(shown.visible(name)[:80]), *(f"{count:,}" for count in counts.values()), f"{sum(counts.values()):,}"
    )


def _show_distribution(console: Console, title: str, counts: list[tuple[str, int]]) -> None:
    total = sum(count for _, count in counts)
    if not total:
        return
    table = Table(title, "count", "share", box=None, header_style="bold", pad_edge=False)
    table.columns[1].justify = table.columns[2].justify = "right"
    for name, count in counts[:_ROWS_SHOWN]:
        table.add_row(Text(shown.visible(name)[:80]), f"{count:,}", f"{100 * count / total:.1f} %")
    if len(counts) > _ROWS_SHOWN:
        rest = sum(count for _, count in counts[_ROWS_SHOWN:])
        table.add_row(f"{len(counts) - _ROWS_SHOWN} more", f"{rest:,}", f"{100 * rest / total:.1f} %")
    console.print()
    console.print(table)
