"""Sound of parts: a sound font plays notes through FluidSynth, or through tinysoundfont where FluidSynth is missing.

In: parts (program, volume, notes in seconds) and the path of a sound font. Out: mono float32 samples at 24 kHz. Knows
no scores and no labels.
"""

from __future__ import annotations

import ctypes
import dataclasses
import importlib
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mllm.errors import ConfigError

SAMPLE_RATE_HZ = 24_000
BACKENDS = ("fluidsynth", "tinysoundfont")
MOST_MELODIC_PARTS = 15
_DRUM_CHANNEL = 9
_DRUM_BANK = 128
_NOMINAL_VOLUME = 76
_REFERENCE_RMS = 0.02
_SYNTH_GAIN = 0.35
_BEND_RANGE_CENTS = 200
_LINEAR_INTERPOLATION = 1
_BLOCK = 64
"""Samples that both libraries compute at once."""
_FLUID_MESSAGES = (1, 2, 3)
"""Errors, warnings and information: of drivers and presets that are not needed here. What matters is returned."""
_TINY_FADE = 1024

_Event: TypeAlias = tuple[int, int, int, int, int]
"""Sample, 1 where a note begins and 0 where it ends, channel, key, velocity."""

# Generator numbers of the SF2 specification, 2.04.
_GEN_VIBRATO_TO_PITCH, _GEN_FILTER_CUTOFF, _GEN_FILTER_RESONANCE = 6, 8, 9
_GEN_ATTACK, _GEN_RELEASE, _GEN_COARSE_TUNE = 34, 38, 51


