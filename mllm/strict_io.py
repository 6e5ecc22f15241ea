"""Reads and writes settings and tensors strictly: what is missing, left over or misshapen is an error that names it.

In: paths of JSON and safetensors files, dataclasses and modules. Out: the same, or one sentence in a `ConfigError` or
`CheckpointError`. Files are written beside their place and moved there, so none is ever half written. Knows nothing of
what the settings mean or what the modules compute.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from mllm.errors import CheckpointError, ConfigError
from mllm.settings import config_from_dict, near

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from mllm.settings import Settings

HASHED_SUFFIXES = (".bin", ".jinja", ".json", ".model", ".safetensors", ".txt")
"""Files of a checkpoint directory that decide what it computes."""
WEIGHT_SUFFIXES = (".bin", ".safetensors")

_TORCH_FILE_ERRORS = (pickle.UnpicklingError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError)
"""What torch answers a file with that is cut short or something else."""
_NAMES_IN_A_MESSAGE = 4
_READ_BYTES = 1 << 22


def read_json(path: str | Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        CheckpointError: if the file is absent, not JSON or not an object.
    """
    path = Path(path)
    try:
        parsed = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"there is no {path.name} in {path.parent}; give the directory of a checkpoint"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error}); fetch or save the checkpoint again") from error
    if not isinstance(parsed, dict):
        raise CheckpointError(f"{path} holds a {type(parsed).__name__}; expected a JSON object of settings")
    return parsed


def write_json(content: Mapping[str, object], path: str | Path) -> None:
    """Write `content` to `path` as indented JSON, whole or not at all."""
    text = json.dumps(dict(content), indent=2, ensure_ascii=False) + "\n"
    _write_beside(Path(path), lambda beside: beside.write_text(text, encoding="utf-8"))


def read_config(path: str | Path, cls: type[Settings]) -> Settings:
    """The settings in a JSON file.

    Raises:
        CheckpointError: if the file is absent or not a JSON object.
        ConfigError: as `config_from_dict`, with the path before it.
    """
    try:
        return config_from_dict(cls, read_json(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def write_config(config: DataclassInstance, path: str | Path) -> None:
    """Write a dataclass of settings to `path` as JSON, whole or not at all."""
    write_json(dataclasses.asdict(config), path)


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, on the CPU.

    Raises:
        CheckpointError: if the file is absent, cut short or not a safetensors file.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no {path.name} in {path.parent}; give the directory of a checkpoint")
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file ({error}); fetch or save it again") from error


def fill(
    module: nn.Module, tensors: Mapping[str, Tensor], source: str | Path, *, spelling: Callable[[str], str] = str
) -> None:
    """Copy `tensors` into `module`, only if they are exactly its parameters and persistent buffers.

    Args:
        module: keeps its own dtype and device.
        tensors: by the module's names.
        source: where they are from; for the message.
        spelling: the module's name of a tensor -> its name in the file, for the message.

    Raises:
        CheckpointError: naming what is missing, what is left over and what has another shape or kind of number; the
            module is then unchanged.
    """
    expected = module.state_dict()
    missing = [spelling(name) for name in expected if name not in tensors]
    extra = [f"{spelling(name)}{near(name, expected)}" for name in tensors if name not in expected]
    wrong = [
        f"{spelling(name)} is {_form(tensors[name])} instead of {_form(target)}"
        for name, target in expected.items()
        if name in tensors and _form(tensors[name]) != _form(target)
    ]
    parts = [
        f"{word}: {_some(names)}"
        for word, names in (("missing", missing), ("not expected", extra), ("of another form", wrong))
        if names
    ]
    if parts:
        raise CheckpointError(
            f"the tensors of {source} do not fit the settings beside them; {'; '.join(parts)}; "
            f"give a checkpoint of exactly these settings"
        )
    module.load_state_dict(dict(tensors), strict=True)


def read_tensors(module: nn.Module, path: str | Path) -> None:
    """Fill `module` from a safetensors file that holds exactly its parameters and persistent buffers.

    Raises:
        CheckpointError: as `load_tensors` and `fill`.
    """
    fill(module, load_tensors(path), path)


def write_tensors(tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Write `tensors` to `path` as safetensors, whole or not at all."""
    ready = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(ready, metadata={"format": "pt"})
    _write_beside(Path(path), lambda beside: beside.write_bytes(content))  # save_file lets nobody else read the file


def load_torch_file(path: str | Path, *, within: str | None = None) -> dict[str, Tensor]:
    """All tensors of a file that torch saved, such as `pytorch_model.bin`; nothing in the file is executed.

    Args:
        path: of the file.
        within: the entry that holds them where the file holds a whole training state; None: they are all it holds.

    Raises:
        CheckpointError: if the file is absent, cut short or holds anything but named tensors there.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no {path.name} in {path.parent}; give the directory of a checkpoint")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except _TORCH_FILE_ERRORS as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{path} cannot be read as a file of tensors ({reason}); fetch it again") from error
    if within is not None:
        if not isinstance(loaded, dict) or within not in loaded:
            found = ", ".join(map(str, loaded)) if isinstance(loaded, dict) else type(loaded).__name__
            raise CheckpointError(f"{path} has no entry {within!r}; it holds: {found}")
        loaded = loaded[within]
    if not isinstance(loaded, dict) or not all(isinstance(tensor, Tensor) for tensor in loaded.values()):
        raise CheckpointError(f"{path} holds more than named tensors; expected the state dict of a model")
    return loaded


def content_hash(directory: str | Path) -> str:
    """sha256 (64 hexadecimal digits) of the names and bytes of a checkpoint's files.

    Counted are the files right in `directory` with one of `HASHED_SUFFIXES`, in the order of their names; links are
    followed.

    Raises:
        CheckpointError: if there is no such directory or it holds no weights.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise CheckpointError(f"{directory} is not a directory; give the directory of a checkpoint")
    counted = sorted(p for p in directory.iterdir() if p.suffix in HASHED_SUFFIXES and p.is_file())
    if not any(path.suffix in WEIGHT_SUFFIXES for path in counted):
        raise CheckpointError(f"{directory} holds no weights; expected a file that ends in .safetensors or .bin")
    total = hashlib.sha256()
    for path in counted:
        total.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                total.update(block)
    return total.hexdigest()


def is_free(directory: Path, *, unless: str) -> bool:
    """Whether something may be written in a place: absent, empty, or an older one, which holds a file `unless`."""
    if not directory.exists() or (directory / unless).is_file():
        return True
    return directory.is_dir() and not any(directory.iterdir())


@contextlib.contextmanager
def written_beside(directory: Path) -> Iterator[Path]:
    """A new directory to write into, which takes the place of `directory` once all went well.

    What was there before goes only once the new one stands; where writing fails, it stays and nothing else does.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{directory.name}.writing-", dir=directory.parent))
    try:
        work.chmod(0o755)
        yield work
        if not directory.exists():
            work.rename(directory)
            return
        old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old-", dir=directory.parent)) / directory.name
        directory.rename(old)
        work.rename(directory)
        shutil.rmtree(old.parent)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _form(tensor: Tensor) -> str:
    kind = "floating-point" if tensor.is_floating_point() else "whole-number"
    return f"{kind} {tuple(tensor.shape)}"


def _some(names: list[str]) -> str:
    more = len(names) - _NAMES_IN_A_MESSAGE
    return ", ".join(names[:_NAMES_IN_A_MESSAGE]) + (f" and {more} more" if more > 0 else "")


def _write_beside(path: Path, write: Callable[[Path], object]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
