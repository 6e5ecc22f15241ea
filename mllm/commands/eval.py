"""`mllm eval ACTION ...`: how good answers are, one action a file.

In: words. Out: the exit status of the action. Every action is a file of eval/actions, which `mllm.registry` finds by
its name.
"""

from __future__ import annotations

from collections.abc import Sequence

from mllm.commands import _actions

SUMMARY = "measure models on tasks, compare runs, score predictions made elsewhere"
FOLDER = _actions.Folder(
    command="eval",
    kind="eval action",
    what="mllm eval does",
    summary="How good answers are, with blind controls beside every score.",
    extra="eval",
    modules=frozenset(
        {"fluidsynth", "mir_eval", "music21", "nltk", "pretty_midi", "pyarrow", "rouge_score", "sacrebleu", "scipy"}
        | {"sklearn", "tinysoundfont"}
    ),
)


def run_words(words: Sequence[str]) -> int:
    """Run an action, or list all of them where none is named.

    Raises:
        ConfigError: there is no such action, or what it needs is not installed; besides what the action raises.
    """
    return _actions.run(FOLDER, words)
