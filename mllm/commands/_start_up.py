"""A short start: while a command imports its libraries and loads its model, they do only what an answer needs.

In: nothing. Out: a context in which imports and loading are faster. Only for a command's own process: what is left out
serves training, compilation and other kinds of models, which a library's user may want of the same process.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

UNUSED_LIBRARIES = ("sklearn", "scipy")
"""Where they are installed, transformers imports them (and pandas) for assisted generation and for losses of object
detection, which nothing here calls: a quarter of the time until the first answer."""
MODEL_FAMILIES = "transformers.models"
"""Package that reads 1,500 source files when imported, to know the names in all of them; files of it that are imported
by their own names, as transformers' Auto classes do, need none of that."""
COMPILER = "torch._dynamo"
"""torch's compiler, sympy and all: transformers imports it to keep it off some functions; nothing here is compiled."""
DISTRIBUTION = "torch.distributed.tensor"
"""Tensors spread over processes, with sympy: transformers imports them for models split between GPUs, and a command
has one process."""
_COMPILER_CONTEXT = f"{COMPILER}._trace_wrapped_higher_order_op"


@contextlib.contextmanager
def lean() -> Iterator[None]:
    """Imports and loading without what is not used; changes nothing where transformers has been imported before."""
    if "transformers" in sys.modules:
        yield
        return
    with _without_garbage_collection(), _without_unused_libraries(), _without_compiler(), _without_distribution():
        _take_for_plain_package(MODEL_FAMILIES)
        yield


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Collect no garbage: imports make a million objects that stay, and the collector would look at them ever again.

    A tenth of the time until the first answer. At exit they are left to the operating system: looking at them all once
    more took over a second.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def _without_unused_libraries() -> Iterator[None]:
    """Hide `UNUSED_LIBRARIES`: they are taken for not installed."""
    hidden = [name for name in UNUSED_LIBRARIES if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def _without_compiler() -> Iterator[None]:
    """Put a stand-in into the place of `COMPILER` whose decorators leave functions as they are.

    Whoever wants anything else of it gets the compiler itself, then and later.
    """
    if COMPILER in sys.modules:
        yield
        return
    stand_in = _Compiler(COMPILER)
    context = types.ModuleType(_COMPILER_CONTEXT)
    context.TransformGetItemToIndex = _compiler_context  # type: ignore[attr-defined]
    stand_ins: dict[str, types.ModuleType | None] = {COMPILER: stand_in, _COMPILER_CONTEXT: context}
    sys.modules.update({COMPILER: stand_in, _COMPILER_CONTEXT: context})
    try:
        yield
    finally:
        _remove(stand_ins)


@contextlib.contextmanager
def _without_distribution() -> Iterator[None]:
    """Have transformers take torch for a build that cannot distribute a model: it then leaves `DISTRIBUTION` alone."""
    import torch.distributed

    really = torch.distributed.is_available
    torch.distributed.is_available = lambda: False
    try:
        yield
    finally:
        torch.distributed.is_available = really


class _Compiler(types.ModuleType):
    """Stand-in for the compiler while nothing is compiled."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _remove({COMPILER: self, _COMPILER_CONTEXT: sys.modules.get(_COMPILER_CONTEXT)})
        return getattr(importlib.import_module(COMPILER), name)

    @staticmethod
    def _unchanged(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
        return (lambda decorated: decorated) if function is None else function

    allow_in_graph = assume_constant_result = disable = _unchanged


def _compiler_context() -> Any:
    """The compiler's own context manager, imported when it is first entered."""
    return importlib.import_module(_COMPILER_CONTEXT).TransformGetItemToIndex()


def _remove(stand_ins: dict[str, types.ModuleType | None]) -> None:
    """Take stand-ins out of `sys.modules` and off their parents, unless the real modules stand there by now."""
    for name, module in stand_ins.items():
        parent, _, child = name.rpartition(".")
        if module is not None and sys.modules.get(name) is module:
            del sys.modules[name]
        if module is not None and vars(sys.modules.get(parent, module)).get(child) is module:
            delattr(sys.modules[parent], child)


def _take_for_plain_package(name: str) -> None:
    """Put an empty package into the place of `name`, whose modules are found as ever; its `__init__.py` is not run."""
    parent, _, folder = name.rpartition(".")
    package = types.ModuleType(name)
    package.__path__ = [str(Path(found) / folder) for found in importlib.import_module(parent).__path__]
    sys.modules[name] = package
    setattr(sys.modules[parent], folder, package)
