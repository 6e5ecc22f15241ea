"""`mllm data ACTION ...`: what is done with data, one action a file.

In: words. Out: the exit status of the action. `encode` belongs to training and stands beside this file; every other
action is a file of instruct_data/actions, which `mllm.registry` finds by its name.
"""

from __future__ import annotations

import types
from collections.abc import Sequence

from mllm import registry
from mllm.commands import _data_encode, _parsing
from mllm.errors import ConfigError
from mllm.message_fields import near

SUMMARY = "build, check and count instruction data; encode recordings ahead of a training"
KIND = "data action"
ENCODE = "encode"
_OF_THE_EXTRA = ("datasets", "fluidsynth", "music21", "pretty_midi", "pyarrow", "tinysoundfont")
"""Modules that come with the extra `data`."""


def run_words(words: Sequence[str]) -> int:
    """Run an action, or list all of them where none is named.

    Raises:
        ConfigError: there is no such action, or what it needs is not installed; besides what the action raises.
    """
    known = (ENCODE, *registry.names(KIND))
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview(known))
        return 0
    name = words[0]
    if name not in known:
        raise ConfigError(
            f"{name!r} is nothing that can be done with data{near(name, known)}; expected one of: {', '.join(known)}"
        )
    try:
        return _parsing.run(_action(name), f"data {name}", words[1:])
    except ModuleNotFoundError as error:
        if not _is_of_the_extra(error):
            raise
        raise ConfigError(
            f"mllm data {name} needs {error.name}, which is not installed: pip install 'mllm-music[data]'"
        ) from error


def _action(name: str) -> types.ModuleType:
    return _data_encode if name == ENCODE else registry.find(KIND, name)


def _overview(known: Sequence[str]) -> str:
    lines = ["usage: mllm data ACTION ...", "", "What is done with data.", "", "actions:"]
    lines += [f"  {name:<10} {_summary(name)}" for name in known]
    return "\n".join([*lines, "", "'mllm data ACTION --help' shows its options."])


def _summary(name: str) -> str:
    try:
        return str(_action(name).SUMMARY)
    except ModuleNotFoundError as error:
        if not _is_of_the_extra(error):
            raise
        return f"needs {error.name}: pip install 'mllm-music[data]'"


def _is_of_the_extra(error: ModuleNotFoundError) -> bool:
    return error.name is not None and error.name.partition(".")[0] in _OF_THE_EXTRA
