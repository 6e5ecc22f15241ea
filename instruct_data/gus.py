"""Gravis Ultrasound patches become a sound font, so that one synthesiser plays every bank of samples.

In: a configuration file as TiMidity reads it, which names a patch file a General MIDI program. Out: an SF2 file.
Programs without a patch get the nearest one of the same instrument word, so that a label never names what does not
sound. Filters, tremolo and vibrato are not converted: patches of free banks hardly use them.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mllm import facts
from mllm.errors import ConfigError

_HEADER_BYTES, _INSTRUMENT_BYTES, _LAYER_BYTES, _SAMPLE_BYTES = 129, 63, 47, 96
_IS_16_BIT, _IS_UNSIGNED, _LOOPS, _LOOPS_BOTH_WAYS, _IS_BACKWARDS, _SUSTAINS, _HAS_ENVELOPE = (1 << i for i in range(7))
_DRUM_BANK = 128
_SILENCE = 46
"""Zero samples that SF2 wants after each sample."""
_LOWEST_TIMECENTS = -12_000
_DECAY_DB = 100.0
"""What an SF2 decay or release time is the time for."""
_DB_A_STEP = 6.02 / 16
"""Envelope levels of patches are logarithmic: 16 steps double the amplitude."""
_STEPS_A_SECOND = 44_100 / 8_192
"""How fast an envelope with a rate of 1 moves."""

# Generator numbers of the SF2 specification, 2.04.
_GEN_ATTACK, _GEN_DECAY, _GEN_SUSTAIN, _GEN_RELEASE = 34, 36, 37, 38
_GEN_INSTRUMENT, _GEN_KEYS, _GEN_SAMPLE_MODES, _GEN_SAMPLE, _GEN_ROOT = 41, 43, 54, 53, 58


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wave:
    """One sample of a patch."""

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


def read_patch(path: Path) -> tuple[Wave, ...]:
    """The waves of a patch file, from low to high.

    Raises:
        ConfigError: if it is no patch.
    """
    content = path.read_bytes()
    if content[:8] != b"GF1PATCH" or len(content) < _HEADER_BYTES + _INSTRUMENT_BYTES + _LAYER_BYTES:
        raise ConfigError(f"{path} is not a Gravis patch; expected a .pat file that starts with GF1PATCH")
    place = _HEADER_BYTES + _INSTRUMENT_BYTES
    count = content[place + 6]
    place += _LAYER_BYTES
    waves = []
    for _ in range(count):
        wave, place = _read_wave(content, place)
        waves.append(wave)
    return tuple(sorted(waves, key=lambda wave: wave.keys))


def _read_wave(content: bytes, place: int) -> tuple[Wave, int]:
    fields = struct.unpack_from("<7xBIIIHIIIhB6B6B6xBhH", content, place)
    size, loop_start, loop_end, rate_hz, lowest, highest, root = fields[1:8]
    rates, levels, modes = fields[10:16], fields[16:22], fields[22]
    start = place + _SAMPLE_BYTES
    data = content[start : start + size]
    if modes & _IS_16_BIT:
        samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").copy()
        loop_start, loop_end = loop_start // 2, loop_end // 2
    else:
        samples = np.frombuffer(data, np.int8).astype(np.int16) * 256
    if modes & _IS_UNSIGNED:
        samples = (samples.astype(np.int32) + 32_768).astype(np.uint16).view(np.int16)
    if modes & _IS_BACKWARDS:
        samples, loop_start, loop_end = samples[::-1], len(samples) - loop_end, len(samples) - loop_start
    loop_end = min(loop_end, len(samples))
    loops = bool(modes & _LOOPS) and loop_end - loop_start >= 8
    if loops and modes & _LOOPS_BOTH_WAYS:
        samples = np.concatenate((samples[:loop_end], samples[loop_start:loop_end][::-1]))
        loop_end = len(samples)
    wave = Wave(
        samples=np.ascontiguousarray(samples),
        loop=(loop_start, loop_end) if loops else None,
        rate_hz=rate_hz,
        keys=(_nearest_key(lowest), _nearest_key(highest)),
        root_pitch=_pitch(root),
        envelope=_envelope(rates, levels, sustains=bool(modes & _SUSTAINS)) if modes & _HAS_ENVELOPE else {},
    )
    return wave, start + size


def _pitch(millihertz: int) -> float:
    return 69.0 + 12.0 * math.log2(max(millihertz, 1) / 440_000.0)


def _nearest_key(millihertz: int) -> int:
    return int(np.clip(round(_pitch(millihertz)), 0, 127))


def _envelope(rates: tuple[int, ...], levels: tuple[int, ...], *, sustains: bool) -> dict[int, int]:
    """SF2's attack, decay, sustain and release of the six segments of a patch."""
    attack = _segment_seconds(levels[0], rates[0])
    fall_db = max(0.0, (levels[0] - levels[2]) * _DB_A_STEP)
    decay = _segment_seconds(levels[0] - levels[1], rates[1]) + _segment_seconds(levels[1] - levels[2], rates[2])
    release = _segment_seconds(levels[2], rates[3])
    generators = {_GEN_ATTACK: _timecents(attack), _GEN_RELEASE: _timecents(release)}
    if sustains and fall_db > 1.0:
        generators[_GEN_DECAY] = _timecents(decay * _DECAY_DB / fall_db)
        generators[_GEN_SUSTAIN] = round(10 * min(fall_db, _DECAY_DB))
    return generators


