"""A directory that keeps what a frozen encoder makes of recordings, so that it is computed once.

In: stretches of recordings by their content, and the encoder's hidden states. Out: the same as float16, read by memory
map. Knows neither encoders nor how audio is decoded.

One shard is one stretch of one recording: a safetensors file named by the sha256 of all that decides its content, with
a tensor for each window. It is a file of its own because encodings are large (1.5 MB for each second that MERT-v1-95M
hears): nothing is ever rewritten or packed anew, what was used longest ago goes by being deleted, damage costs one
recording, and no index can disagree with what is there. The shards lie in 256 folders, 3,900 to a folder if there are
a million. See `mllm.train.shared_files` for what happens when processes write at once or are killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import safetensors.torch
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mllm.errors import CheckpointError, ConfigError, EncodingError
from mllm.strict_io import read_json
from mllm.train.contents import Contents
from mllm.train.shared_files import SharedFiles, locked, told, write_locked

if TYPE_CHECKING:
    from mllm.configuration import MusicLLMConfig
    from mllm.processing import MusicLLMProcessor

FORMAT_VERSION = 1
"""Counts up when audio is decoded or cut otherwise than before, or shards are written otherwise."""
LARGEST_VALUE = torch.finfo(torch.float16).max
"""Largest magnitude that can be kept (65504)."""
RELATIVE_ERROR = 2.0**-11
"""A kept value x differs from what the encoder computed by at most `RELATIVE_ERROR` * |x| or `ABSOLUTE_ERROR`,
whichever is more: half a unit in the last place of float16."""
ABSOLUTE_ERROR = 2.0**-25
KEPT_SHARE = 0.9
"""Where a store has no room, so much of its bound stays: not every new shard then looks at all others."""
_MARK_NAME = "store.json"
_TOTAL_NAME = "total.json"
_RECORD_KEY = "encoding"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stretch:
    """A stretch of a recording, whatever its name."""

    content: str
    """Sha256 of the recording's bytes."""
    start: float | None
    """Where it begins, in seconds; None is the beginning."""
    end: float | None
    """Where it ends, in seconds; None is the end."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """How recordings are heard: all that decides an encoding beside the recording."""

    encoder_sha256: str
    """Of the frozen encoder's files."""
    sample_rate_hz: int
    window_seconds: float
    """Longest window."""
    max_windows: int
    """Most windows of one stretch; of a longer one they are spread evenly."""
    layers: Literal["all", "last"]
    """Which hidden states are kept: all where a mix of them is learnt."""

    @classmethod
    def of(cls, config: MusicLLMConfig, processor: MusicLLMProcessor) -> Self:
        """The rule of a checkpoint; needs no weights.

        Raises:
            CheckpointError: the configuration does not describe the frozen encoder.
        """
        if "audio_encoder" not in config.frozen:
            raise CheckpointError("the model does not say which audio_encoder it has; open it from a checkpoint")
        return cls(
            encoder_sha256=config.frozen["audio_encoder"]["sha256"],
            sample_rate_hz=processor.sample_rate_hz,
            window_seconds=float(processor.window_seconds),
            max_windows=processor.max_windows,
            layers="all" if config.layer_mix else "last",
        )


