"""`mllm describe FILE --json`: the facts that the model states of a recording, each with its confidence.

In: parsed options. Out: one JSON object of the published schema (mllm/schema/describe.schema.json), a small table, or a
file of such objects. Knows how to ask, not how the model hears.
"""

from __future__ import annotations

import json

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import ClosedUnitInterval

from mllm import describe, terminal
from mllm.commands import _batch, _shared
from mllm.describe import Description
from mllm.errors import ConfigError

SUMMARY = "state tempo, key, meter and instruments of a recording"
USAGE = "FILE [--json] [options] | --batch IN.jsonl --out OUT.jsonl [options]"
_LABELS = {"tempo_bpm": "tempo"}
_UNITS = {"tempo_bpm": " BPM"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="the recording")
    parser.add_argument("--json", action="store_true", help="print the JSON object instead of a table")
    parser.add_argument(
        "--min-confidence",
        type=ClosedUnitInterval,
        default=0.0,
        help="a field of less confidence, from 0 to 1, is null (default: 0)",
    )
    _shared.add_batch_arguments(parser, '{"id": ..., "path": ...}')
    _shared.add_model_arguments(parser, max_new_tokens=describe.MAX_NEW_TOKENS)


def run(options: Namespace) -> int:
    """Describe."""
    if _shared.is_batch(options, words=options.files):
        return _batch.run(
            options,
            lambda line: _batch.recording_of(line, describe.QUESTION),
            lambda answer: describe.read(answer, minimum_confidence=options.min_confidence).to_json(),
        )
    if len(options.files) != 1:
        raise ConfigError(
            f"{len(options.files)} recordings were given; expected one: mllm describe FILE --json "
            "(for many: --batch IN.jsonl --out OUT.jsonl)"
        )
    (file,) = options.files
    listener = _shared.open_listener(options.model, seed=options.seed)
    with terminal.progress(f"listening to {file}"):
        answer = listener.ask([file], describe.QUESTION, **_shared.speaking(options))
    description = describe.read(answer, minimum_confidence=options.min_confidence)
    print(json.dumps(description.to_json(), ensure_ascii=False) if options.json else _table(description))
    _shared.warn_of_unheard(answer, file)
    return 0


def _table(description: Description) -> str:
    rows = []
    for name in describe.FIELDS:
        value = getattr(description, name)
        label = _LABELS.get(name, name)
        if value is None:
            rows.append(f"{label:<12}cannot tell")
            continue
        shown = ", ".join(value) if isinstance(value, tuple) else {True: "yes", False: "no"}.get(value, value)
        if isinstance(value, float | int) and not isinstance(value, bool):
            shown = f"{value:g}{_UNITS.get(name, '')}"
        rows.append(f"{label:<12}{shown}  ({description.confidence[name]:.0%} sure)")
    rows.append(f"{'heard':<12}{description.seconds_heard:.1f} s")
    return "\n".join(rows)
