"""Settings from parsed JSON or YAML: a mapping becomes a dataclass, or one sentence names everything that is wrong.

In: dataclasses and mappings. Out: the same, or a `ConfigError`. Opens no file and knows nothing of what settings mean.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from mllm.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)


def near(name: str, known: Iterable[str]) -> str:
    """A hint such as " (did you mean 'hidden_size'?)", or nothing where no known name is near."""
    close = difflib.get_close_matches(name, list(known), n=2, cutoff=0.6)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""


def config_from_dict(cls: type[Settings], mapping: Mapping[str, object]) -> Settings:
    """Build a flat dataclass of settings from parsed JSON or YAML.

    Args:
        cls: dataclass whose fields are bool, int, float, str, `Literal`, a tuple of these, or one of them or None.
        mapping: key to value; lists become tuples, whole numbers become floats where a float is expected.

    Raises:
        ConfigError: naming, in one message, every unknown key (with the near ones), every missing key, every value of a
            wrong type and what the dataclass itself refuses.
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    problems: list[str] = []
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        if key not in fields:
            problems.append(f"{key} is not a setting{near(key, fields)}")
            continue
        try:
            values[key] = _fit(value, hints[key])
        except ConfigError as error:
            problems.append(f"{key} is {value!r}; expected {error}")
    for key, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and key not in mapping:
            problems.append(f"{key} is missing")
        elif required and key not in values:
            raise ConfigError("; ".join(problems))
    if not any(problem.endswith(" is missing") for problem in problems):
        try:
            built = cls(**values)
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("; ".join(problems))
    return built


def _fit(value: object, kind: Any) -> object:
    """`value` as the annotated type `kind`; a ConfigError that only says what was expected otherwise."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (inner,) = [one for one in arguments if one is not type(None)]
        return _fit(value, inner)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise ConfigError(f"one of {', '.join(map(repr, arguments))}")
    if origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_fit(one, arguments[0]) for one in value)
        raise ConfigError("a list")
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind in (bool, str) and isinstance(value, kind):
        return value
    raise ConfigError({float: "a number", int: "a whole number", bool: "true or false", str: "a text"}[kind])
