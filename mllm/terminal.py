"""What a command tells beside its answer: sentences, and on a terminal what it is doing.

In: texts. Out: lines on standard error. Knows nothing of commands, and imports nothing heavy at the top.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status


def say(sentence: str) -> None:
    """One line on standard error."""
    print(f"mllm: {' '.join(sentence.split())}", file=sys.stderr, flush=True)


class Progress:
    """What is told on a terminal while something is under way; nothing anywhere else."""

    def __init__(self, status: Status | None) -> None:
        self._status = status

    def tell(self, what: str) -> None:
        """Show something else."""
        if self._status is not None:
            self._status.update(what)

    def stop(self) -> None:
        """Take it away, before anything else is printed."""
        if self._status is not None:
            self._status.stop()


@contextlib.contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Show on a terminal that something is under way, until it is over."""
    if not sys.stderr.isatty():
        yield Progress(None)
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as status:
        yield Progress(status)
