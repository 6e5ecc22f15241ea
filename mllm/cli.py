"""The command `mllm`: finds the file of a command, parses its options, runs it, and says what went wrong.

In: the words of the command line. Out: an exit status: 0; 1 where part of a batch failed; 2 for what the user can put
right, told in one sentence on standard error. Each command is a file in mllm/commands; none is listed here. A file has
SUMMARY and either `run_words(words)` or USAGE, `add_arguments(parser)` and `run(options)`. Nothing heavy is imported
before a command needs it.
"""

from __future__ import annotations

import difflib
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence

import mllm
from mllm import commands
from mllm.commands import _parsing as parsing
from mllm.errors import ConfigError, MllmError

INTERRUPTED = 130
PIPE_CLOSED = 141
_PROCESS_NUMBER = "--local_rank="
"""What the launcher of DeepSpeed puts before all words of the command line that it starts."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: its words without the program's name; None: those of this process.

    Returns:
        The exit status.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _run(words)
        sys.stdout.flush()
        return status
    except MllmError as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; what is still buffered must not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def command_names() -> tuple[str, ...]:
    """The files in mllm/commands that are commands."""
    found = pkgutil.iter_modules(commands.__path__)
    return tuple(sorted(module.name for module in found if not module.name.startswith("_")))


def _run(words: list[str]) -> int:
    if words and words[0].startswith(_PROCESS_NUMBER):
        words = [*words[1:], words[0]]
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if words[0] in ("--version", "-V"):
        print(f"mllm {mllm.__version__}")
        return 0
    name, known = words[0], command_names()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise ConfigError(f"there is no command {name!r}; {hint}expected one of: {', '.join(known)}")
    command = importlib.import_module(f"mllm.commands.{name}")
    if hasattr(command, "run_words"):
        return int(command.run_words(words[1:]))
    return parsing.run(command, name, words[1:])


def _overview() -> str:
    lines = ["usage: mllm COMMAND ...", "", "A frozen language model that hears music.", "", "commands:"]
    lines += [f"  {name:<10} {importlib.import_module(f'mllm.commands.{name}').SUMMARY}" for name in command_names()]
    lines += ["", "'mllm COMMAND --help' shows its options; 'mllm --version' the version."]
    return "\n".join(lines)


def _say(sentence: str) -> None:
    print(f"mllm: {' '.join(sentence.split())}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
