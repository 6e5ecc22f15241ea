"""Sound fonts of the SF2 format: waves are laid out as a file, and a file is asked for its presets.

In: waves with their keys, loops and envelopes. Out: an SF2 file. The other way: a path of an .sf2 or .sf3 file in, its
banks and programs out. Knows nothing of where waves come from, nor how a font is played.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError

DRUM_BANK = 128
DECAY_DB = 100.0
"""What an SF2 decay or release time is the time for."""

# Generator numbers of the SF2 specification, 2.04.
GEN_ATTACK, GEN_DECAY, GEN_SUSTAIN, GEN_RELEASE = 34, 36, 37, 38
_GEN_INSTRUMENT, _GEN_KEYS, _GEN_SAMPLE_MODES, _GEN_SAMPLE, _GEN_ROOT = 41, 43, 54, 53, 58

_SILENCE = 46
"""Zero samples that SF2 wants after each sample."""
_LOWEST_TIMECENTS = -12_000
_PRESET = struct.Struct("<20sHHHIII")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wave:
    """One sample of an instrument."""

    samples: NDArray[np.int16]
    loop: tuple[int, int] | None
    """First sample of the loop and the one after its last."""
    rate_hz: int
    keys: tuple[int, int]
    """Lowest and highest MIDI pitch."""
    root_pitch: float
    """MIDI pitch, with fractions, at which it sounds unchanged."""
    envelope: dict[int, int]
    """SF2 generators of its loudness."""


def timecents(seconds: float) -> int:
    """A time as SF2 writes it; a thousandth of a second is the least."""
    return max(_LOWEST_TIMECENTS, round(1200 * math.log2(max(seconds, 1e-3))))


def presets_of(font: Path) -> frozenset[tuple[int, int]]:
    """(bank, program) of every preset of an .sf2 or .sf3 file; bank 128 holds drum kits.

    Raises:
        ConfigError: if it is no sound font.
    """
    with font.open("rb") as file:
        for name, size in _chunks(file):
            if name == b"phdr":
                content = file.read(size // _PRESET.size * _PRESET.size)
                if len(content) == size:
                    rows = list(_PRESET.iter_unpack(content))[:-1]  # the last one ends the list
                    return frozenset((bank, program) for _, program, bank, *_ in rows)
    raise ConfigError(f"{font} is not a sound font with a list of presets; give an .sf2 or .sf3 file")


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Name and size of every chunk, also of those inside lists, with the file at the content of the chunk."""
    if file.read(12)[8:] != b"sfbk":
        return
    while len(header := file.read(8)) == 8:
        name, size = header[:4], int.from_bytes(header[4:], "little")
        if name == b"LIST":
            file.seek(4, 1)
            continue
        place = file.tell()
        yield name, size
        file.seek(place + size)
        if size % 2 and file.read(1) != b"\0":  # .sf3 files leave out the byte that makes a size even
            file.seek(place + size)


