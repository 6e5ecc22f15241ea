"""`mllm eval report DIR`: the page and the table of a finished run, written anew.

In: parsed options. Out: report.html and report.md in the folder of the run, the table on standard output.
"""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from mllm import terminal
from mllm.errors import ConfigError
from mllm.eval import markdown, page, results

SUMMARY = "write the page and the table of a finished run anew"
USAGE = "DIR [--full] [--no-open]"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("folder", metavar="DIR", help="of a finished run")
    parser.add_argument("--full", action="store_true", help="print all figures, not only the headlines")
    parser.add_argument("--no-open", action="store_true", help="do not show the page in a browser")


def run(options: Namespace) -> int:
    """Write and print."""
    folder = Path(options.folder)
    found = results.read(folder)
    table = markdown.table(found)
    try:
        with terminal.progress("writing the page"):
            path = page.write(folder)
        (folder / "report.md").write_text(table, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written to ({error.strerror}); give a folder that can") from error
    print(markdown.full(found) if options.full else table)
    terminal.say(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
    if sys.stdout.isatty() and not options.no_open:
        webbrowser.open(path.resolve().as_uri())
    return 0
