"""Fills a store with what a frozen encoder makes of recordings; each distinct stretch is decoded and encoded once.

In: mentions of recordings, a checkpoint, a store. Out: the store, and an outcome for each distinct stretch. What is
there already is found without decoding, so a run that was ended goes on where it stood. The backbone is never opened.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import TypeAlias

import torch

from mllm import audio, checkpoint, contract, hearing
from mllm.decode import name_of
from mllm.errors import AudioError, EncodingError, MllmError
from mllm.messages import Audio
from mllm.train.encoding_store import Encoding, EncodingStore, Outline, Rule, Stretch, key_of
from mllm.train.recordings import Mention

WAITING_PER_WORKER = 2
"""Tasks given to a worker process ahead of the one it works on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """What encodes, and where it goes."""

    model: str
    """Directory or name of the checkpoint."""
    store: Path
    """Directory of the store."""
    max_bytes: int | None = None
    """Most bytes of the store; None: no bound."""
    workers: int = 1
    """Processes that decode and encode, each with an encoder of its own."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A stretch that is not in the store."""

    mention: Mention
    content: str
    """Sha256 of the recording's bytes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one distinct stretch, or of a line that cannot be read."""

    made: int = 0
    """Windows that were encoded."""
    found: int = 0
    """Windows that were in the store."""
    seconds: float = 0.0
    """Audio in these windows, overlaps counted once."""
    evicted: int = 0
    """Stretches that went to make room."""
    error: str = ""
    """What is wrong with it; empty if nothing is."""


@dataclasses.dataclass(kw_only=True)
class Summary:
    """All outcomes together."""

    recordings: int = 0
    """Distinct stretches, and lines that cannot be read."""
    made: int = 0
    """Windows, as the next three fields in an `Outcome`."""
    found: int = 0
    seconds: float = 0.0
    evicted: int = 0
    failed: int = 0
    """Of `recordings`."""

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        self.recordings += 1
        self.failed += bool(outcome.error)
        self.made += outcome.made
        self.found += outcome.found
        self.seconds += outcome.seconds
        self.evicted += outcome.evicted


Spread: TypeAlias = Callable[[Iterable[Task], EncodeConfig], Iterator[Outcome]]
"""How tasks are worked on; the outcomes come in the order of the tasks."""


def encode(
    mentions: Iterable[Mention | MllmError], config: EncodeConfig, spread: Spread, tell: Callable[[Outcome], object]
) -> None:
    """Encode what is not in the store yet.

    Args:
        mentions: from `recordings.mentions`.
        config: what encodes, and where it goes.
        spread: `in_this_process`, `in_processes`, or one of `encode_ray.on_ray`.
        tell: called with each outcome.

    Raises:
        CheckpointError: the checkpoint is absent, incomplete or altered.
        ConfigError: the store cannot be used.
        EncodingError: a worker process died.
    """
    directory = contract.find_checkpoint(config.model)
    settings = contract.read_config(directory)
    rule = Rule.of(settings, checkpoint.open_processor(directory, settings))
    store = EncodingStore.make(config.store, max_bytes=config.max_bytes)
    for outcome in spread(_missing(mentions, store, rule, tell), config):
        tell(outcome)


def in_this_process(tasks: Iterable[Task], config: EncodeConfig) -> Iterator[Outcome]:
    """One after another."""
    return (make(task, config) for task in tasks)


