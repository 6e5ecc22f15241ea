"""Finds plug-ins by file name: a kind and a name in, the imported file out. The folder is the list; nothing is edited.

Knows the folders and nothing of what stands in their files.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import types

from mllm.errors import ConfigError

_PACKAGE_OF_KIND = {
    "adapter": "mllm.adapters",
    "augmentation": "mllm.instruct_data.augment",
    "check": "mllm.instruct_data.checks",
    "data action": "mllm.instruct_data.actions",
    "encoder": "mllm.encoders",
    "eval action": "mllm.eval.actions",
    "evaluated model": "mllm.eval.models",
    "reward": "mllm.train.rewards",
    "source": "mllm.instruct_data.sources",
    "style": "mllm.instruct_data.styles",
    "task": "mllm.eval.tasks",
}


def find(kind: str, name: str) -> types.ModuleType:
    """Import the plug-in `name` of a kind.

    Args:
        kind: a key of `_PACKAGE_OF_KIND`, such as "encoder".
        name: its file name without ".py".

    Raises:
        ConfigError: if there is no such kind or no such file; the near names are given.
    """
    known = names(kind)
    if name not in known:
        raise ConfigError(_unknown(kind, name, known))
    return importlib.import_module(f"{_PACKAGE_OF_KIND[kind]}.{name}")


def names(kind: str) -> tuple[str, ...]:
    """The names of all plug-ins of a kind, sorted; files and folders that start with "_" are not plug-ins.

    Raises:
        ConfigError: if there is no such kind.
    """
    if kind not in _PACKAGE_OF_KIND:
        raise ConfigError(_unknown("kind of plug-in", kind, tuple(_PACKAGE_OF_KIND)))
    package = _PACKAGE_OF_KIND[kind]
    specification = importlib.util.find_spec(package)
    if specification is None or specification.submodule_search_locations is None:
        return ()
    found = pkgutil.iter_modules(specification.submodule_search_locations)
    return tuple(sorted(module.name for module in found if not module.name.startswith("_")))


def _unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(repr(one) for one in near)}? " if near else ""
    return f"there is no {kind} named {name!r}; {hint}expected one of: {', '.join(known) or '(none are installed)'}"
