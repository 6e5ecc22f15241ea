"""Measures a model on labelled recordings: every figure of its text answers, blind, told and probed beside it.

    python scripts/evaluate.py --labels rendered/labels.jsonl --out report [--model DIR] [--limit N] [--examples K]
    python scripts/evaluate.py --task catalogue --labels recordings/labels.jsonl --out report

Writes report.json (every number), report.md (the table) and answers.jsonl (what to read aloud) into `--out`.
"""

from __future__ import annotations

import shlex
import sys

from jsonargparse import auto_cli

from mllm.errors import MllmError
from mllm.eval import report, run
from mllm.eval.run import Settings


def main() -> int:
    """Parses the settings, evaluates, writes and prints the report; returns the exit status."""
    settings: Settings = auto_cli(Settings, as_positional=False)
    try:
        clip_set = run.load_clips(settings)
        results = run.evaluate(
            settings,
            clip_set,
            run.open_subject(settings.model),
            command=shlex.join(["python", *sys.argv]),
            progress=lambda what: print(what, file=sys.stderr, flush=True),
        )
        report.write(results, settings.out)
    except MllmError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    print(report.markdown(results))
    print(report.examples(results, settings.examples), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
