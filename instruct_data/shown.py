"""How the actions on data print: tables, and texts of strangers that cannot move the cursor.

In: texts. Out: a console of rich for standard output, and the same texts without control characters. Knows no action.
"""

from __future__ import annotations

import sys

from rich.console import Console

_WIDTH = 120
"""Of what goes into a file."""


def console() -> Console:
    """For standard output, without colours where that is a file."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)


def visible(text: str) -> str:
    """A text on one line, with what does not print (escapes, halves of characters) spelt out."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)
