"""Runs a file that has options: words in, exit status out.

In: a module with SUMMARY, USAGE, `add_arguments(parser)` and `run(options)`, and the words behind its name. Out: what
its `run` returned. Knows no command.
"""

from __future__ import annotations

import argparse
import types
from collections.abc import Sequence

from mllm.errors import ConfigError


def run(command: types.ModuleType, name: str, words: Sequence[str]) -> int:
    """Parse the options of a command and run it.

    Args:
        command: the module.
        name: what was written behind `mllm`, such as "ask" or "data build".
        words: what was written behind that.

    Returns:
        The exit status; 0 after `--help`.

    Raises:
        ConfigError: the words are not the command's; besides what the command raises.
    """
    # The parser is imported here, so that `mllm --version` is instant.
    import jsonargparse

    parser = jsonargparse.ArgumentParser(
        prog=f"mllm {name}",
        description=command.SUMMARY,
        usage=f"mllm {name} {command.USAGE}",
        exit_on_error=False,
        formatter_class=argparse.HelpFormatter,
    )
    command.add_arguments(parser)
    try:
        options = parser.parse_args(_options_first(parser, words))
    except argparse.ArgumentError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(f"{reason}; see 'mllm {name} --help'") from error
    except SystemExit as finished:  # --help
        return int(finished.code or 0)
    return int(command.run(options))


def _options_first(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """The same words with all options before all others: argparse takes only one unbroken run of files."""
    takes_value = {
        text: action.nargs != 0
        for action in parser._actions  # noqa: SLF001
        for text in action.option_strings
    }
    options: list[str] = []
    others: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            others += waiting
            break
        if word.startswith("-") and word != "-":
            options.append(word)
            if takes_value.get(word, False) and waiting:
                options.append(waiting.pop(0))
        else:
            others.append(word)
    return [*options, "--", *others] if others else options
