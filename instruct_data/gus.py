"""Gravis Ultrasound patches become a sound font, so that one synthesiser plays every bank of samples.

In: a configuration file as TiMidity reads it, which names a patch file a General MIDI program. Out: an SF2 file.
Programs without a patch get the nearest one of the same instrument word, so that a label never names what does not
sound. Filters, tremolo and vibrato are not converted: patches of free banks hardly use them.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from mllm import facts
from mllm.errors import ConfigError
from mllm.instruct_data import sf2
from mllm.instruct_data.sf2 import Wave, timecents

_HEADER_BYTES, _INSTRUMENT_BYTES, _LAYER_BYTES, _SAMPLE_BYTES = 129, 63, 47, 96
_IS_16_BIT, _IS_UNSIGNED, _LOOPS, _LOOPS_BOTH_WAYS, _IS_BACKWARDS, _SUSTAINS, _HAS_ENVELOPE = (1 << i for i in range(7))
_DB_A_STEP = 6.02 / 16
"""Envelope levels of patches are logarithmic: 16 steps double the amplitude."""
_STEPS_A_SECOND = 44_100 / 8_192
"""How fast an envelope with a rate of 1 moves."""


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
    generators = {sf2.GEN_ATTACK: timecents(attack), sf2.GEN_RELEASE: timecents(release)}
    if sustains and fall_db > 1.0:
        generators[sf2.GEN_DECAY] = timecents(decay * sf2.DECAY_DB / fall_db)
        generators[sf2.GEN_SUSTAIN] = round(10 * min(fall_db, sf2.DECAY_DB))
    return generators


def _segment_seconds(steps: int, rate: int) -> float:
    speed = (rate & 63) << (3 * (3 - (rate >> 6)))
    return abs(steps) / (max(speed, 1) * _STEPS_A_SECOND)


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
    builder = sf2.FontBuilder(name=configuration.stem)
    instruments: dict[Path, int] = {}
    for program, path in _all_programs(programs).items():
        if path not in instruments:
            instruments[path] = builder.add_instrument(path.stem, [(read_patch(path), None)])
        builder.add_preset(path.stem, 0, program, instruments[path])
    kit = builder.add_instrument("Drums", [(read_patch(path), key) for key, path in sorted(drums.items())])
    builder.add_preset("Drums", sf2.DRUM_BANK, 0, kit)
    builder.write(font)
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
