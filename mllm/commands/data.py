"""`mllm data ACTION ...`: what is done with data, one action a file.

In: words. Out: the exit status of the action. `encode` belongs to training and stands beside this file; every other
action is a file of instruct_data/actions, which `mllm.registry` finds by its name.
"""

from __future__ import annotations

from collections.abc import Sequence

from mllm.commands import _actions, _data_encode

SUMMARY = "build, check and count instruction data; encode recordings ahead of a training"
FOLDER = _actions.Folder(
    command="data",
    kind="data action",
    what="can be done with data",
    summary="What is done with data.",
    extra="data",
    modules=frozenset({"datasets", "fluidsynth", "music21", "pretty_midi", "pyarrow", "tinysoundfont"}),
    others={"encode": _data_encode},
)


def run_words(words: Sequence[str]) -> int:
    """Run an action, or list all of them where none is named.

    Raises:
        ConfigError: there is no such action, or what it needs is not installed; besides what the action raises.
    """
    return _actions.run(FOLDER, words)
