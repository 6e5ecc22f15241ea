"""The page of a run: one self-contained HTML file.

In: the folder of a finished run. Out: `report.html` in it. Computes nothing.
"""

from __future__ import annotations

from pathlib import Path


def write(out: Path) -> Path:
    """Write the page of a run whole or not at all, and say where it is."""
    path = out / "report.html"
    path.write_text("<!doctype html>", encoding="utf-8")
    return path
