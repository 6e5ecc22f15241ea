"""The store of encoder outputs: what comes back, who may write at once, what a killed one leaves, what goes first."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mllm.errors import ConfigError, EncodingError
from mllm.train import encoding_store
from mllm.train.encoding_store import (
    ABSOLUTE_ERROR,
    LARGEST_VALUE,
    RELATIVE_ERROR,
    Encoding,
    EncodingStore,
    Outline,
    Rule,
    Stretch,
    key_of,
)
from mllm.train.shared_files import HALF_SUFFIX, locked

ROOT = Path(__file__).resolve().parents[1]
RULE = Rule(encoder_sha256="e" * 64, sample_rate_hz=24_000, window_seconds=5.0, max_windows=3, layers="all")
STRETCH = Stretch(content="c" * 64, start=None, end=None)


def key(number: int) -> str:
    return key_of(dataclasses.replace(STRETCH, content=f"{number:064x}"), RULE)


def encoding(seed: int = 0, *, scale: float = 1.0, windows: int = 2) -> Encoding:
    generator = torch.Generator().manual_seed(seed)
    states = tuple(scale * torch.randn(3, 7, 11, generator=generator) for _ in range(windows))
    outline = Outline(num_samples=(120_000,) * windows, seconds_heard=9.5, total_seconds=30.25)
    return Encoding(windows=states, outline=outline)


def shards(store: EncodingStore) -> list[Path]:
    return sorted((store.directory / "shards").rglob("*.safetensors"))


def halves(store: EncodingStore) -> list[Path]:
    return sorted(store.directory.rglob(f"*{HALF_SUFFIX}"))


@pytest.fixture
def store(tmp_path: Path) -> EncodingStore:
    return EncodingStore.make(tmp_path / "store")


def read(store: EncodingStore, name: str) -> Encoding:
    found = store.read(name)
    assert found is not None
    return found


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-3, 1.0, 1e3])
def test_what_is_kept_comes_back_within_the_stated_bound(store: EncodingStore, scale: float) -> None:
    kept = encoding(scale=scale)
    assert store.put(key(1), kept, recording="a.wav")
    found = read(EncodingStore(store.directory), key(1))
    assert found.outline == kept.outline
    assert len(found.windows) == 2
    for given, window in zip(kept.windows, found.windows, strict=True):
        assert window.dtype == torch.float16
        error = (window.double() - given.double()).abs()
        assert bool((error <= torch.clamp(RELATIVE_ERROR * given.double().abs(), min=ABSOLUTE_ERROR)).all())


def test_float16_comes_back_bit_for_bit_and_is_mapped(store: EncodingStore) -> None:
    kept = encoding()
    halved = dataclasses.replace(kept, windows=tuple(window.half() for window in kept.windows))
    store.put(key(1), halved, recording="a.wav")
    found = read(store, key(1))
    assert all(map(torch.equal, found.windows, halved.windows))
    if Path("/proc/self/maps").exists():
        assert str(shards(store)[0]) in Path("/proc/self/maps").read_text()


def test_the_outline_is_read_without_values(store: EncodingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(key(1), encoding(), recording="a.wav")
    monkeypatch.setattr(encoding_store, "_checksum", lambda window: pytest.fail("values were read"))
    assert store.outline(key(1)) == encoding().outline


def test_what_is_not_there_is_none(store: EncodingStore) -> None:
    assert store.read(key(1)) is None
    assert store.outline(key(1)) is None


@pytest.mark.parametrize(
    "different",
    [
        {"content": "d" * 64},
        {"start": 1.0},
        {"end": 1.0},
        {"encoder_sha256": "f" * 64},
        {"sample_rate_hz": 16_000},
        {"window_seconds": 6.0},
        {"max_windows": 4},
        {"layers": "last"},
    ],
    ids=lambda different: next(iter(different)),
)
def test_whatever_decides_an_encoding_decides_its_key(different: dict[str, Any]) -> None:
    of_stretch = {name: value for name, value in different.items() if hasattr(STRETCH, name)}
    of_rule = {name: value for name, value in different.items() if hasattr(RULE, name)}
    assert len(of_stretch) + len(of_rule) == 1
    changed = key_of(dataclasses.replace(STRETCH, **of_stretch), dataclasses.replace(RULE, **of_rule))
    assert changed != key_of(STRETCH, RULE)


def test_a_new_format_has_new_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key_of(STRETCH, RULE)
    monkeypatch.setattr(encoding_store, "FORMAT_VERSION", 2)
    assert key_of(STRETCH, RULE) != before


def test_the_beginning_is_the_beginning() -> None:
    for start in (None, 0, 0.0):
        assert key_of(dataclasses.replace(STRETCH, start=start), RULE) == key_of(STRETCH, RULE)
    assert key_of(dataclasses.replace(STRETCH, end=5), RULE) == key_of(dataclasses.replace(STRETCH, end=5.0), RULE)


@pytest.mark.parametrize(
    ("value", "said"), [(7e4, "a value of 7e"), (float("inf"), "a value of inf"), (float("nan"), "not a number")]
)
def test_what_float16_cannot_hold_is_an_error(store: EncodingStore, value: float, said: str) -> None:
    kept = encoding()
    kept.windows[1][2, 3, 4] = value
    with pytest.raises(EncodingError, match=rf"{said}.* of window 2 of loud\.wav; float16 holds up to 65504"):
        store.put(key(1), kept, recording="loud.wav")
    assert shards(store) == []
    kept.windows[1][2, 3, 4] = LARGEST_VALUE
    assert store.put(key(1), kept, recording="loud.wav")
    assert float(read(store, key(1)).windows[1].max()) == LARGEST_VALUE


def test_the_second_of_two_writers_changes_nothing(store: EncodingStore) -> None:
    other = EncodingStore.make(store.directory)
    assert store.put(key(1), encoding(1), recording="a.wav")
    assert not other.put(key(1), encoding(2), recording="a.wav")
    assert torch.equal(read(other, key(1)).windows[0], encoding(1).windows[0].half())
    assert other.measure() == shards(store)[0].stat().st_size


@pytest.mark.parametrize("damage", ["cut short", "emptied", "overwritten", "one value", "another's"])
def test_damage_is_told_and_mended_by_deleting(store: EncodingStore, damage: str) -> None:
    store.put(key(1), encoding(1), recording="a.wav")
    store.put(key(2), encoding(2), recording="b.wav")
    path = store._shards.path(key(1))
    content = path.read_bytes()
    damaged = {
        "cut short": content[:-40],
        "emptied": b"",
        "overwritten": b"\xff" * len(content),
        "one value": content[:-40] + bytes([content[-40] ^ 1]) + content[-39:],
        "another's": store._shards.path(key(2)).read_bytes(),
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(EncodingError) as told:
        EncodingStore(store.directory).read(key(1))
    assert str(path) in str(told.value)
    assert "delete it and run mllm data encode again" in str(told.value)
    assert len(read(store, key(2)).windows) == 2
    path.unlink()
    assert store.put(key(1), encoding(1), recording="a.wav")
    assert len(read(EncodingStore(store.directory), key(1)).windows) == 2


def shard_bytes(store: EncodingStore) -> int:
    store.put(key(0), encoding(), recording="0")
    (path,) = shards(store)
    size = path.stat().st_size
    path.unlink()
    store.measure()
    return size


def test_what_was_used_longest_ago_goes_first(store: EncodingStore) -> None:
    size = shard_bytes(store)
    bounded = EncodingStore.make(store.directory, max_bytes=5 * size)
    for number in range(5):
        bounded.put(key(number), encoding(number), recording=str(number))
        os.utime(bounded._shards.path(key(number)), (1000 + number, 1000 + number))
    assert bounded.evicted == 0
    held = read(bounded, key(1))  # and is used now
    assert bounded.outline(key(0)) is not None  # and this one
    mapped = read(EncodingStore(store.directory), key(2)).windows
    os.utime(bounded._shards.path(key(2)), (1002, 1002))
    bounded.put(key(9), encoding(9), recording="9")
    there = [number for number in (0, 1, 2, 3, 4, 9) if bounded.outline(key(number)) is not None]
    assert there == [0, 1, 4, 9]  # room for one more, to nine tenths of the bound
    assert bounded.evicted == 2
    assert torch.equal(mapped[0], encoding(2).windows[0].half())  # what a reader has, it keeps
    assert torch.equal(held.windows[0], encoding(1).windows[0].half())


def test_the_bound_holds_after_every_write(store: EncodingStore) -> None:
    size = shard_bytes(store)
    bound = 7 * size // 2
    first, second = (EncodingStore.make(store.directory, max_bytes=bound) for _ in range(2))
    for number in range(12):
        (first, second)[number % 2].put(key(number), encoding(number), recording=str(number))
        assert sum(path.stat().st_size for path in shards(store)) <= bound
        assert first.outline(key(number)) is not None
    assert first.evicted + second.evicted + len(shards(store)) == 12


def test_a_smaller_bound_is_brought_about(store: EncodingStore) -> None:
    for number in range(6):
        store.put(key(number), encoding(number), recording=str(number))
    size = shards(store)[0].stat().st_size
    assert EncodingStore.make(store.directory, max_bytes=3 * size).measure() <= 3 * size


def test_a_lost_or_wrong_total_is_counted_anew(store: EncodingStore) -> None:
    size = shard_bytes(store)
    bounded = EncodingStore.make(store.directory, max_bytes=3 * size)
    for total in ("", "{", '{"bytes": "many"}', '{"bytes": 1e99}'):
        (store.directory / "total.json").write_text(total)
        bounded.put(key(len(total)), encoding(), recording="a")
        assert sum(path.stat().st_size for path in shards(store)) <= 3 * size


def test_what_never_fits_is_an_error(store: EncodingStore) -> None:
    bounded = EncodingStore.make(store.directory, max_bytes=100)
    with pytest.raises(EncodingError, match=r"long\.wav takes .* MiB, more than the whole store may hold"):
        bounded.put(key(1), encoding(), recording="long.wav")


def test_same_content_under_two_names(store: EncodingStore, tmp_path: Path) -> None:
    one, two, other = tmp_path / "one.wav", tmp_path / "two.wav", tmp_path / "other.wav"
    one.write_bytes(b"sound")
    two.write_bytes(b"sound")
    other.write_bytes(b"another")
    content = store.contents.of(one)
    assert content == store.contents.of(two) == store.contents.of(b"sound")
    assert content != store.contents.of(other)
    assert store.contents.of(tmp_path / "missing.wav") is None
    assert store.contents.of(tmp_path) is None


def test_content_is_known_without_reading_and_after_the_file_is_gone(
    store: EncodingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.wav"
    path.write_bytes(b"sound")
    content = store.contents.of(path)
    again = EncodingStore(store.directory).contents
    with monkeypatch.context() as patch:
        patch.setattr("mllm.train.contents._hash", lambda path: pytest.fail("the file was read again"))
        assert again.of(path) == content
    path.write_bytes(b"other")
    os.utime(path, (1, 1))
    assert again.of(path) == store.contents.of(b"other")
    path.unlink()
    assert again.of(path) == store.contents.of(b"other")


def test_a_damaged_record_of_content_is_made_anew(store: EncodingStore, tmp_path: Path) -> None:
    path = tmp_path / "one.wav"
    path.write_bytes(b"sound")
    content = store.contents.of(path)
    (record,) = (store.directory / "contents").rglob("*.json")
    for damaged in (b"", b"[1]", b'{"sha256": 3}'):
        record.write_bytes(damaged)
        assert store.contents.of(path) == content


def test_places_that_are_no_store(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing is no store of encodings .* mllm data encode"):
        EncodingStore(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="file is a file; give the directory of a store"):
        EncodingStore.make(tmp_path / "file")
    with pytest.raises(ConfigError, match="holds something that is no store"):
        EncodingStore.make(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    with pytest.raises(ConfigError, match=r"cannot be written \(Not a directory\); give a folder"):
        EncodingStore.make(tmp_path / "file" / "store")


@pytest.mark.parametrize(("mark", "said"), [('{"format": 7}', "has format 7; expected 1"), ("{", "is damaged")])
def test_stores_of_another_format(store: EncodingStore, mark: str, said: str) -> None:
    (store.directory / "store.json").write_text(mark)
    with pytest.raises(ConfigError, match=said):
        EncodingStore(store.directory)


def test_a_full_disk_is_told_and_leaves_nothing(store: EncodingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"cannot be written \(No space left on device\); give a folder"):
        store.put(key(1), encoding(), recording="a.wav")
    assert shards(store) == halves(store) == []


def test_what_killed_processes_left_is_removed(store: EncodingStore) -> None:
    store.put(key(1), encoding(), recording="a.wav")
    folder = shards(store)[0].parent
    (folder / f"stale{HALF_SUFFIX}").write_bytes(b"x")
    store.contents.of(ROOT / "README.md")
    (record,) = (store.directory / "contents").rglob("*.json")
    (record.parent / f"stale{HALF_SUFFIX}").write_bytes(b"x")
    EncodingStore.make(store.directory)
    assert halves(store) == []
    assert len(shards(store)) == 1


WRITER = """
import sys, time, torch
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.test_encoding_store import encoding, key
from mllm.train.encoding_store import EncodingStore
store = EncodingStore.make(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
made = 0
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    made += store.put(key(number), encoding(number), recording=str(number))
    print(number, flush=True)
print("made", made, flush=True)
"""


def writer(store: EncodingStore, first: int, stop: int) -> subprocess.Popen[str]:
    """A process that writes the encodings `first` to `stop` once it is given a line."""
    code = WRITER.format(root=str(ROOT))
    words = [sys.executable, "-c", code, str(store.directory), str(first), str(stop)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def lines(process: subprocess.Popen[str]) -> list[str]:
    """All that it still prints."""
    out, _ = process.communicate(timeout=120)
    return out.splitlines()


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == line


def same(found: Encoding | None, number: int) -> bool:
    halved: list[Tensor] = [window.half() for window in encoding(number).windows]
    return found is not None and all(map(torch.equal, found.windows, halved))


def test_two_processes_at_once(store: EncodingStore) -> None:
    writers = [writer(store, first, stop) for first, stop in ((0, 40), (20, 60))]
    for process in writers:
        wait_for(process, "ready")
    for process in writers:
        begin(process)
    made = [int(lines(process)[-1].split()[1]) for process in writers]
    assert [process.returncode for process in writers] == [0, 0]
    assert sum(made) == 60  # none twice, none lost
    assert all(same(store.read(key(number)), number) for number in range(60))
    assert halves(store) == []
    size = sum(path.stat().st_size for path in shards(store))
    assert store._read_total() == store.measure() == size


def test_a_process_is_killed_while_it_writes(store: EncodingStore) -> None:
    process = writer(store, 0, 1_000_000)
    wait_for(process, "ready")
    begin(process)
    assert process.stdout is not None
    while process.stdout.readline().strip() != "5":
        pass
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    told = lines(process)
    assert process.returncode == -signal.SIGKILL
    written = [int(line) for line in told if line.isdecimal()]
    complete = range(max([5, *written]) + 1)
    again = EncodingStore.make(store.directory)
    assert all(same(again.read(key(number)), number) for number in complete)
    assert halves(again) == []
    assert again.put(key(1_000_001), encoding(3), recording="a.wav")
    size = sum(path.stat().st_size for path in shards(store))
    assert again._read_total() == size


def test_a_process_is_killed_before_a_shard_has_its_place(store: EncodingStore) -> None:
    """Killed with a whole half file, and the bytes counted: nothing is read of it, and the next writer removes it."""
    code = (
        "import os, pathlib, signal, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.test_encoding_store import encoding, key\n"
        "from mllm.train.encoding_store import EncodingStore\n"
        "store = EncodingStore.make(pathlib.Path(sys.argv[1]))\n"
        "pathlib.Path.replace_ = pathlib.Path.replace\n"
        "def replace(self, target):\n"
        "    if self.name.startswith(key(1)):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return self.replace_(target)\n"
        "pathlib.Path.replace = replace\n"
        "store.put(key(1), encoding(1), recording='a.wav')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(store.directory)], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert len(halves(store)) == 1
    assert store.read(key(1)) is None
    total = store._read_total()
    assert total is not None
    assert total > 0  # counted ahead: too much, never too little
    assert store.put(key(1), encoding(1), recording="a.wav")
    assert same(store.read(key(1)), 1)
    assert halves(store) == []
    assert store.measure() == shards(store)[0].stat().st_size


def test_a_lock_that_is_never_freed_is_told(store: EncodingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mllm.train.shared_files._PATIENCE_SECONDS", 0.1)
    with locked(store.directory), pytest.raises(ConfigError, match=r"another process has held .*\.lock for"):
        store.put(key(1), encoding(), recording="a.wav")
    assert halves(store) == []