def in_processes(tasks: Iterable[Task], config: EncodeConfig) -> Iterator[Outcome]:
    """In `config.workers` processes."""
    pool = concurrent.futures.ProcessPoolExecutor(
        config.workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin_worker,
        initargs=(config.workers,),
    )
    waiting: deque[concurrent.futures.Future[Outcome]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(make, task, config))
            if len(waiting) > WAITING_PER_WORKER * config.workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenExecutor as error:
        raise EncodingError(
            f"one of {config.workers} worker processes died, perhaps for want of memory; what was encoded is kept, so "
            "run this again with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def make(task: Task, config: EncodeConfig) -> Outcome:
    """Decode, encode and keep one stretch; the encoder is opened by the first call in a process.

    Raises:
        CheckpointError: the encoder is absent or altered.
        ConfigError: the store cannot be written to.
    """
    return _opened(config).make(task)


class _Maker:
    """An open encoder and its store."""

    def __init__(self, config: EncodeConfig) -> None:
        directory = contract.find_checkpoint(config.model)
        settings = contract.read_config(directory)
        (part,) = contract.verify_parts(settings, directory, parts=("audio_encoder",)).values()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._encoder = contract.load_stated_encoder(settings, part).to(device).eval()
        self._processor = checkpoint.open_processor(directory, settings)
        self._rule = Rule.of(settings, self._processor)
        self._store = EncodingStore(config.store, max_bytes=config.max_bytes)

    def make(self, task: Task) -> Outcome:
        evicted = self._store.evicted
        recording = task.mention.audio
        key = key_of(Stretch(content=task.content, start=recording.start, end=recording.end), self._rule)
        try:
            encoding = self._encode(recording, task.content)
            self._store.put(key, encoding, recording=name_of(recording.source))
        except (AudioError, EncodingError) as error:
            return Outcome(error=_placed(task.mention, error))
        return Outcome(
            made=len(encoding.windows),
            seconds=encoding.outline.seconds_heard,
            evicted=self._store.evicted - evicted,
        )

    def _encode(self, recording: Audio, content: str) -> Encoding:
        try:
            heard = self._processor.listen(recording)
        except OSError as error:
            raise _unreadable(recording, error) from error
        if self._store.contents.of(recording.source) != content:
            raise AudioError(f"{name_of(recording.source)} was changed while it was read; run this again")
        states = hearing.encode_windows(self._encoder, heard.waveforms)
        if self._rule.layers == "last":
            states = [window[-1:] for window in states]
        outline = Outline(
            num_samples=tuple(len(waveform) for waveform in heard.waveforms),
            seconds_heard=heard.heard.seconds_heard,
            total_seconds=heard.heard.total_seconds,
        )
        return Encoding(windows=tuple(states), outline=outline)


@functools.lru_cache(maxsize=1)
def _opened(config: EncodeConfig) -> _Maker:
    return _Maker(config)


def _missing(
    mentions: Iterable[Mention | MllmError], store: EncodingStore, rule: Rule, tell: Callable[[Outcome], object]
) -> Iterator[Task]:
    """The distinct stretches that are to be made; the outcomes of all others are told."""
    seen: set[str] = set()
    for mention in mentions:
        if isinstance(mention, MllmError):
            tell(Outcome(error=str(mention)))
            continue
        recording = mention.audio
        content = store.contents.of(recording.source)
        if content is None:
            tell(Outcome(error=_placed(mention, _why_unreadable(recording))))
            continue
        key = key_of(Stretch(content=content, start=recording.start, end=recording.end), rule)
        if key in seen:
            continue
        seen.add(key)
        try:
            outline = store.outline(key)
        except EncodingError as error:
            tell(Outcome(error=_placed(mention, error)))
            continue
        if outline is None:
            yield Task(mention=mention, content=content)
        else:
            tell(Outcome(found=len(outline.num_samples), seconds=outline.seconds_heard))


def _why_unreadable(recording: Audio) -> AudioError:
    try:
        audio.probe(recording.source)
    except AudioError as error:
        return error
    except OSError as error:
        return _unreadable(recording, error)
    return AudioError(f"{name_of(recording.source)} appeared only now; run this again")


def _unreadable(recording: Audio, error: OSError) -> AudioError:
    return AudioError(f"{name_of(recording.source)} cannot be read ({error.strerror}); give the path of a file")


def _placed(mention: Mention, error: MllmError) -> str:
    return f"{mention.place}: {error}" if mention.place else str(error)


def _begin_worker(workers: int) -> None:
    """Leave interrupts to the process that waits for this one, and the processors to the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
