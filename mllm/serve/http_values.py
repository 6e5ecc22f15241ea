"""Values in a JSON body that an engine dies of, or fails with as if it were its own fault; refused with status 400.

In: a parsed body. Out: nothing, or the error. What it finds can stand at any depth of any field. Knows no routes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from mllm.serve.http_errors import RequestError

SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**64 - 1
"""What 64 bits hold; requests travel to the engine in a format without larger ones."""
COUNTS = ("minItems", "maxItems")
MOST_ITEMS = 100_000
"""Of arrays, in all schemas of a request together. Far more than an answer holds; a library that vLLM checks schemas
with takes 92 bytes for each (llguidance 1.7), and the server with it when the memory is full."""
WRITTEN_JSON = ("json", "structural_tag")
"""Fields whose text may be JSON once more."""
EMBEDDED_SCHEMA = "%json"
"""Writes a schema into a grammar, where its numbers are not looked for."""


def refuse_bad_values(content: Any) -> None:
    """Look at every value of a body.

    Args:
        content: any JSON.

    Raises:
        RequestError: one is of a kind that cannot be answered.
    """
    items = 0.0
    for name, field, value in _values(content):
        if isinstance(value, str):
            if not _is_unicode(value):
                raise _refused(field, "holds text with half of a surrogate pair, which is not Unicode; leave it out")
            if name == "grammar" and EMBEDDED_SCHEMA in value:
                raise _refused(field, f"a grammar with {EMBEDDED_SCHEMA} is not taken; send the schema itself as json")
        elif isinstance(value, int) and not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
            raise _refused(field, "holds an integer of more than 64 bits; send a smaller one")
        if name in COUNTS and isinstance(value, int | float):
            items += max(0.0, value)
            if items > MOST_ITEMS:
                raise _refused(field, f"{' and '.join(COUNTS)} come to more than {MOST_ITEMS} items; ask for fewer")


def restricts_the_answer(content: Any) -> bool:
    """Whether a body says what the answer may look like, in one of the ways of OpenAI, Anthropic and vLLM."""
    if not isinstance(content, Mapping):
        return False
    nested = [content.get(name) for name in ("text", "output_config")]
    return any(content.get(name) for name in ("structured_outputs", "response_format", "tools")) or any(
        isinstance(one, Mapping) and one.get("format") for one in nested
    )


def _values(content: Any) -> Iterator[tuple[str, str, Any]]:
    """The names and the values of a body at every depth: own name, name of the field of the body, value."""
    waiting: list[tuple[str, str, Any]] = [("", "", content)]
    while waiting:
        name, field, value = waiting.pop()
        yield name, field, value
        if name in WRITTEN_JSON and isinstance(value, str):
            value = _read(value)
            waiting.append(("", field, value))
        elif isinstance(value, Mapping):
            for key, one in value.items():
                yield "", field or key, key
                waiting.append((key, field or key, one))
        elif isinstance(value, list):
            waiting.extend(("", field, one) for one in value)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None  # the engine says what is wrong with it


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refused(field: str, what: str) -> RequestError:
    named = field if field and field.isidentifier() else "the body"
    return RequestError(HTTPStatus.BAD_REQUEST, f"{named}: {what}", param=field if named == field else None)
