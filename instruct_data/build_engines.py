"""Where the units of a build are made: in this process, in several on this machine, or in a Ray cluster.

In: units and settings. Out: each unit when it is made, in any order; what it made lies in the folder of the build, the
same wherever it was made. Every machine of a cluster sees that folder and all sources under the same paths. Knows
nothing of what a unit makes.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from typing import Any, TypeAlias

from mllm import errors
from mllm.errors import ConfigError, MllmError
from mllm.instruct_data import build_units
from mllm.instruct_data.build_config import BuildConfig
from mllm.instruct_data.build_parts import Unit
from mllm.train import ray_cluster

Engine: TypeAlias = Callable[[Sequence[Unit], BuildConfig], Iterator[Unit]]
"""Makes units, and gives each when it is made."""
DIED = (
    "one of up to {workers} workers died, perhaps for want of memory; what was made is kept, so run this again with "
    "fewer workers"
)


def engine_of(config: BuildConfig) -> Engine:
    """The engine that the settings ask for.

    Raises:
        ConfigError: Ray is not installed.
    """
    if config.engine == "ray":
        ray_cluster.check_installed("engine=ray needs")
        return on_ray
    return in_this_process if config.workers == 1 else in_processes


def in_this_process(units: Sequence[Unit], config: BuildConfig) -> Iterator[Unit]:
    """One after another."""
    for unit in units:
        build_units.make(unit, config)
        yield unit


def in_processes(units: Sequence[Unit], config: BuildConfig) -> Iterator[Unit]:
    """In `config.workers` processes.

    Raises:
        ConfigError: one of them died.
    """
    pool = concurrent.futures.ProcessPoolExecutor(
        min(config.workers, max(len(units), 1)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin_worker,
    )
    try:
        waiting = {pool.submit(build_units.make, unit, config): unit for unit in units}
        for done in concurrent.futures.as_completed(waiting):
            done.result()
            yield waiting[done]
    except BrokenExecutor as error:
        raise ConfigError(DIED.format(workers=config.workers)) from error
    finally:
        pool.shutdown(cancel_futures=True)


def on_ray(units: Sequence[Unit], config: BuildConfig) -> Iterator[Unit]:
    """In up to `config.workers` actors of the cluster at `config.ray_address`.

    Raises:
        ConfigError: there is no such cluster, or an actor died.
    """
    if not units:
        return
    import ray.exceptions

    ray_cluster.connect(config.ray_address, config.workers)
    try:
        for row in _made(units, config):
            answer = json.loads(row["answer"])
            if "raised" in answer:
                raise getattr(errors, answer["raised"])(answer["sentence"])
            yield Unit(**answer)
    except (
        ray.exceptions.RayActorError,
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.OutOfMemoryError,
    ) as error:
        raise ConfigError(DIED.format(workers=config.workers)) from error
    finally:
        ray.shutdown()


def _made(units: Sequence[Unit], config: BuildConfig) -> Iterable[Mapping[str, Any]]:
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    rows = [{"unit": json.dumps(dataclasses.asdict(unit))} for unit in units]
    made: Iterable[Mapping[str, Any]] = (
        ray.data.from_items(rows, override_num_blocks=len(rows))
        .map(
            _Worker,
            fn_constructor_args=(config,),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=config.workers),
            max_restarts=0,  # what killed a worker would kill the next
        )
        .iter_rows()
    )
    return made


class _Worker:
    """What an actor does."""

    def __init__(self, config: BuildConfig) -> None:
        self._config = config

    def __call__(self, row: Mapping[str, Any]) -> dict[str, str]:
        try:
            build_units.make(Unit(**json.loads(row["unit"])), self._config)
            answer: Any = json.loads(row["unit"])
        except MllmError as error:
            # Ray would try a call that raised again, and hide the sentence in a traceback.
            answer = {"raised": type(error).__name__, "sentence": str(error)}
        return {"answer": json.dumps(answer)}


def _begin_worker() -> None:
    """Leave interrupts to the process that waits for this one, and end when that process is gone, however it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
