"""Decodes recordings in worker processes, so that no file can take down the process that asks.

In: audio parts of messages. Out: their windows, as `MusicLLMProcessor.listen` gives them. A worker that takes too
long, or dies of a recording twice, fails that recording; it is replaced. Knows how a worker is spoken to, not how audio
is decoded.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

import mllm
from mllm.errors import AudioError, AudioLimitError
from mllm.messages import Audio
from mllm.processing import Heard, MusicLLMProcessor, Recording
from mllm.serve import decode_worker
from mllm.serve_settings import ServeSettings
from mllm.sounds import identity_of

REMEMBERED = 10_000
"""Recordings of which it is known how much was heard."""
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV")
"""Of the environment; keys and passwords of the server are none of a decoder's business."""


class DecodePool:
    """Worker processes that decode, and the memory of how much of each recording was heard.

    Args:
        processor: whose rate, windows and number of windows are wanted.
        settings: the limits.
    """

    def __init__(self, processor: MusicLLMProcessor, settings: ServeSettings) -> None:
        self._job = {
            "sample_rate_hz": processor.sample_rate_hz,
            "window_seconds": processor.window_seconds,
            "max_windows": processor.max_windows,
            "max_seconds": settings.max_audio_minutes * 60.0,
            "max_channels": settings.max_channels,
        }
        self._seconds = settings.decode_seconds
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers = [_Worker() for _ in range(settings.decode_workers)]
        for worker in self._workers:
            self._free.put(worker)
        self._threads = ThreadPoolExecutor(settings.decode_workers, thread_name_prefix="decode")
        self._heard: OrderedDict[tuple[object, ...], Heard] = OrderedDict()
        self._lock = threading.Lock()

    def hear(self, audio: Audio) -> Recording:
        """Decode one recording; waits for a free worker.

        Raises:
            AudioError: it cannot be heard, or its worker died of it.
            AudioLimitError: it is longer than allowed, or takes longer to decode.
        """
        worker = self._free.get()
        try:
            header, samples = worker.ask({**self._job, "start": audio.start, "end": audio.end}, audio, self._seconds)
        finally:
            self._free.put(worker)
        if "error" in header:
            raise decode_worker.ERRORS[header["error"]](header["message"])
        ends = np.cumsum(header["lengths"])
        windows = np.split(np.frombuffer(samples, np.float32).copy(), ends[:-1])
        heard = Heard(seconds_heard=header["seconds_heard"], total_seconds=header["total_seconds"])
        self._remember(audio, heard)
        return Recording(waveforms=tuple(torch.from_numpy(window) for window in windows), heard=heard)

    async def hear_async(self, audio: Audio) -> Recording:
        """As `hear`, beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.hear, audio)

    def heard_before(self, audio: Audio) -> Heard | None:
        """How much of a recording was heard, if it was decoded before."""
        key = _key(audio)
        with self._lock:
            return None if key is None else self._heard.get(key)

    def close(self) -> None:
        """End the workers."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.stop()

    @property
    def process_ids(self) -> list[int]:
        """Of the workers that run now."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    def _remember(self, audio: Audio, heard: Heard) -> None:
        key = _key(audio)
        if key is None:
            return
        with self._lock:
            self._heard[key] = heard
            self._heard.move_to_end(key)
            while len(self._heard) > REMEMBERED:
                self._heard.popitem(last=False)


class _Worker:
    """One process, started when it is needed."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, job: dict[str, Any], audio: Audio, seconds: float) -> tuple[dict[str, Any], bytes]:
        """Have a recording decoded within `seconds`, the start of a process not counted.

        A process that dies may have died of something else; the recording is then tried once more.
        """
        path, body = (str(audio.source), b"") if isinstance(audio.source, Path) else (None, audio.source)
        for is_last in (False, True):
            process, answers = self._running()
            late = threading.Event()
            timer = threading.Timer(seconds, _end_late, (process, late))
            timer.start()
            try:
                assert process.stdin is not None
                decode_worker.send(process.stdin, {**job, "path": path}, body)
                return decode_worker.receive(answers)
            except (EOFError, OSError) as error:
                self.stop()
                if late.is_set():
                    raise AudioLimitError(
                        f"the given audio was not decoded within {seconds:g} s; send a shorter piece of it"
                    ) from error
                if is_last:
                    raise AudioError(
                        "the decoder broke down on the given audio; it is damaged, so convert it anew from its source"
                    ) from error
            finally:
                timer.cancel()
        raise AssertionError("the last try returns or raises")

    def stop(self) -> None:
        """End the process; the next recording starts another."""
        process, self.process = self.process, None
        if process is not None:
            _end(process)

    def _running(self) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
        if self.process is not None and self.process.poll() is not None:
            self.stop()
        if self.process is None:
            self.process = _start()
        assert self.process.stdout is not None
        return self.process, self.process.stdout


def _start() -> subprocess.Popen[bytes]:
    """A process that is ready for work."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    place = str(Path(mllm.__file__).parents[1])
    process = subprocess.Popen(  # noqa: S603 (words of our own)
        [sys.executable, "-P", "-m", decode_worker.__name__],
        env={**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": place},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        decode_worker.receive(process.stdout)  # it says that it is there
    except EOFError as error:
        _end(process)
        raise ChildProcessError("a process that decodes cannot be started") from error
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what was still to be written has no reader
            if pipe is not None:
                pipe.close()


def _end_late(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _key(audio: Audio) -> tuple[object, ...] | None:
    identity = identity_of(audio)
    return None if identity is None else (*identity, audio.start, audio.end)
