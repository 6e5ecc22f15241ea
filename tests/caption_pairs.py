"""Captions of our own with references, for tests of metrics of texts."""

from __future__ import annotations

import json
from pathlib import Path

ROWS = [json.loads(line) for line in (Path(__file__).parent / "data" / "captions.jsonl").read_text().splitlines()]
PREDICTIONS: list[str] = [row["prediction"] for row in ROWS]
REFERENCES: list[list[str]] = [row["references"] for row in ROWS]
FIRST_REFERENCES = [of_item[:1] for of_item in REFERENCES]