class FontBuilder:
    """Collects instruments and presets and lays them out as an SF2 file; a wave is stored once an instrument."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._samples: list[NDArray[np.int16]] = []
        self._length = 0
        self._presets: list[tuple[int, int, bytes, int]] = []
        self._instruments: list[bytes] = []
        self._zones: list[int] = []
        self._generators: list[tuple[int, int]] = []
        self._zone_starts: list[int] = []
        self._headers: list[bytes] = []

    def add_instrument(self, name: str, sources: Iterable[tuple[tuple[Wave, ...], int | None]]) -> int:
        """An instrument of waves, each over its own keys, or, with a key, over that key alone.

        Where the keys of an instrument end, its outermost waves go on, so that every note sounds.

        Returns:
            Its number, for `add_preset`.
        """
        self._instruments.append(_short(name))
        self._zones.append(len(self._zone_starts))
        for waves, key in sources:
            top = len(waves) - 1
            for index, wave in enumerate(waves if key is None else waves[:1]):
                low = 0 if index == 0 else min(waves[index - 1].keys[1] + 1, 127)
                high = 127 if index == top else wave.keys[1]
                if key is not None:
                    low = high = key
                if low <= high:
                    self._add_zone(wave, low, high, key)
        return len(self._instruments) - 1

    def add_preset(self, name: str, bank: int, program: int, instrument: int) -> None:
        """A preset that plays the instrument of that number."""
        self._presets.append((bank, program, _short(name), instrument))

    def write(self, font: Path) -> None:
        """The file, under a passing name first, so that a font that is there is whole."""
        beside = font.with_name(font.name + ".part")
        beside.write_bytes(self._content())
        beside.replace(font)

    def _add_zone(self, wave: Wave, low: int, high: int, key: int | None) -> None:
        self._zone_starts.append(len(self._generators))
        root = int(np.clip(round(wave.root_pitch), 0, 127)) if key is None else key
        correction = round(100 * (root - wave.root_pitch)) if key is None else 0
        self._generators.append((_GEN_KEYS, low | high << 8))
        self._generators += sorted((number, value & 0xFFFF) for number, value in wave.envelope.items())
        self._generators.append((_GEN_SAMPLE_MODES, 1 if wave.loop else 0))
        self._generators.append((_GEN_ROOT, root))
        self._generators.append((_GEN_SAMPLE, self._add_sample(wave, root, correction)))

    def _add_sample(self, wave: Wave, root: int, correction: int) -> int:
        start, stop = self._length, self._length + len(wave.samples)
        loop = wave.loop or (8, max(9, len(wave.samples) - 8))
        self._samples += [wave.samples, np.zeros(_SILENCE, np.int16)]
        self._length = stop + _SILENCE
        name = f"sample {len(self._headers)}".encode()
        cents = int(np.clip(correction, -127, 127))
        self._headers.append(
            struct.pack(
                "<20sIIIIIBbHH", name, start, stop, start + loop[0], start + loop[1], wave.rate_hz, root, cents, 0, 1
            )
        )
        return len(self._headers) - 1

    def _content(self) -> bytes:
        order = sorted(self._presets)
        presets = b"".join(
            _PRESET.pack(name, program, bank, place, 0, 0, 0) for place, (bank, program, name, _) in enumerate(order)
        ) + _PRESET.pack(b"EOP", 0, 0, len(order), 0, 0, 0)
        preset_zones = b"".join(struct.pack("<HH", place, 0) for place in range(len(order) + 1))
        preset_generators = b"".join(struct.pack("<HH", _GEN_INSTRUMENT, preset[3]) for preset in order) + bytes(4)
        instruments = b"".join(
            struct.pack("<20sH", name, zone) for name, zone in zip(self._instruments, self._zones, strict=True)
        ) + struct.pack("<20sH", b"EOI", len(self._zone_starts))
        zones = b"".join(struct.pack("<HH", start, 0) for start in [*self._zone_starts, len(self._generators)])
        generators = b"".join(struct.pack("<HH", *pair) for pair in self._generators) + bytes(4)
        headers = b"".join(self._headers) + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)
        info = (
            _chunk(b"ifil", struct.pack("<HH", 2, 1))
            + _chunk(b"isng", b"EMU8000\0")
            + _chunk(b"INAM", _text(self._name))
        )
        parts = (
            (b"phdr", presets),
            (b"pbag", preset_zones),
            (b"pmod", bytes(10)),
            (b"pgen", preset_generators),
            (b"inst", instruments),
            (b"ibag", zones),
            (b"imod", bytes(10)),
            (b"igen", generators),
            (b"shdr", headers),
        )
        body = (
            b"sfbk"
            + _chunk(b"LIST", b"INFO" + info)
            + _chunk(b"LIST", b"sdta" + _chunk(b"smpl", np.concatenate(self._samples).tobytes()))
            + _chunk(b"LIST", b"pdta" + b"".join(_chunk(name, content) for name, content in parts))
        )
        return _chunk(b"RIFF", body)


def _short(name: str) -> bytes:
    return name.encode("ascii", "replace")[:19]


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _text(words: str) -> bytes:
    text = words.encode("ascii", "replace") + b"\0"
    return text + b"\0" * (len(text) % 2)
