"""Commands whose first word is an action: one action a file of a folder outside mllm, found by its name.

In: words. Out: the exit status of the action. Knows no action.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence

from mllm import registry
from mllm.commands import _parsing
from mllm.errors import ConfigError
from mllm.message_fields import near


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folder:
    """The actions of one command."""

    command: str
    """What stands behind `mllm`."""
    kind: str
    """Of plug-in, for the registry."""
    what: str
    """What is done with it, for an error: "can be done with data"."""
    summary: str
    """A sentence for the overview."""
    extra: str
    """What installs everything that actions need."""
    modules: frozenset[str]
    """Modules that come with that extra."""
    others: Mapping[str, types.ModuleType] = dataclasses.field(default_factory=dict)
    """Actions that stand elsewhere, by name."""


def run(folder: Folder, words: Sequence[str]) -> int:
    """Run an action, or list all of them where none is named.

    Raises:
        ConfigError: there is no such action, or what it needs is not installed; besides what the action raises.
    """
    known = tuple(sorted((*folder.others, *registry.names(folder.kind))))
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview(folder, known))
        return 0
    name = words[0]
    if name not in known:
        raise ConfigError(
            f"{name!r} is nothing that {folder.what}{near(name, known)}; expected one of: {', '.join(known)}"
        )
    try:
        return _parsing.run(_action(folder, name), f"{folder.command} {name}", words[1:])
    except ModuleNotFoundError as error:
        if not _is_of_the_extra(folder, error):
            raise
        raise ConfigError(
            f"mllm {folder.command} {name} needs {error.name}, which is not installed: pip install "
            f"'mllm-music[{folder.extra}]'"
        ) from error


def _action(folder: Folder, name: str) -> types.ModuleType:
    return folder.others[name] if name in folder.others else registry.find(folder.kind, name)


def _overview(folder: Folder, known: Sequence[str]) -> str:
    lines = [f"usage: mllm {folder.command} ACTION ...", "", folder.summary, "", "actions:"]
    lines += [f"  {name:<10} {_summary(folder, name)}" for name in known]
    return "\n".join([*lines, "", f"'mllm {folder.command} ACTION --help' shows its options."])


def _summary(folder: Folder, name: str) -> str:
    try:
        return str(_action(folder, name).SUMMARY)
    except ModuleNotFoundError as error:
        if not _is_of_the_extra(folder, error):
            raise
        return f"needs {error.name}: pip install 'mllm-music[{folder.extra}]'"


def _is_of_the_extra(folder: Folder, error: ModuleNotFoundError) -> bool:
    return error.name is not None and error.name.partition(".")[0] in folder.modules
