"""Fields of the message format, checked one by one; a sentence about a wrong one names its place.

In: a value as JSON gives it, and where it stands: `messages[1].content[0]`. Out: the value with its type, or the error.
Knows no roles and no parts.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import NoReturn

from mllm.errors import MessageError


def read_fields(
    value: object, place: str, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, object]:
    """An object that has all the required keys, and no key but these and the optional ones."""
    if not isinstance(value, dict):
        fail(place, f"expected an object with {', '.join(required)}, got {kind_of(value)}")
    allowed = required + optional
    for key in value:
        if key not in allowed:
            fail(place, f"unknown key {key!r}, expected {', '.join(allowed)}{near(key, allowed)}")
    for key in required:
        if key not in value:
            fail(place, f"the key {key!r} is missing")
    return value


def read_string(value: object, place: str, *, empty: bool = False) -> str:
    """A string; an empty one only where it may be."""
    if not isinstance(value, str):
        fail(place, f"expected a string, got {kind_of(value)}")
    if not value and not empty:
        fail(place, "is an empty string")
    return value


def near(given: object, known: Collection[str]) -> str:
    """A guess at what was meant, to stand behind a sentence; empty where nothing known is like it."""
    close = difflib.get_close_matches(given, known, n=2) if isinstance(given, str) else []
    return f" (did you mean {' or '.join(repr(word) for word in close)}?)" if close else ""


def kind_of(value: object) -> str:
    """What a value is, in words of JSON."""
    names = {str: "a string", dict: "an object", list: "a list", bool: "true or false", type(None): "nothing (null)"}
    return names.get(type(value), f"{type(value).__name__} {value!r}"[:60])


def fail(place: str, what: str) -> NoReturn:
    """Raise `MessageError` about what stands there."""
    raise MessageError(f"{place}: {what}{'' if what.endswith(('?', ')')) else '.'}")
