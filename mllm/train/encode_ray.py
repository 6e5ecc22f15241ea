"""Fills a store over a cluster, with Ray Data: each worker is an actor that keeps its encoder open.

In: the address of a cluster; tasks of `mllm.train.encode`. Out: their outcomes, in order, as they come. Every machine
sees recordings, checkpoint and store under the same paths. Knows nothing of audio, encoders or what a store looks like.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mllm import errors
from mllm.errors import EncodingError, MllmError
from mllm.messages import Audio
from mllm.train import ray_cluster
from mllm.train.encode import EncodeConfig, Outcome, Spread, Task, make
from mllm.train.recordings import Mention

TASKS_AT_ONCE = 8
"""A worker is given so many at most; their outcomes come together."""


def on_ray(address: str) -> Spread:
    """A way to work on tasks: in up to `config.workers` actors of the cluster at this address.

    Args:
        address: host:port of the cluster's first machine, "auto" for the cluster that this machine belongs to, or
            `ray_cluster.THIS_MACHINE`.

    Raises:
        ConfigError: Ray is not installed; later, there is no cluster at the address.
    """
    ray_cluster.check_installed("--ray needs")
    return functools.partial(_spread, address=address)


def _spread(tasks: Iterable[Task], config: EncodeConfig, *, address: str) -> Iterator[Outcome]:
    rows = [{"task": _written(task)} for task in tasks]
    if not rows:
        return
    import ray.exceptions

    ray_cluster.connect(address, config.workers)
    try:
        for row in _outcomes(rows, config):
            yield _outcome(json.loads(row["outcome"]))
    except (
        ray.exceptions.RayActorError,
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.OutOfMemoryError,
    ) as error:
        raise EncodingError(
            f"one of up to {config.workers} Ray workers died, perhaps for want of memory; what was encoded is kept, so "
            "run this again with fewer --workers"
        ) from error
    finally:
        ray.shutdown()


def _outcomes(rows: list[dict[str, str]], config: EncodeConfig) -> Iterable[Mapping[str, Any]]:
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = True
    blocks = max(math.ceil(len(rows) / TASKS_AT_ONCE), min(len(rows), config.workers))
    gpus = ray.cluster_resources().get("GPU", 0.0)
    made: Iterable[Mapping[str, Any]] = (
        ray.data.from_items(rows, override_num_blocks=blocks)
        .map(
            _Worker,
            fn_constructor_args=(_everywhere(config),),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=config.workers),
            num_gpus=1 / math.ceil(config.workers / gpus) if gpus else 0,
            max_restarts=0,  # what killed a worker would kill the next
        )
        .iter_rows()
    )
    return made


class _Worker:
    """What an actor does; `make` opens the encoder when it is first called, and keeps it."""

    def __init__(self, config: EncodeConfig) -> None:
        self._config = config

    def __call__(self, row: Mapping[str, Any]) -> dict[str, str]:
        try:
            answer = dataclasses.asdict(make(_read(row["task"]), self._config))
        except MllmError as error:
            # Ray would try a call that raised again, and hide the sentence in a traceback.
            answer = {"raised": type(error).__name__, "sentence": str(error)}
        return {"outcome": json.dumps(answer)}


def _outcome(answer: dict[str, Any]) -> Outcome:
    if "raised" in answer:
        raise getattr(errors, answer["raised"])(answer["sentence"])
    return Outcome(**answer)


def _everywhere(config: EncodeConfig) -> EncodeConfig:
    """The same with whole paths: a worker has another working directory."""
    model = Path(config.model)
    return dataclasses.replace(
        config, store=config.store.absolute(), model=str(model.absolute()) if model.exists() else config.model
    )


def _written(task: Task) -> str:
    audio = task.mention.audio
    plain: dict[str, Any] = {
        "content": task.content,
        "place": task.mention.place,
        "start": audio.start,
        "end": audio.end,
    }
    if isinstance(audio.source, bytes):
        plain["data"] = base64.b64encode(audio.source).decode("ascii")
    else:
        plain["path"] = str(audio.source.absolute())
    return json.dumps(plain)


def _read(text: str) -> Task:
    plain = json.loads(text)
    source = base64.b64decode(plain["data"]) if "data" in plain else Path(plain["path"])
    audio = Audio(source=source, start=plain["start"], end=plain["end"])
    return Task(mention=Mention(audio=audio, place=plain["place"]), content=plain["content"])
