"""Measures recordings for the checks: levels, channels, a hash of the bytes, and a fingerprint of the sound.

In: paths. Out: a `Measured` for each, decoded as `mllm.audio` hears it, in several processes if wanted. A file that
cannot be heard is measured as its error; one that brings its process down, too. Knows nothing of what is good or bad.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from mllm import audio, decode
from mllm.errors import AudioError
from mllm.instruct_data import fingerprint

FULL_SCALE = 0.999
"""From this magnitude on a sample stands at full scale."""
LONGEST_FINGERPRINT_SECONDS = 600.0
"""Of a longer recording the beginning is compared."""
_BLOCK_FRAMES = 65_536
_WAITING_PER_WORKER = 4


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What was measured of a recording; with an `error`, nothing but it."""

    error: str = ""
    """Why it cannot be heard, in a sentence."""
    missing: bool = False
    """Whether there is no such file."""
    seconds: float = 0.0
    sample_rate_hz: int = 0
    peak: float = 0.0
    clipped: float = 0.0
    """Share of samples at full scale, of the channel that has most of them."""
    offset: float = 0.0
    """Mean of all samples, of the channel where it is farthest from 0."""
    channel_peaks: tuple[float, ...] = ()
    digest: str = ""
    """Of the bytes of the file."""
    words: npt.NDArray[np.uint32] = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint32))
    """As `fingerprint.words` gives them."""


def measure(path: Path) -> Measured:
    """Measure one recording."""
    if not path.exists():
        return Measured(error=f"{path} does not exist", missing=True)
    try:
        reader = decode.open_audio(path)
        levels = _levels(path, reader)
        seconds = levels.frames / reader.sample_rate_hz
        words = fingerprint.words(np.zeros(0, np.float32))
        if seconds >= audio.MINIMUM_SECONDS:
            heard = audio.load(
                path, sample_rate_hz=fingerprint.RATE_HZ, end=LONGEST_FINGERPRINT_SECONDS, require_sound=False
            )
            words = fingerprint.words(heard.samples)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except AudioError as error:
        return Measured(error=str(error))
    except OSError as error:
        return Measured(error=f"{path} cannot be read ({error.strerror})")
    return Measured(
        seconds=seconds,
        sample_rate_hz=reader.sample_rate_hz,
        peak=float(levels.peaks.max()),
        clipped=float(levels.full.max() / levels.frames),
        offset=float(np.abs(levels.sums / levels.frames).max()),
        channel_peaks=tuple(float(peak) for peak in levels.peaks),
        digest=digest,
        words=words,
    )


def measure_all(folder: Path, paths: Sequence[str], *, workers: int) -> Iterator[tuple[str, Measured]]:
    """Measure recordings in order.

    Args:
        folder: where the paths begin.
        paths: of recordings.
        workers: processes; with one, everything happens in this process.
    """
    if workers == 1 or len(paths) < 2:
        yield from ((path, measure(folder / path)) for path in paths)
        return
    waiting = deque(paths)
    while waiting:
        for path, measured in _until_a_process_dies(folder, tuple(waiting), workers):
            yield path, measured
            waiting.popleft()
        if waiting:
            yield waiting[0], _alone(folder / waiting.popleft())


def _until_a_process_dies(folder: Path, paths: Sequence[str], workers: int) -> Iterator[tuple[str, Measured]]:
    pool = _pool(workers)
    under_way: deque[tuple[str, Future[Measured]]] = deque()
    try:
        for path in paths:
            under_way.append((path, pool.submit(measure, folder / path)))
            if len(under_way) > _WAITING_PER_WORKER * workers:
                name, future = under_way.popleft()
                yield name, future.result()
        while under_way:
            name, future = under_way.popleft()
            yield name, future.result()
    except BrokenExecutor:
        return
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(path: Path) -> Measured:
    """Measure in a process of its own a recording that may have brought one down."""
    with _pool(1) as pool:
        try:
            return pool.submit(measure, path).result()
        except BrokenExecutor:
            return Measured(error=f"{path} brings down the process that decodes it, or memory is full")


def _pool(workers: int) -> ProcessPoolExecutor:
    return concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


class _Levels:
    """Peaks, sums and samples at full scale of each channel."""

    def __init__(self, channels: int) -> None:
        self.frames = 0
        self.peaks = np.zeros(channels)
        self.sums = np.zeros(channels)
        self.full = np.zeros(channels)

    def add(self, block: npt.NDArray[np.float32]) -> None:
        """Count samples in, (frames, channels)."""
        magnitudes = np.abs(block)
        self.frames += len(block)
        self.peaks = np.maximum(self.peaks, magnitudes.max(axis=0))
        self.sums += block.sum(axis=0, dtype=np.float64)
        self.full += (magnitudes >= FULL_SCALE).sum(axis=0)


def _levels(path: Path, reader: decode.Reader) -> _Levels:
    """Levels of each channel where libsndfile opens the file, of the mono sound where it does not, and of mp3.

    Raises:
        AudioError: there is no sound in it.
    """
    try:
        with soundfile.SoundFile(path) as file:
            levels = _Levels(file.channels)
            if file.format != "MP3":  # its decoder prints on standard error
                for block in file.blocks(_BLOCK_FRAMES, dtype="float32", always_2d=True):
                    levels.add(block)
    except (soundfile.LibsndfileError, TypeError):  # TypeError: headerless formats, known by a suffix such as .raw
        levels = _Levels(1)
    if not levels.frames:
        levels = _Levels(1)
        for samples in reader.blocks(0, None):
            levels.add(samples[:, np.newaxis])
    if not levels.frames:
        raise AudioError(f"{path} holds no sound that can be decoded; get it again")
    return levels