def key_of(stretch: Stretch, rule: Rule) -> str:
    """The name of a shard: equal exactly where the encodings must be equal."""
    start, end = float(stretch.start or 0.0), None if stretch.end is None else float(stretch.end)
    told_whole = [FORMAT_VERSION, stretch.content, start, end, dataclasses.asdict(rule)]
    return hashlib.sha256(json.dumps(told_whole, sort_keys=True).encode()).hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outline:
    """What a prompt needs to know of a stretch."""

    num_samples: tuple[int, ...]
    """Of each window, at the rule's rate."""
    seconds_heard: float
    """What the windows cover, overlaps counted once."""
    total_seconds: float
    """Length of the whole recording."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Encoding:
    """What the encoder makes of a stretch."""

    windows: tuple[Float[Tensor, "layers frames width"], ...]
    """In order; `layers` is 1 where only the last one is kept."""
    outline: Outline


class EncodingStore:
    """A store that is there; `make` makes one.

    Args:
        directory: of the store.
        max_bytes: shards held at most, in bytes; the one that was used longest ago goes first. None: no bound. It holds
            for what this object writes; beside it lies at most one half-written shard a process.

    Raises:
        ConfigError: there is no store, or it is of another format.
    """

    def __init__(self, directory: str | Path, *, max_bytes: int | None = None) -> None:
        self.directory = Path(directory)
        self.max_bytes = max_bytes
        self.contents = Contents(self.directory / "contents")
        self.evicted = 0
        """Shards that this object deleted to make room."""
        self._shards = SharedFiles(self.directory / "shards", ".safetensors")
        self._checked: set[bytes] = set()
        if not (self.directory / _MARK_NAME).is_file():
            raise ConfigError(
                f"{self.directory} is no store of encodings (it has no {_MARK_NAME}); make one: "
                "mllm data encode DATA.jsonl --store DIR"
            )
        try:
            found = read_json(self.directory / _MARK_NAME).get("format")
        except CheckpointError as error:
            raise ConfigError(f"{self.directory / _MARK_NAME} is damaged; give another --store") from error
        if found != FORMAT_VERSION:
            raise ConfigError(
                f"the store {self.directory} has format {found!r}; expected {FORMAT_VERSION}; encode into another one"
            )

    @classmethod
    def make(cls, directory: str | Path, *, max_bytes: int | None = None) -> Self:
        """Open a store for writing; it is made where there is none, and rid of what killed processes left.

        Raises:
            ConfigError: the place is taken by something else or cannot be written to, or the store has another format.
        """
        directory = Path(directory)
        mark = directory / _MARK_NAME
        with told(directory):
            if not mark.is_file():
                if directory.exists() and not directory.is_dir():
                    raise ConfigError(f"{directory} is a file; give the directory of a store, or a new one")
                directory.mkdir(parents=True, exist_ok=True)
                if any(not path.name.startswith(".") for path in directory.iterdir()) and not mark.is_file():
                    raise ConfigError(
                        f"{directory} holds something that is no store; give an absent or empty directory"
                    )
                with locked(directory):
                    write_locked(mark, json.dumps({"format": FORMAT_VERSION}).encode())
        store = cls(directory, max_bytes=max_bytes)
        store.clean()
        store.measure()
        return store

    def outline(self, key: str) -> Outline | None:
        """What a prompt needs to know of an encoding; None where it is not there.

        Raises:
            EncodingError: its shard is damaged.
        """
        with self._shard(key) as shard:
            return None if shard is None else _outline(_record(shard, key))

    def read(self, key: str) -> Encoding | None:
        """An encoding, mapped from its shard; None where it is not there.

        The values are compared with their checksums when a key is read first. What was read stays valid if the shard is
        deleted, as by making room for another.

        Raises:
            EncodingError: its shard is damaged.
        """
        with self._shard(key) as shard:
            if shard is None:
                return None
            record = _record(shard, key)
            windows = tuple(shard.get_tensor(str(i)) for i in range(len(record["num_samples"])))
            if bytes.fromhex(key) not in self._checked:
                for window, expected in zip(windows, record["checksums"], strict=True):
                    if _checksum(window) != expected:
                        raise ValueError("its values are not those that were written")
                self._checked.add(bytes.fromhex(key))
            return Encoding(windows=windows, outline=_outline(record))

    def put(self, key: str, encoding: Encoding, *, recording: str) -> bool:
        """Keep an encoding.

        Args:
            key: from `key_of`.
            encoding: its windows in any floating-point type; kept as float16, see `RELATIVE_ERROR`.
            recording: what a message calls it.

        Returns:
            Whether it was written: not if another process was first.

        Raises:
            EncodingError: a value is not a number or larger than `LARGEST_VALUE`, or there can never be room for it.
            ConfigError: the store cannot be written to.
        """
        windows = _halved(encoding.windows, recording)
        record = {
            "key": key,
            **dataclasses.asdict(encoding.outline),
            "checksums": [_checksum(window) for window in windows],
        }
        tensors = {str(i): window for i, window in enumerate(windows)}
        content = safetensors.torch.save(tensors, metadata={_RECORD_KEY: json.dumps(record)})
        if self.max_bytes is not None and len(content) > self.max_bytes:
            raise EncodingError(
                f"{recording} takes {len(content) / 2**20:.1f} MiB, more than the whole store may hold "
                f"({self.max_bytes / 2**20:.1f} MiB); give it more room (--max-gib)"
            )
        return self._shards.write(key, content, replace=False, placing=self._room_for(len(content)))

    def clean(self) -> None:
        """Remove what processes left that were killed while they wrote.

        Raises:
            ConfigError: the store cannot be written to.
        """
        self.contents.clean()
        self._shards.clean()

    def measure(self) -> int:
        """Bytes of all shards, counted anew and brought within the bound.

        Raises:
            ConfigError: the store cannot be written to.
        """
        with told(self.directory), locked(self.directory):
            total = self._make_room(0)
            self._write_total(total)
        return total

    @contextlib.contextmanager
    def _shard(self, key: str) -> Iterator[Any]:
        """The open shard of a key, now the one used last; None where there is none."""
        path = self._shards.path(key)
        with contextlib.ExitStack() as stack:
            try:
                shard = stack.enter_context(safe_open(path, framework="pt"))
            except FileNotFoundError:
                yield None
                return
            except (SafetensorError, OSError) as error:
                raise _damaged(path, error) from error
            with contextlib.suppress(OSError):  # a store that may only be read
                os.utime(path)
            try:
                yield shard
            except (SafetensorError, ValueError, KeyError, TypeError) as error:
                raise _damaged(path, error) from error

    @contextlib.contextmanager
    def _room_for(self, num_bytes: int) -> Iterator[None]:
        """Count a new shard before it appears: a process that is killed here leaves a total too high, never too low."""
        with locked(self.directory):
            total = self._read_total()
            if total is None or (self.max_bytes is not None and total + num_bytes > self.max_bytes):
                total = self._make_room(num_bytes)
            self._write_total(total + num_bytes)
            yield

    def _make_room(self, num_bytes: int) -> int:
        """Delete what was used longest ago until there is room; the bytes that are left. The lock must be held."""
        found = sorted(self._used())
        total = sum(size for _, _, size in found)
        if self.max_bytes is None or total + num_bytes <= self.max_bytes:
            return total
        for _, path, size in found:
            if total + num_bytes <= self.max_bytes * KEPT_SHARE:
                break
            Path(path).unlink(missing_ok=True)
            self.evicted += 1
            total -= size
        return total

    def _used(self) -> Iterator[tuple[int, str, int]]:
        """When each shard was used last (nanoseconds), its path and its bytes."""
        for entry in self._shards.entries():
            with contextlib.suppress(FileNotFoundError):  # somebody deletes shards by hand
                status = entry.stat()
                yield status.st_mtime_ns, entry.path, status.st_size

    def _read_total(self) -> int | None:
        try:
            total = json.loads((self.directory / _TOTAL_NAME).read_bytes())["bytes"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return total if isinstance(total, int) else None

    def _write_total(self, total: int) -> None:
        write_locked(self.directory / _TOTAL_NAME, json.dumps({"bytes": total}).encode())


def _halved(windows: Sequence[Tensor], recording: str) -> list[Tensor]:
    """The windows as float16 on the CPU."""
    halved = []
    for number, window in enumerate(windows, start=1):
        half = window.detach().to("cpu", torch.float16).contiguous()
        if not bool(half.isfinite().all()):
            largest = float(window.detach().abs().max())
            found = "a value that is not a number" if math.isnan(largest) else f"a value of {largest:.3g}"
            raise EncodingError(
                f"the encoder makes {found} of window {number} of {recording}; float16 holds up to "
                f"{LARGEST_VALUE:g}, so leave this recording out"
            )
        halved.append(half)
    return halved


def _checksum(window: Tensor) -> int:
    values: Any = window.numpy()  # a buffer, which numpy's types do not say
    return zlib.crc32(values)


def _record(shard: Any, key: str) -> dict[str, Any]:
    """What is written in a shard beside the values."""
    record = json.loads(shard.metadata()[_RECORD_KEY])
    if record["key"] != key:
        raise ValueError("it is the shard of another recording")
    return dict(record)


def _outline(record: Mapping[str, Any]) -> Outline:
    return Outline(
        num_samples=tuple(record["num_samples"]),
        seconds_heard=record["seconds_heard"],
        total_seconds=record["total_seconds"],
    )


def _damaged(path: Path, error: Exception) -> EncodingError:
    return EncodingError(f"{path} is damaged ({error}); delete it and run mllm data encode again, which makes it anew")
