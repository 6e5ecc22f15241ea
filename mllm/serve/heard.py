"""How much of the recordings of a request was heard, for who answers it.

A list that travels with a request through all tasks that work on it: whoever answers opens it, whoever decodes fills
it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from mllm.processing import Heard

_HEARD: ContextVar[list[Heard] | None] = ContextVar("heard", default=None)


@contextlib.contextmanager
def collected() -> Iterator[list[Heard]]:
    """Within this, what `note` is told goes into the list given."""
    heard: list[Heard] = []
    token = _HEARD.set(heard)
    try:
        yield heard
    finally:
        _HEARD.reset(token)


def note(heard: Heard) -> None:
    """Tell whoever answers this request how much of a recording was heard."""
    opened = _HEARD.get()
    if opened is not None:
        opened.append(heard)
