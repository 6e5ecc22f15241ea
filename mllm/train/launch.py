"""How a training was started, and what DeepSpeed needs before it begins: alone, under torchrun, or under deepspeed.

In: the environment and a JSON file of DeepSpeed settings. Out: an environment in which the Trainer finds its processes,
and settings for it. What cannot work is told before a model is opened.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mllm.errors import ConfigError

ALONE = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
"""What a launcher would have set; without it DeepSpeed looks for MPI."""
COMPILERS = ("c++", "g++", "clang++")
ZERO_3 = 3
_SHARED_MEMORY = "deepspeed_shm_comm"
_PATIENCE_SECONDS = 30.0
"""With a compiler that is asked for its version."""


if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")  # DeepSpeed warns of nothing then, which accelerate imports


def world_size() -> int:
    """Processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process writes what all of them share; there is one such process over all machines."""
    return int(os.environ.get("RANK", "0")) == 0


def device() -> torch.device:
    """Where this process trains: its GPU, if there is one."""
    return (
        torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if torch.cuda.is_available()
        else torch.device("cpu")
    )


def deepspeed_settings(path: str | None) -> dict[str, Any] | None:
    """The settings for the Trainer, and everything that DeepSpeed needs of this process.

    Args:
        path: of a JSON file; None trains without DeepSpeed.

    Raises:
        ConfigError: the file cannot be read or holds something else, DeepSpeed is not installed, or a compiler is
            needed and absent.
    """
    if path is None:
        return None
    settings = _read(Path(path))
    if importlib.util.find_spec("deepspeed") is None:
        raise ConfigError("train.deepspeed was given, but DeepSpeed is not installed: pip install 'mllm-music[train]'")
    if needs_compiler(settings):
        check_compiler()
    for name, value in ALONE.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("MASTER_PORT", str(_free_port()))
    _without_shared_memory()
    settings.setdefault("zero_allow_untested_optimizer", True)
    for name in (
        "train_micro_batch_size_per_gpu",
        "gradient_accumulation_steps",
        "train_batch_size",
        "gradient_clipping",
    ):
        settings.setdefault(name, "auto")  # the Trainer's own, which it then checks
    return settings


def needs_compiler(settings: Mapping[str, Any]) -> bool:
    """Whether DeepSpeed builds an optimiser of its own: for offloading to the CPU, or by its name.

    Raises:
        ConfigError: the settings are not what DeepSpeed takes.
    """
    offload = _inner(_inner(settings, "zero_optimization"), "offload_optimizer").get("device", "none") != "none"
    own = settings.get("optimizer") is not None
    return offload or (own and not _inner(_inner(settings, "optimizer"), "params").get("torch_adam"))


def check_compiler() -> None:
    """Raises where DeepSpeed's own optimisers cannot be built.

    Raises:
        ConfigError: there is no C++ compiler or no ninja.
    """
    wanted = os.environ.get("CXX")
    if not any(map(_answers, [wanted] if wanted else COMPILERS)):
        named = f"CXX={wanted} is none" if wanted else f"none of {', '.join(COMPILERS)} is there"
        raise ConfigError(
            f"DeepSpeed builds the optimiser that its settings ask for, which needs a C++ compiler ({named}); install "
            "g++, or take settings without offload_optimizer and optimizer"
        )
    if shutil.which("ninja") is None and importlib.util.find_spec("ninja") is None:
        raise ConfigError("DeepSpeed builds its optimiser with ninja, which is not installed: pip install ninja")


def _answers(compiler: str) -> bool:
    """Whether a command, which may be several words such as `ccache g++`, says its version."""
    with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):  # ValueError: quotes that do not end
        command = [*shlex.split(compiler), "--version"]
        return subprocess.run(command, capture_output=True, timeout=_PATIENCE_SECONDS, check=False).returncode == 0  # noqa: S603 (the user's own)
    return False


def keep_whole(settings: dict[str, Any], largest: int) -> None:
    """Let ZeRO-3 keep tensors of up to so many numbers whole on every process.

    See `leave_whole`.
    """
    zero = settings.get("zero_optimization") or {}
    if zero.get("stage") == ZERO_3:
        stated = zero.get("stage3_param_persistence_threshold", "auto")
        zero["stage3_param_persistence_threshold"] = max(largest, stated if isinstance(stated, int) else 0)


def engine_of(accelerator: Any) -> Any:
    """DeepSpeed's engine around the model; None where there is none."""
    wrapped = getattr(accelerator, "deepspeed_engine_wrapped", None)
    return None if wrapped is None else wrapped.engine


def leave_whole(engine: Any, modules: Iterable[nn.Module]) -> None:
    """Under ZeRO-3, keep parts that learn whole on every process, and let nobody wait for others when they are called.

    The adapters are called once for each length of a window in a batch, which is not as often on every process, while
    DeepSpeed gathers a layer's tensors from all of them at each of its calls. Their tensors must be among those that
    ZeRO-3 keeps whole (`keep_whole`); it then gathers them after each step only.

    Args:
        engine: DeepSpeed's, around the model.
        modules: the parts.
    """
    offload = getattr(engine.optimizer, "parameter_offload", None)
    if offload is None:
        return
    inner = [module for part in modules for module in part.modules()]
    held = {id(hooks) for module in inner for hooks in (module._forward_pre_hooks, module._forward_hooks)}  # noqa: SLF001
    for handle in (*offload.forward_hooks, *offload.backward_hooks):
        if id(handle.hooks_dict_ref()) in held:
            handle.remove()
    whole = offload.persistent_parameters
    whole[0].all_gather(whole)


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"train.deepspeed names {path}, which is not there; give a JSON file") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"train.deepspeed names {path}, which cannot be read as JSON: {error}") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"train.deepspeed names {path}, which holds no object; expected DeepSpeed's settings")
    return settings


def _inner(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object inside settings; an empty one where there is none."""
    inner = settings.get(name)
    if inner is not None and not isinstance(inner, dict):
        raise ConfigError(f"{name} is {inner!r} in the settings of DeepSpeed; expected an object")
    return inner or {}


def _without_shared_memory() -> None:
    """Processes on CPUs talk through gloo: DeepSpeed's own way would be compiled for a minute first."""
    operators = importlib.import_module("deepspeed.ops")
    operators.__compatible_ops__[_SHARED_MEMORY] = False


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