@dataclasses.dataclass(frozen=True, kw_only=True)
class Voice:
    """How far a part is from the way its sound font plays it; tinysoundfont knows the default alone."""

    sample_semitones: int = 0
    """The sample of the pitch so many semitones above is played, retuned: formants move down where it is positive.
    Drums are tuned down by it."""
    cutoff_cents: float = 0.0
    """Added to the cutoff of the low-pass filter, most of which lie at 20 kHz."""
    resonance_db: float = 0.0
    """Added to the height of that filter's peak."""
    attack_timecents: float = 0.0
    """Added to the logarithm of the attack time; 1200 doubles it."""
    release_timecents: float = 0.0
    """Added to the logarithm of the release time."""
    vibrato_cents: float = 0.0
    """Added to the depth of the vibrato."""
    velocity: int = 0
    """Added to the velocities."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """What one channel plays."""

    instrument: str
    """One of `facts.INSTRUMENTS`."""
    program: int
    """General MIDI program, 0 to 127; for drums the kit."""
    gain_db: float
    """Loudness relative to the other parts, in dB; 0 is the loudest."""
    notes: NDArray[np.float64]
    """Shape (notes, 4): onset and offset in seconds, MIDI pitch, velocity."""
    voice: Voice = Voice()

    @property
    def is_drums(self) -> bool:
        """Whether pitches are drum notes."""
        return self.instrument == "drums"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Room:
    """What the synthesiser itself adds."""

    chorus: bool = False
    detune_cents: float = 0.0
    """In [-100, 100]; drums stay as they are."""


class Synthesizer(Protocol):
    """Plays parts with one sound font."""

    def render(self, parts: Sequence[Part], seconds: float, room: Room) -> NDArray[np.float32]:
        """Mono samples at `SAMPLE_RATE_HZ`, shape (round(seconds * SAMPLE_RATE_HZ),), not normalised."""
        ...


class _Device(Protocol):
    """The few calls that both libraries have, under one name each."""

    def reset(self, room: Room) -> None: ...
    def select(self, channel: int, program: int, *, drums: bool) -> None: ...
    def volume(self, channel: int, value: int) -> None: ...
    def pan(self, channel: int, value: int) -> None: ...
    def voice(self, channel: int, voice: Voice) -> None: ...
    def note_on(self, channel: int, pitch: int, velocity: int) -> None: ...
    def note_off(self, channel: int, pitch: int) -> None: ...
    def fill(self, stereo: NDArray[np.float32], start: int, stop: int) -> None:
        """The next samples into columns `start` to `stop` of (2, samples)."""
        ...

    def close(self) -> None:
        """What was played since `reset` is over."""
        ...


class _FluidLibrary:
    """The calls of FluidSynth that its Python package does not have."""

    def __init__(self) -> None:
        import fluidsynth

        handle, integer, number = fluidsynth.c_void_p, fluidsynth.c_int, ctypes.c_float
        declare = fluidsynth.cfunc
        synth = ("synth", handle, 1)
        self.font_of = declare("fluid_synth_get_sfont_by_id", handle, synth, ("id", integer, 1))
        self.add_font = declare("fluid_synth_add_sfont", integer, synth, ("font", handle, 1))
        self.remove_font = declare("fluid_synth_remove_sfont", integer, synth, ("font", handle, 1))
        self.set_interpolation = declare(
            "fluid_synth_set_interp_method", integer, synth, ("channel", integer, 1), ("method", integer, 1)
        )
        # Samples as float: 16-bit samples would carry dither that depends on what was played before.
        self.write = declare(
            "fluid_synth_write_float",
            integer,
            *(synth, ("count", integer, 1)),
            *(("left", handle, 1), ("left_offset", integer, 1), ("left_step", integer, 1)),
            *(("right", handle, 1), ("right_offset", integer, 1), ("right_step", integer, 1)),
        )
        self.set_generator = declare(
            "fluid_synth_set_gen", integer, synth, ("channel", integer, 1), ("number", integer, 1), ("value", number, 1)
        )
        set_log = declare(
            "fluid_set_log_function", handle, ("level", integer, 1), ("function", handle, 1), ("data", handle, 1)
        )
        for level in _FLUID_MESSAGES:
            set_log(level, None, None)


class _FluidDevice:
    """One FluidSynth holds the font; each `reset` makes a new one that shares it, which takes under a millisecond.

    A synthesiser that has played keeps the tails, the loudness of its voices and the phases of its chorus, whatever is
    reset: only a new one plays the same samples again.
    """

    def __init__(self, font: Path) -> None:
        import fluidsynth

        self._library = _FluidLibrary()
        self._new: Callable[..., Any] = fluidsynth.Synth
        holder = fluidsynth.Synth(samplerate=float(SAMPLE_RATE_HZ), channels=16)
        number = holder.sfload(str(font))
        if number < 0:
            holder.delete()
            raise ConfigError(f"{font} is not a sound font that FluidSynth can load; give an .sf2 or .sf3 file")
        self._loaded = self._library.font_of(holder.synth, number)
        self._synth: Any = None
        weakref.finalize(self, holder.delete)

    def reset(self, room: Room) -> None:
        synth = self._new(gain=_SYNTH_GAIN, samplerate=float(SAMPLE_RATE_HZ), channels=16)
        synth.setting("synth.polyphony", 80)
        synth.setting("synth.reverb.active", 0)  # rooms are an effect of their own
        synth.setting("synth.chorus.active", int(room.chorus))
        self._font = self._library.add_font(synth.synth, self._loaded)
        self._library.set_interpolation(synth.synth, -1, _LINEAR_INTERPOLATION)
        bend = round(8192 * room.detune_cents / _BEND_RANGE_CENTS)
        for channel in range(16):
            synth.pitch_bend(channel, bend if channel != _DRUM_CHANNEL else 0)
        self._synth = synth

    def close(self) -> None:
        # A synthesiser that goes takes its fonts with it.
        self._library.remove_font(self._synth.synth, self._loaded)
        self._synth.delete()
        self._synth = None

    def select(self, channel: int, program: int, *, drums: bool) -> None:
        bank = _DRUM_BANK if drums else 0
        if self._synth.program_select(channel, self._font, bank, program) != 0:
            self._synth.program_select(channel, self._font, bank, 0)

    def volume(self, channel: int, value: int) -> None:
        self._synth.cc(channel, 7, value)

    def pan(self, channel: int, value: int) -> None:
        self._synth.cc(channel, 10, value)

    def voice(self, channel: int, voice: Voice) -> None:
        for number, value in (
            (_GEN_COARSE_TUNE, -float(voice.sample_semitones)),
            (_GEN_FILTER_CUTOFF, voice.cutoff_cents),
            (_GEN_FILTER_RESONANCE, 10.0 * voice.resonance_db),
            (_GEN_ATTACK, voice.attack_timecents),
            (_GEN_RELEASE, voice.release_timecents),
            (_GEN_VIBRATO_TO_PITCH, voice.vibrato_cents),
        ):
            self._library.set_generator(self._synth.synth, channel, number, value)

    def note_on(self, channel: int, pitch: int, velocity: int) -> None:
        self._synth.noteon(channel, pitch, velocity)

    def note_off(self, channel: int, pitch: int) -> None:
        self._synth.noteoff(channel, pitch)

    def fill(self, stereo: NDArray[np.float32], start: int, stop: int) -> None:
        both = stereo.ctypes.data
        self._library.write(self._synth.synth, stop - start, both, start, 1, both, stereo.shape[1] + start, 1)


class _TinyDevice:
    def __init__(self, font: Path) -> None:
        import tinysoundfont

        self._synth: Any = tinysoundfont.Synth(samplerate=SAMPLE_RATE_HZ, gain=0.0)
        try:
            self._font = self._synth.sfload(str(font))
        except (tinysoundfont.SoundFontException, RuntimeError, OSError) as error:
            raise ConfigError(f"{font} is not a sound font that tinysoundfont can load ({error})") from None

    def reset(self, room: Room) -> None:
        self._synth.sounds_off()
        self._synth.generate(_TINY_FADE)
        self._bend = round(8192 + 8192 * room.detune_cents / _BEND_RANGE_CENTS)

    def select(self, channel: int, program: int, *, drums: bool) -> None:
        self._synth.program_select(channel, self._font, _DRUM_BANK if drums else 0, 0 if drums else program, drums)
        self._synth.pitchbend(channel, 8192 if drums else self._bend)

    def volume(self, channel: int, value: int) -> None:
        self._synth.control_change(channel, 7, value)

    def pan(self, channel: int, value: int) -> None:
        self._synth.control_change(channel, 10, value)

    def voice(self, channel: int, voice: Voice) -> None:
        del channel
        if voice != Voice():
            raise ConfigError("tinysoundfont cannot vary voices; install libfluidsynth and `pip install pyfluidsynth`")

    def note_on(self, channel: int, pitch: int, velocity: int) -> None:
        self._synth.noteon(channel, pitch, velocity)

    def note_off(self, channel: int, pitch: int) -> None:
        self._synth.noteoff(channel, pitch)

    def fill(self, stereo: NDArray[np.float32], start: int, stop: int) -> None:
        interleaved = np.frombuffer(bytes(self._synth.generate(stop - start)), dtype=np.float32)
        stereo[:, start:stop] = interleaved.reshape(-1, 2).T

    def close(self) -> None:
        self._synth.sounds_off()


class FontSynthesizer:
    """Plays parts with one sound font; parts of equal `gain_db` sound about equally loud, whatever the font.

    Args:
        font: an .sf2 or .sf3 file.
        backend: "fluidsynth", "tinysoundfont", or None for the first of them that can be used here.
    """

    def __init__(self, font: Path, *, backend: str | None = None) -> None:
        if not font.is_file():
            raise ConfigError(f"sound font {font} does not exist; give the path of an .sf2 or .sf3 file")
        self._device = _open_device(font, backend)
        self._volumes: dict[tuple[int, bool, int, Voice], int] = {}

    def render(self, parts: Sequence[Part], seconds: float, room: Room) -> NDArray[np.float32]:
        """Plays `parts` for `seconds`; notes that last longer are cut off.

        Args:
            parts: at most `MOST_MELODIC_PARTS` parts that are not drums.
            seconds: length of the result.
            room: chorus, tuning.

        Returns:
            Mono samples, shape (round(seconds * SAMPLE_RATE_HZ),), not normalised. The same to the last bit whatever
            was played before.
        """
        volumes = [self._volume(part) for part in parts]
        self._device.reset(room)
        events: list[_Event] = []
        free = iter(channel for channel in range(16) if channel != _DRUM_CHANNEL)
        for index, (part, volume) in enumerate(zip(parts, volumes, strict=True)):
            channel = _DRUM_CHANNEL if part.is_drums else next(free)
            self._device.select(channel, part.program, drums=part.is_drums)
            # Volume is squared by the synthesiser: 40 dB per factor ten.
            self._device.volume(channel, int(np.clip(round(volume * 10 ** (part.gain_db / 40)), 1, 127)))
            self._device.pan(channel, 64 + (20 if index % 2 else -20))
            self._device.voice(channel, part.voice)
            events += _events(part, channel)
        return self._play(sorted(events), round(seconds * SAMPLE_RATE_HZ))

    def _play(self, events: Sequence[_Event], total: int) -> NDArray[np.float32]:
        stereo = np.zeros((2, total), dtype=np.float32)
        now = 0
        for time, is_on, channel, pitch, velocity in events:
            if time >= total:
                break
            if time > now:
                self._device.fill(stereo, now, time)
                now = time
            if is_on:
                self._device.note_on(channel, pitch, velocity)
            else:
                self._device.note_off(channel, pitch)
        self._device.fill(stereo, now, total)
        self._device.close()
        return np.asarray((stereo[0] + stereo[1]) * np.float32(0.5), dtype=np.float32)

    def _volume(self, part: Part) -> int:
        """Volume at which this program, played around the part's own register, reaches the reference loudness."""
        register = 0 if part.is_drums else int(np.median(part.notes[:, 2]) // 12)
        name = (part.program, part.is_drums, register, part.voice)
        if name not in self._volumes:
            self._volumes[name] = self._measure(part, register)
        return self._volumes[name]

    def _measure(self, part: Part, register: int) -> int:
        pitches = [36, 42, 38, 42] if part.is_drums else [register * 12, register * 12 + 4, register * 12 + 7]
        self._device.reset(Room())
        self._device.select(0 if not part.is_drums else _DRUM_CHANNEL, part.program, drums=part.is_drums)
        channel = _DRUM_CHANNEL if part.is_drums else 0
        self._device.volume(channel, _NOMINAL_VOLUME)
        self._device.pan(channel, 64)
        self._device.voice(channel, part.voice)
        step = round(0.4 * SAMPLE_RATE_HZ)
        stereo = np.zeros((2, step * len(pitches)), dtype=np.float32)
        shift = 0 if part.is_drums else part.voice.sample_semitones
        for index, pitch in enumerate(np.clip(np.array(pitches) + shift, 0, 127).tolist()):
            self._device.note_on(channel, pitch, 90 + part.voice.velocity)
            self._device.fill(stereo, index * step, (index + 1) * step)
            self._device.note_off(channel, pitch)
        self._device.close()
        rms = float(np.sqrt(np.mean(np.square(stereo.sum(0) * 0.5))))
        scale = (_REFERENCE_RMS / max(rms, 1e-5)) ** 0.5
        return int(np.clip(round(_NOMINAL_VOLUME * scale), 20, 127))


def _events(part: Part, channel: int) -> list[_Event]:
    """Notes as they begin and end, on the grid of blocks: there alone events take effect."""
    first, last = (np.rint(part.notes[:, column] * (SAMPLE_RATE_HZ / _BLOCK)) * _BLOCK for column in (0, 1))
    shift = 0 if part.is_drums else part.voice.sample_semitones
    pitches = np.clip(part.notes[:, 2] + shift, 0, 127)
    velocities = np.clip(part.notes[:, 3] + part.voice.velocity, 1, 127)
    table = np.column_stack([first, last, pitches, velocities])[first < last]
    events: list[_Event] = []
    for start, stop, pitch, velocity in table.astype(int).tolist():
        events.append((start, 1, channel, pitch, velocity))
        events.append((stop, 0, channel, pitch, 0))
    return events


def backend_in_use(backend: str | None) -> str:
    """The synthesiser that None stands for here: FluidSynth where it is installed; others stand for themselves."""
    if backend is not None:
        return backend
    try:
        importlib.import_module("fluidsynth")
    except ImportError:
        return "tinysoundfont"
    return "fluidsynth"


def _open_device(font: Path, backend: str | None) -> _Device:
    if backend is not None and backend not in BACKENDS:
        raise ConfigError(f"synthesiser {backend!r} is not known; expected one of {', '.join(BACKENDS)}")
    if backend_in_use(backend) == "fluidsynth":
        try:
            return _FluidDevice(font)
        except ImportError as error:
            raise ConfigError(
                f"FluidSynth cannot be used ({error}); install libfluidsynth and `pip install pyfluidsynth`"
            ) from None
    try:
        return _TinyDevice(font)
    except ImportError as error:
        raise ConfigError(
            f"no synthesiser can be used ({error}); install libfluidsynth and pyfluidsynth, or tinysoundfont"
        ) from None
