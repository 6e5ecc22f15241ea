"""Measures what the questions of a built data set give away to somebody who does not listen.

    python scripts/bench_blind.py DIR [--split test] [--json_lines true] [--again 10]

With `--again N`, N questions are asked anew about each recording and balanced as a build balances them, so that small
sets are large enough to tell two points. Prints a Markdown table, or JSON: how often each blind answerer
(`mllm.instruct_data.blind`) is right on each task that has labels or options, beside chance, in percent with 95 %
intervals. The exit status is 1 where one of them gains more than `--margin` points on a set of at least `--least`
questions, and its interval lies above chance.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from jsonargparse import auto_cli

from mllm.errors import MllmError
from mllm.instruct_data import asking, balance, blind, data_set
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import Track

TRACKS_AT_ONCE = 100
LABELLED = dict.fromkeys(
    ("caption", "paraphrase", "tag_to_caption", "single_fact", "when", "counting", "multi_turn"), 0
)
"""Kinds without labels or options are not asked again."""


def table(scores: list[blind.Score]) -> str:
    """The scores as Markdown."""
    lines = [
        "| task | answerer | questions | right, % | chance, % | gain, points |",
        "|" + " :--- |" * 2 + " ---: |" * 4,
    ]
    lines += [
        f"| {one.task} | {one.answerer} | {one.count:,} "
        f"| {100 * one.score:.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}] | {100 * one.chance:.1f} "
        f"| {100 * (one.score - one.chance):+.1f} |"
        for one in scores
    ]
    return "\n".join(lines)


def asked_again(folder: Path, split: str | None, per_track: int) -> Iterator[Record]:
    """New questions about the recordings of a data set, without those that a build leaves out."""
    tracks = list(data_set.read_tracks(folder, split))
    groups = (tracks[first : first + TRACKS_AT_ONCE] for first in range(0, len(tracks), TRACKS_AT_ONCE))
    asked = [
        record
        for group in groups
        for _, same in itertools.groupby(sorted(group, key=_split), key=_split)
        for record in asking.records_about(list(same), seed=1, per_track=per_track, weights=LABELLED)
    ]
    left_out = balance.surplus(row for record in asked if (row := balance.row(record)) is not None)
    return (record for record in asked if record.id not in left_out)


def _split(track: Track) -> str:
    return track.split


def run(
    folder: Path,
    split: str | None = None,
    json_lines: bool = False,
    margin: float = 2.0,
    least: int = 1000,
    again: int = 0,
) -> int:
    """Measures and prints.

    Args:
        folder: a data set that `mllm data build` finished.
        split: measure this split alone.
        json_lines: print one JSON object a line instead of a table.
        margin: points above chance that are too much.
        least: questions that a set must have to count for the exit status.
        again: questions that are asked anew about each recording; 0: those of the data set.
    """
    records = asked_again(folder, split, again) if again else data_set.read_records(folder, split)
    scores = blind.scores(records)
    print("\n".join(json.dumps(dataclasses.asdict(one)) for one in scores) if json_lines else table(scores))
    if not scores:
        print(f"{folder} holds no questions with labels or options", file=sys.stderr)
    gaining = [one for one in scores if one.count >= least and one.gains(margin / 100)]
    for one in gaining:
        print(f"{one.answerer} gains {100 * (one.score - one.chance):.1f} points on {one.task}", file=sys.stderr)
    return 1 if gaining else 0


def main() -> int:
    """Run with the arguments of the command line."""
    try:
        return int(auto_cli(run, as_positional=True) or 0)
    except MllmError as error:
        print(f"bench_blind: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