def _segment_seconds(steps: int, rate: int) -> float:
    speed = (rate & 63) << (3 * (3 - (rate >> 6)))
    return abs(steps) / (max(speed, 1) * _STEPS_A_SECOND)


def _timecents(seconds: float) -> int:
    return max(_LOWEST_TIMECENTS, round(1200 * math.log2(max(seconds, 1e-3))))


def read_configuration(path: Path) -> tuple[dict[int, Path], dict[int, Path]]:
    """Patch files of programs and of drum keys, of the first bank and drum set.

    Raises:
        ConfigError: if no patch is there.
    """
    folder = path.parent
    programs: dict[int, Path] = {}
    drums: dict[int, Path] = {}
    current: dict[int, Path] | None = None
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split("#")[0].split()
        if len(words) >= 2 and words[0] == "dir":
            folder = Path(words[1])
        elif len(words) >= 2 and words[0] in ("bank", "drumset"):
            tables = {"bank": programs, "drumset": drums}
            current = tables[words[0]] if words[1] == "0" else None
        elif len(words) >= 2 and words[0].isdigit() and current is not None and (folder / words[1]).is_file():
            current[int(words[0])] = folder / words[1]
    if not programs or not drums:
        raise ConfigError(
            f"{path} names no patches that are there; give a TiMidity configuration with bank and drumset 0"
        )
    return programs, drums


def convert(configuration: Path, font: Path) -> int:
    """Write the patches that `configuration` names as the sound font `font`; the number of patches."""
    programs, drums = read_configuration(configuration)
    builder = _Builder(name=configuration.stem)
    for program, path in _all_programs(programs).items():
        builder.add_preset(path.stem, 0, program, [(read_patch(path), None)])
    builder.add_preset("Drums", _DRUM_BANK, 0, [(read_patch(path), key) for key, path in sorted(drums.items())])
    beside = font.with_name(font.name + ".part")
    beside.write_bytes(builder.content())
    beside.replace(font)
    return len(programs) + len(drums)


def _all_programs(programs: dict[int, Path]) -> dict[int, Path]:
    """Every program whose instrument word has a patch, with its own or the nearest of that word."""
    found = {}
    for name in facts.INSTRUMENTS:
        members = facts.programs_of_instrument(name)
        there = [program for program in members if program in programs]
        for program in members:
            if there:
                found[program] = programs[min(there, key=lambda other: abs(other - program))]
    return found


class _Builder:
    """Collects presets and lays them out as an SF2 file; each wave becomes a sample, each preset an instrument."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._samples: list[NDArray[np.int16]] = []
        self._length = 0
        self._presets: list[tuple[int, int, bytes]] = []
        self._instruments: list[bytes] = []
        self._zones: list[int] = []
        self._generators: list[tuple[int, int]] = []
        self._zone_starts: list[int] = []
        self._headers: list[bytes] = []

    def add_preset(
        self, name: str, bank: int, program: int, sources: Iterable[tuple[tuple[Wave, ...], int | None]]
    ) -> None:
        """A preset of patches, each over its own keys, or, with a key, over that key alone."""
        self._presets.append((bank, program, name.encode("ascii", "replace")[:19]))
        self._instruments.append(name.encode("ascii", "replace")[:19])
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

    def content(self) -> bytes:
        """The bytes of the file."""
        order = sorted(range(len(self._presets)), key=lambda index: self._presets[index][:2])
        presets = b"".join(
            struct.pack("<20sHHHIII", self._presets[i][2], self._presets[i][1], self._presets[i][0], place, 0, 0, 0)
            for place, i in enumerate(order)
        ) + struct.pack("<20sHHHIII", b"EOP", 0, 0, len(order), 0, 0, 0)
        preset_zones = b"".join(struct.pack("<HH", place, 0) for place in range(len(order) + 1))
        preset_generators = b"".join(struct.pack("<HH", _GEN_INSTRUMENT, i) for i in order) + bytes(4)
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


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _text(words: str) -> bytes:
    text = words.encode("ascii", "replace") + b"\0"
    return text + b"\0" * (len(text) % 2)
