"""`mllm data check DIR`: what is wrong with a data set, or with a folder of one's own.

In: parsed options. Out: a table by check with counts and the first examples, or a line of JSON for each finding, on
standard output; progress on standard error; exit status 1 where there are errors. Knows no defect.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mllm import terminal
from mllm.errors import ConfigError
from mllm.instruct_data import checking, rows, shown
from mllm.instruct_data.checking import Seen, Settings
from mllm.instruct_data.findings import Group, Tally

SUMMARY = "tell what is wrong with a data set, or with a folder of your own"
USAGE = "DIR [--benchmark NAME=DIR ...] [--no-audio] [--workers N] [--json]"
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("folder", metavar="DIR", help="a built data set, a folder of your own, or a JSONL file")
    parser.add_argument("--source", metavar="NAME", help="the source that reads DIR (default: find out)")
    parser.add_argument(
        "--benchmark",
        action="append",
        metavar="NAME=DIR",
        help="a source and the folder of its files, which must not be trained on; may be given several times",
    )
    parser.add_argument("--no-audio", action="store_true", help="leave recordings closed")
    parser.add_argument(
        "--rate", type=PositiveInt, metavar="HZ", help="sample rate of every recording (default: as most have)"
    )
    parser.add_argument(
        "--longest-answer",
        type=PositiveInt,
        default=4000,
        metavar="N",
        help="characters from which on an answer is too long (default: 4000)",
    )
    parser.add_argument(
        "--workers", type=PositiveInt, default=os.cpu_count() or 1, help="processes that decode (default: all cores)"
    )
    parser.add_argument(
        "--examples", type=NonNegativeInt, default=3, metavar="N", help="of each kind of finding (default: 3)"
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON for each finding, and no table")


def run(options: Namespace) -> int:
    """Check; the exit status is 1 if there are errors."""
    settings = Settings(
        workers=options.workers,
        listen=not options.no_audio,
        expected_rate_hz=options.rate,
        benchmarks=_benchmarks(options.benchmark or []),
        longest_answer=options.longest_answer,
    )
    given = rows.open_rows(Path(options.folder), options.source)
    tally, seen = Tally(options.examples), Seen()
    with terminal.progress(f"checking {given.kind}") as progress:
        for finding in checking.check(given, settings, seen=seen, tell=progress.tell):
            tally.add(finding)
            if options.json:
                print(json.dumps(finding.to_json(), ensure_ascii=True))
    terminal.say(
        f"{given.folder} is {given.kind}: {seen.tracks:,} tracks, {seen.recordings:,} recordings heard, "
        f"{seen.records:,} records"
    )
    if not (seen.tracks or seen.records):
        raise ConfigError(f"{options.folder} holds no row that can be read; give a folder with tracks or records")
    if not options.json:
        _show(tally)
    return 1 if tally.count("error") else 0


def _benchmarks(given: Sequence[str]) -> Mapping[str, Path]:
    benchmarks: dict[str, Path] = {}
    for one in given:
        name, equals, folder = one.partition("=")
        if not (name and equals and folder):
            raise ConfigError(f"--benchmark {one!r}: expected NAME=DIR, such as muchomusic=data/muchomusic")
        if not Path(folder).is_dir():
            raise ConfigError(f"--benchmark {one!r}: {folder} is no folder; give that of the benchmark's files")
        benchmarks[name] = Path(folder)
    return benchmarks


def _show(tally: Tally) -> None:
    console = shown.console()
    groups = list(tally.groups())
    if not groups:
        console.print("Nothing is wrong.")
        return
    table = Table("", "check", "finding", "count", box=None, header_style="bold", pad_edge=False)
    table.columns[3].justify = "right"
    for group in groups:
        table.add_row(
            Text(group.severity, _STYLES[group.severity]), Text(group.check), Text(group.kind), f"{group.count:,}"
        )
    console.print(table)
    for group in groups:
        _show_examples(console, group)
    console.print()
    console.print(
        f"{tally.count('error'):,} errors, {tally.count('warning'):,} warnings, {tally.count('note'):,} notes."
    )


def _show_examples(console: Console, group: Group) -> None:
    if not group.examples:
        return
    console.print()
    console.print(Text(f"{group.severity}: {group.kind}", _STYLES[group.severity]))
    for finding in group.examples:
        console.print(Text(f"  {shown.visible(str(finding))}"))
    if group.count > len(group.examples):
        console.print(Text(f"  … and {group.count - len(group.examples):,} more (--examples N, --json)", "dim"))
