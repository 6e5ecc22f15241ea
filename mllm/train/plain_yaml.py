"""YAML as settings are written in it: texts, numbers, lists and mappings of them, and nothing else.

In: a text. Out: what JSON could hold too. Builds no objects, whatever tags ask for, and knows nothing of what the
settings mean.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from mllm.errors import ConfigError

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Takes 1e-3 for a number, which YAML 1.1 takes for a text, and 2026-01-31 for a text, as it may name a folder."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (yaml's own form)
        letter: [rule for rule in rules if rule[0] != _TIMESTAMP]
        for letter, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)
_ERRORS = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What yaml answers a text with that it cannot read; the second to the fifth where a tag such as !!int is wrong."""


def parse(text: str, source: str) -> Any:
    """What a text holds.

    Args:
        text: YAML.
        source: what a message calls it.

    Raises:
        ConfigError: it is not YAML, or holds what no setting is made of.
    """
    try:
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
        _check(content, within=())
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error
    except _ERRORS as error:
        raise ConfigError(f"{source} is not YAML: {' '.join(str(error).split())}") from error
    return content


def _check(value: object, within: tuple[int, ...]) -> None:
    """Refuse keys that are no texts, sets, dates and bytes, and what contains itself."""
    if value is None or isinstance(value, bool | int | float | str):
        return
    if not isinstance(value, dict | list):
        raise ConfigError(f"{value!r} is a {type(value).__name__}; expected texts, numbers, lists and settings")
    if id(value) in within:
        raise ConfigError("a setting contains itself; expected one that is written out")
    for key in value if isinstance(value, dict) else ():
        if not isinstance(key, str):
            raise ConfigError(f"{key!r} is not a setting; expected a name, in quotes where YAML reads it as a value")
    for inner in value.values() if isinstance(value, dict) else value:
        _check(inner, (*within, id(value)))
