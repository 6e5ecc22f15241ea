"""Settings as people give them: YAML files that include others, and words such as `train.epochs=5`.

In: a path, words, mappings. Out: one mapping of settings, and sentences about what is wrong with the words. Knows no
settings by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mllm.errors import ConfigError
from mllm.train import plain_yaml

INCLUDE = "include"
_MOST_INCLUDED = 8


def read(
    path: Path | None, words: Sequence[str], *, given: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """What a file and overriding words say.

    Args:
        path: YAML file; what it names under `include` is read before it, and its own settings win. None: no file.
        words: `key.sub=value`, which win over the file; the value is read as YAML.
        given: settings that win over both, as the file would hold them.

    Returns:
        The settings, and what is wrong with words.

    Raises:
        ConfigError: a file cannot be read.
    """
    settings: dict[str, Any] = {} if path is None else _read_file(path, depth=0)
    problems: list[str] = []
    for word in words:
        try:
            merge(settings, _override(word))
        except ConfigError as error:
            problems.append(str(error))
    merge(settings, given or {})
    return settings, problems


def placed(problems: str, section: str, keys: Iterable[str]) -> str:
    """What is wrong with a section, each key with the section's name before it."""
    pieces = problems.split("; ")
    starts = tuple(f"{key} " for key in keys)
    return "; ".join(f"{section}.{piece}" if piece.startswith(starts) else piece for piece in pieces)


def plain(value: Any) -> Any:
    """As YAML would hold it: tuples as lists, within others too."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def differences(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(name, old, new) of each setting that is another now; names as `train.epochs`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif old != new:
        yield name, old, new


def _read_file(path: Path, *, depth: int) -> dict[str, Any]:
    if depth == _MOST_INCLUDED:
        raise ConfigError(f"{path} is included {depth} files deep; expected files that do not include each other")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"there is no {path}; give a YAML file of settings") from error
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL character in the path
        raise ConfigError(f"{str(path)!r} cannot be read ({error}); give a YAML file of settings") from error
    content = plain_yaml.parse(text, str(path))
    settings = {} if content is None else content
    if not isinstance(settings, dict):
        raise ConfigError(f"{path} holds a {type(settings).__name__}; expected settings, `key: value`")
    included = settings.pop(INCLUDE, None) or []
    names = [included] if isinstance(included, str) else included
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{path}: {INCLUDE} is {included!r}; expected a YAML file, or a list of them")
    whole: dict[str, Any] = {}
    for name in names:
        merge(whole, _read_file(path.parent / name, depth=depth + 1))
    merge(whole, settings)
    return whole


def _override(word: str) -> dict[str, Any]:
    key, sign, text = word.partition("=")
    if not sign or not re.fullmatch(r"\w+(\.\w+)*", key):
        raise ConfigError(f"{word!r} is no setting; expected key.sub=value, such as train.epochs=5")
    value = plain_yaml.parse(text, f"the value in {word!r}")
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def merge(into: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Put settings over others, section by section; a plug-in of another name takes the place of the whole section."""
    for key, value in settings.items():
        old = into.get(key)
        if (
            isinstance(old, dict)
            and isinstance(value, Mapping)
            and value.get("name", old.get("name")) == old.get("name")
        ):
            merge(old, value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value
