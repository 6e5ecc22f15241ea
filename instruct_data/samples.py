"""Recorded notes become a sound font: a folder an instrument, a sound file a note, named by its pitch.

In: a folder with folders such as `violin`, which hold files such as `As4.mp3` (A#4; C4 is middle C). Out: an SF2 file
with the General MIDI programs that these instruments may stand for; an instrument word without recordings has no
program in it. Names are checked against the sound: whole octaves are put right, notes of another name left out.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mllm import audio, facts
from mllm.errors import ConfigError
from mllm.instruct_data import sf2
from mllm.instruct_data.loops import with_loop


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorded:
    """What recordings of an instrument are used for."""

    programs: tuple[int, ...]
    """General MIDI programs, of one instrument word."""
    holds: bool = False
    """Whether a note sounds for as long as it is played, so that its sample is looped."""
    release_seconds: float = 0.2
    """How long it takes to fall silent."""


# Programs whose range lies far from all recordings, or that sound otherwise than their word tells, are left out.
INSTRUMENTS: dict[str, Recorded] = {
    "piano": Recorded(programs=(0, 1, 2, 3, 4, 5), release_seconds=0.4),
    "xylophone": Recorded(programs=(8, 9, 10, 13, 14)),
    "organ": Recorded(programs=(16, 17, 18, 19), holds=True),
    "harmonium": Recorded(programs=(21, 22, 23), holds=True),
    "guitar-nylon": Recorded(programs=(24,)),
    "guitar-acoustic": Recorded(programs=(25,)),
    "guitar-electric": Recorded(programs=(26, 27, 28, 29, 30)),
    "bass-electric": Recorded(programs=(32, 33, 34, 35, 36, 37, 38, 39)),
    "violin": Recorded(programs=(40, 41), holds=True),
    "cello": Recorded(programs=(42,), holds=True),
    "contrabass": Recorded(programs=(43,), holds=True),
    "harp": Recorded(programs=(46,)),
    "trumpet": Recorded(programs=(56, 59), holds=True),
    "trombone": Recorded(programs=(57,), holds=True),
    "tuba": Recorded(programs=(58,), holds=True),
    "french-horn": Recorded(programs=(60,), holds=True),
    "saxophone": Recorded(programs=(64, 65, 66, 67), holds=True),
    "bassoon": Recorded(programs=(70,), holds=True),
    "clarinet": Recorded(programs=(68, 69, 71), holds=True),
    "flute": Recorded(programs=(72, 73, 74, 75, 79), holds=True),
}
"""By the name of the folder."""

_SOUND_FILES = frozenset({".mp3", ".wav", ".flac", ".ogg"})
_NOTE = re.compile(r"([A-G])(s?)(-?\d)(?: .*)?")
"""A letter, s for sharp, an octave; after a space what tells takes of a note apart, of which the first is used."""
_KEPT_RATES_HZ = (44_100, 48_000)
_LONGEST_SECONDS = 8.0
_FADE_SECONDS = 1.0
_ONSET_SHARE = 0.1
"""Of the peak; before it is reached a note counts as silent."""
_HELD_ONSET_SHARE = 0.2
"""The same of notes that are held, many of which swell."""
_BEFORE_ONSET_SECONDS = 0.003
_USUAL_LEVEL = 0.1
"""Root mean square of the loudest second of each instrument."""
_HIGHEST_PEAK = 0.98
_SWELL_DB = 10.0
"""A held note whose beginning is so far below its loudest stretch is left out: short notes would hardly be heard."""
_SWELL_SECONDS = 0.25

_OCTAVE_DB = 35.0
"""Partials so far below those between them are not there."""
_FARTHEST_SEMITONES = 0.4
"""A note farther from its name has another one."""
_SPECTRUM_SAMPLES = 1 << 18
_PARTIALS = 12
_VIBRATO_SEMITONES = 0.6
"""How far a pitch may move from its usual place; the mean over it is what is heard."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Note:
    """One recording, ready to be a sample but for its level."""

    samples: NDArray[np.float64]
    loop: tuple[int, int] | None
    rate_hz: int
    pitch: float
    """MIDI pitch at which it sounds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Converted:
    """What a conversion did."""

    samples: int
    """Recordings in the font."""
    programs: int
    """Presets of the font."""
    remarks: tuple[str, ...]
    """Recordings that were left out or whose octave was put right, and why."""


def convert(folder: Path, font: Path) -> Converted:
    """Write the recordings in `folder` as the sound font `font`.

    Raises:
        ConfigError: if no folder of recordings is there, a file is not named by a note, or no note of an instrument
            can be used.
        AudioError: if a recording cannot be heard.
    """
    names = [name for name in INSTRUMENTS if (folder / name).is_dir()]
    if not names:
        raise ConfigError(
            f"{folder} has no folder of recordings that is known; expected some of {', '.join(INSTRUMENTS)}"
        )
    builder = sf2.FontBuilder(name=font.stem)
    samples, programs = 0, 0
    remarks: list[str] = []
    for name in names:
        recorded = INSTRUMENTS[name]
        waves = _read_instrument(folder / name, recorded, remarks)
        instrument = builder.add_instrument(name, [(waves, None)])
        for program in recorded.programs:
            builder.add_preset(name, 0, program, instrument)
        samples, programs = samples + len(waves), programs + len(recorded.programs)
    builder.write(font)
    return Converted(samples=samples, programs=programs, remarks=tuple(remarks))


def _read_instrument(folder: Path, recorded: Recorded, remarks: list[str]) -> tuple[sf2.Wave, ...]:
    """The waves of an instrument from low to high, each up to half-way to its neighbours."""
    notes: dict[int, _Note] = {}
    for path, named in _named_notes(folder):
        note = _read_note(path, named, recorded, remarks)
        if note is not None:
            notes.setdefault(round(note.pitch), note)
    if not notes:
        raise ConfigError(
            f"{folder} has no recording that can be used; expected sound files named by notes, as As4.mp3"
        )
    pitches = sorted(notes)
    factor = _level_factor(list(notes.values()))
    lows = [0, *((below + above) // 2 + 1 for below, above in itertools.pairwise(pitches))]
    highs = [*(low - 1 for low in lows[1:]), 127]
    return tuple(
        sf2.Wave(
            samples=np.round(notes[pitch].samples * factor * 32_767).astype(np.int16),
            loop=notes[pitch].loop,
            rate_hz=notes[pitch].rate_hz,
            keys=(low, high),
            root_pitch=notes[pitch].pitch,
            envelope={sf2.GEN_RELEASE: sf2.timecents(recorded.release_seconds)},
        )
        for pitch, low, high in zip(pitches, lows, highs, strict=True)
    )


def _named_notes(folder: Path) -> list[tuple[Path, int]]:
    """Sound files of a folder with the MIDI pitch of their names, one a pitch."""
    found: dict[int, Path] = {}
    for path in sorted((path for path in folder.iterdir() if path.suffix in _SOUND_FILES), key=lambda path: path.stem):
        parts = _NOTE.fullmatch(path.stem)
        if parts is None:
            raise ConfigError(
                f"{path} is not named by a note; expected names such as C4{path.suffix} or As3{path.suffix}"
            )
        found.setdefault(12 * (int(parts[3]) + 1) + facts.pitch_class(parts[1]) + len(parts[2]), path)
    return [(path, pitch) for pitch, path in found.items()]


def _read_note(path: Path, named: int, recorded: Recorded, remarks: list[str]) -> _Note | None:
    """A recording from its onset on; None, and a remark, where it cannot be used."""
    own_rate_hz = audio.probe(path).sample_rate_hz
    rate_hz = own_rate_hz if own_rate_hz in _KEPT_RATES_HZ else _KEPT_RATES_HZ[0]
    whole = audio.load(path, sample_rate_hz=rate_hz).samples.astype(np.float64)
    samples = _from_onset(whole, rate_hz, _HELD_ONSET_SHARE if recorded.holds else _ONSET_SHARE)
    octaves = _octaves_off(samples, rate_hz, named)
    pitch = named + 12 * octaves
    off = _semitones_off(samples, rate_hz, pitch)
    called = f"{path.parent.name}/{path.name}"
    if abs(off) > _FARTHEST_SEMITONES:
        remarks.append(f"{called} left out: it sounds {off:+.2f} semitones off its name")
        return None
    if recorded.holds and _swell_db(samples, rate_hz) > _SWELL_DB:
        remarks.append(f"{called} left out: it begins {_swell_db(samples, rate_hz):.0f} dB below its loudest stretch")
        return None
    if octaves:
        remarks.append(f"{called} sounds {octaves:+d} octave off its name, and is used where it sounds")
    looped = with_loop(samples, rate_hz) if recorded.holds else None
    if recorded.holds and looped is None:
        remarks.append(f"{called} repeats nowhere well enough for a loop; it ends as it was recorded")
    kept, loop = (_without_long_tail(samples, rate_hz), None) if looped is None else looped
    return _Note(samples=kept, loop=loop, rate_hz=rate_hz, pitch=pitch + off)


def _from_onset(samples: NDArray[np.float64], rate_hz: int, share: float) -> NDArray[np.float64]:
    """What is left when silence before the first sample above `share` of the peak is cut off; begins with a fade."""
    before = round(_BEFORE_ONSET_SECONDS * rate_hz)
    onset = int(np.argmax(np.abs(samples) >= share * np.abs(samples).max()))
    kept = samples[max(0, onset - before) :].copy()
    kept[:before] *= np.linspace(0.0, 1.0, len(kept[:before]))
    return kept


def _without_long_tail(samples: NDArray[np.float64], rate_hz: int) -> NDArray[np.float64]:
    longest, fade = round(_LONGEST_SECONDS * rate_hz), round(_FADE_SECONDS * rate_hz)
    if len(samples) <= longest:
        return samples
    kept = samples[:longest].copy()
    kept[-fade:] *= np.linspace(1.0, 0.0, fade)
    return kept


def _level_factor(notes: list[_Note]) -> float:
    """What all notes of an instrument are multiplied by, so that instruments are about equally loud."""
    loudest = max(_loudest(note.samples, note.rate_hz) for note in notes)
    peak = max(float(np.abs(note.samples).max()) for note in notes)
    return min(_USUAL_LEVEL / loudest, _HIGHEST_PEAK / peak)


def _loudest(samples: NDArray[np.float64], length: int) -> float:
    """The highest root mean square of `length` samples in a row, or of all where there are fewer."""
    length = min(length, len(samples))
    sums = np.concatenate([[0.0], np.cumsum(samples**2)])
    return float(np.sqrt(np.max(sums[length:] - sums[:-length]) / length))


def _swell_db(samples: NDArray[np.float64], rate_hz: int) -> float:
    length = round(_SWELL_SECONDS * rate_hz)
    return float(20 * np.log10(_loudest(samples, length) / _loudest(samples[:length], length)))


def _octaves_off(samples: NDArray[np.float64], rate_hz: int, pitch: float) -> int:
    """1 where only every other partial of `pitch` is there, -1 where there are partials between them, else 0."""
    spectrum = _spectrum(samples[: round(1.2 * rate_hz)][round(0.1 * rate_hz) :])
    base = _hertz(pitch)

    def power(orders: tuple[float, ...]) -> float:
        return sum(_strongest(spectrum, rate_hz, order * base) ** 2 for order in orders)

    odd, even, between = power((1, 3, 5, 7)), power((2, 4, 6, 8)), power((0.5, 1.5, 2.5, 3.5))
    if odd < even * 10 ** (-_OCTAVE_DB / 10):
        return 1
    return -1 if between > odd + even else 0


def _semitones_off(samples: NDArray[np.float64], rate_hz: int, pitch: float) -> float:
    """How far above `pitch` the partials lie, in (-1.5, 1.5) semitones; the median of some places."""
    offsets = np.arange(-1.5, 1.5, 0.02)
    frequencies = _hertz(pitch) * 2 ** (offsets / 12)
    found = []
    for start_seconds in (0.05, 0.4, 0.75):
        piece = samples[round(start_seconds * rate_hz) :][: round(0.5 * rate_hz)]
        if len(piece) < 0.2 * rate_hz:
            break
        spectrum = _spectrum(piece)
        orders = np.arange(1, _PARTIALS + 1)
        places = np.outer(frequencies, orders) * _SPECTRUM_SAMPLES / rate_hz
        inside = places < len(spectrum) - 1
        heights = np.where(inside, spectrum[np.where(inside, np.round(places), 0).astype(int)], 0.0)
        powers = (heights**2).sum(1)
        near = np.abs(offsets - offsets[powers.argmax()]) < _VIBRATO_SEMITONES
        found.append(float(np.average(offsets[near], weights=powers[near])))
    return float(np.median(found)) if found else 0.0


def _spectrum(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.abs(np.fft.rfft(samples * np.hanning(len(samples)), _SPECTRUM_SAMPLES))


def _strongest(spectrum: NDArray[np.float64], rate_hz: int, frequency_hz: float) -> float:
    """The highest value within half a semitone of a frequency."""
    centre = frequency_hz * _SPECTRUM_SAMPLES / rate_hz
    return float(spectrum[round(centre * 0.971) : round(centre * 1.029) + 1].max(initial=0.0))


def _hertz(pitch: float) -> float:
    return float(440.0 * 2 ** ((pitch - 69) / 12))
