"""Makes pieces of music with everything that is true of them: composed, played, recorded, labelled.

In: settings, tunes if there are any, an index. Out: a `Piece` (samples and a `Track`), and its file on disk. A piece
depends on nothing but settings, tunes and index, to the byte, whichever process makes it and whatever was made before.
Knows nothing of questions, of other pieces, or of how a data set is laid out but for the place of its recordings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mllm import registry
from mllm.errors import ConfigError
from mllm.instruct_data import coding, effects
from mllm.instruct_data.composition import Composition
from mllm.instruct_data.fonts import Font, FontChoice
from mllm.instruct_data.piece_facts import MINOR_MODES, longest_mode, track_of
from mllm.instruct_data.playing import Performance, play
from mllm.instruct_data.render import draw_voice
from mllm.instruct_data.scores import Tune
from mllm.instruct_data.synth import SAMPLE_RATE_HZ, FontSynthesizer, Room, Voice, backend_in_use
from mllm.instruct_data.tracks import SPLITS, Track

PIECES_PER_FOLDER = 500
_SIDE_OF_SPLIT = {"train": "train", "validation": "dev", "test": "test"}
"""What a split of tracks is called among tunes."""
_MODE_BLOCK = 10
"""Of so many pieces in a row half are minor."""
_ATTEMPTS = 12
_DETUNED_SHARE = 0.8
_DETUNE_CENTS = 35.0
_CHORUS_SHARE = 0.12
_MIXED_FONTS_SHARE = 0.5
_VARIED_PART_SHARE = 0.5
_VOLUME_BLOCK = 64
_DRY_PEAK = 0.8


@dataclasses.dataclass(frozen=True, kw_only=True)
class PieceSettings:
    """What pieces are made; the same settings and tunes always make the same pieces."""

    seed: int
    """Any integer from 0 up."""
    split: str
    """One of `tracks.SPLITS`."""
    fonts: tuple[Font, ...]
    """Sound fonts of the splits train and validation; together they have all of General MIDI."""
    held_out_fonts: tuple[Font, ...] = ()
    """Sound fonts of the split test, none of `fonts`; together they have all of General MIDI."""
    styles: Mapping[str, float] | None = None
    """Names of styles, each with how often it is composed relative to the others; None: all that there are, equally."""
    share_of_tunes: float = 0.25
    """How many of the pieces are made from given tunes, in [0, 1]; 0 where there are none."""
    seconds: tuple[float, float] = (30.0, 90.0)
    """Shortest and longest length that is asked for, in seconds; a piece ends with a whole bar, and dies away."""
    effects: bool = True
    """Whether pieces are recorded in rooms, with noise, and so on; without, they are dry."""
    audio_format: str = "flac"
    """One of `coding.SUFFIXES`."""
    backend: str | None = None
    """"fluidsynth", "tinysoundfont", or None for whichever can be used."""

    def __post_init__(self) -> None:
        problems = []
        if self.seed < 0:
            problems.append(f"seed is {self.seed}, expected 0 or more")
        if self.split not in SPLITS:
            problems.append(f"split is {self.split!r}, expected one of {', '.join(SPLITS)}")
        problems += self._font_problems()
        if self.styles is not None:
            known = registry.names("style")
            problems += [
                f"style {name!r} is not known, there are {', '.join(known)}"
                for name in self.styles
                if name not in known
            ]
            if not self.styles or min(self.styles.values()) <= 0:
                problems.append("styles needs at least one style, each with a weight above 0")
        if not 0 <= self.share_of_tunes <= 1:
            problems.append(f"share_of_tunes is {self.share_of_tunes}, expected 0 to 1")
        if not 5 <= self.seconds[0] <= self.seconds[1] <= 600:
            problems.append(f"seconds is {self.seconds}, expected two numbers from 5 to 600, the smaller first")
        if self.audio_format not in coding.SUFFIXES:
            problems.append(f"audio_format is {self.audio_format!r}, expected one of {', '.join(coding.SUFFIXES)}")
        if problems:
            raise ConfigError("; ".join(problems))

    @property
    def fonts_heard(self) -> tuple[Font, ...]:
        """The sound fonts of this split."""
        return self.held_out_fonts if self.split == "test" else self.fonts

    def _font_problems(self) -> list[str]:
        problems = []
        if any(font.weight <= 0 for font in (*self.fonts, *self.held_out_fonts)):
            problems.append("every sound font needs a weight above 0")
        if self.split in SPLITS and not self.fonts_heard:
            name = "held_out_fonts" if self.split == "test" else "fonts"
            problems.append(f"{name} needs at least one sound font: the split {self.split} is played with these alone")
        # Sound fonts have several names on most systems: links lead to the same file.
        heard_twice = {font.path.resolve() for font in self.fonts} & {
            font.path.resolve() for font in self.held_out_fonts
        }
        if heard_twice:
            problems.append(
                f"held_out_fonts and fonts share {', '.join(sorted(str(path) for path in heard_twice))}; "
                "a font that training hears is not held out"
            )
        return problems


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """One finished piece, not yet on disk."""

    samples: NDArray[np.float32]
    """Shape (samples,), mono at `SAMPLE_RATE_HZ`, within [-1, 1]."""
    track: Track
    """What is true of it; its path says where it goes."""


class PieceMaker:
    """Makes the piece of an index; holds the loaded sound fonts, one copy of each.

    Args:
        settings: what to make.
        tunes: tunes of all sides of the split; those of the other sides are never used.
    """

    def __init__(self, settings: PieceSettings, tunes: Sequence[Tune] = ()) -> None:
        self._settings = settings
        self._choice = FontChoice(settings.fonts_heard)
        self._synthesizers: dict[Path, FontSynthesizer] = {}
        side = _SIDE_OF_SPLIT[settings.split]
        self._tunes = sorted((tune for tune in tunes if tune.split == side), key=lambda tune: tune.id)
        self._weights = settings.styles or dict.fromkeys(registry.names("style"), 1.0)

    def make(self, index: int) -> Piece:
        """The piece number `index` (0 or more)."""
        return self.record(self.compose(index), index)

    def compose(self, index: int) -> Composition:
        """What the piece number `index` is; of ten in a row five are minor or dorian, where their styles allow it."""
        rng = self._rng(index, 0)
        minor = self._is_minor(index)
        from_tune = bool(self._tunes) and rng.random() < self._settings.share_of_tunes
        low, high = self._settings.seconds
        for _ in range(_ATTEMPTS):
            seconds = float(rng.uniform(low, high))
            composition = self._from_tune(rng, seconds) if from_tune else self._from_style(rng, seconds)
            if (longest_mode(composition) in MINOR_MODES) == minor:
                break
        return composition

    def record(self, composition: Composition, index: int) -> Piece:
        """A composition, played and recorded as piece number `index`."""
        settings = self._settings
        performance = play(composition, self._rng(index, 1))
        sound = self._sound(performance, self._rng(index, 2))
        sound = sound * _volume(performance, len(sound))
        if settings.effects:
            sound = effects.record(sound, SAMPLE_RATE_HZ, self._rng(index, 3))
        else:
            sound = np.asarray(sound * np.float32(_DRY_PEAK / max(float(np.abs(sound).max()), 1e-6)), dtype=np.float32)
        name = f"{settings.split}-{settings.seed}-{index:06d}"
        folder = f"{index // PIECES_PER_FOLDER:03d}"
        track = track_of(
            composition,
            performance,
            sound,
            track_id=name,
            path=f"audio/{folder}/{name}{coding.SUFFIXES[settings.audio_format]}",
            split=settings.split,
        )
        return Piece(samples=sound, track=track)

    def _rng(self, index: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self._settings.seed, SPLITS.index(self._settings.split), index, purpose])

    def _is_minor(self, index: int) -> bool:
        block, place = divmod(index, _MODE_BLOCK)
        order = np.random.default_rng([self._settings.seed, SPLITS.index(self._settings.split), block, 9])
        return bool(order.permutation(_MODE_BLOCK)[place] < _MODE_BLOCK // 2)

    def _from_style(self, rng: np.random.Generator, seconds: float) -> Composition:
        names = sorted(self._weights)
        shares = np.array([self._weights[name] for name in names])
        name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        composition: Composition = registry.find("style", name).compose(rng, seconds=seconds)
        return composition

    def _from_tune(self, rng: np.random.Generator, seconds: float) -> Composition:
        tune = self._tunes[int(rng.integers(len(self._tunes)))]
        raise NotImplementedError(tune, seconds)

    def _sound(self, performance: Performance, rng: np.random.Generator) -> NDArray[np.float32]:
        """What all parts play together, dry and at an even volume."""
        room = Room(
            chorus=bool(rng.random() < _CHORUS_SHARE),
            detune_cents=float(rng.uniform(-_DETUNE_CENTS, _DETUNE_CENTS)) if rng.random() < _DETUNED_SHARE else 0.0,
        )
        first = self._choice.draw(rng)
        mixed = rng.random() < _MIXED_FONTS_SHARE
        drawn = [self._choice.draw(rng) if mixed else first for _ in performance.parts]
        fonts = self._choice.that_can(performance.parts, drawn, rng)
        parts = [dataclasses.replace(part, voice=self._voice(rng)) for part in performance.parts]
        sound = np.zeros(round(performance.seconds * SAMPLE_RATE_HZ), dtype=np.float32)
        for font in dict.fromkeys(fonts):
            own = [part for part, other in zip(parts, fonts, strict=True) if other == font]
            sound += self._synthesizer(font).render(own, performance.seconds, room)
        return sound

    def _voice(self, rng: np.random.Generator) -> Voice:
        drawn = draw_voice(rng)
        can_vary = backend_in_use(self._settings.backend) == "fluidsynth"
        return drawn if rng.random() < _VARIED_PART_SHARE and can_vary else Voice()

    def _synthesizer(self, font: Font) -> FontSynthesizer:
        if font.path not in self._synthesizers:
            self._synthesizers[font.path] = FontSynthesizer(font.path, backend=self._settings.backend)
        return self._synthesizers[font.path]


def write_piece(folder: Path, piece: Piece) -> Path:
    """Writes the recording of a piece into a data set folder, beside its name first: what is there is whole.

    Returns:
        Where it is.
    """
    path = folder / piece.track.path
    form = next(name for name, suffix in coding.SUFFIXES.items() if suffix == path.suffix)
    content = coding.encode(piece.samples, SAMPLE_RATE_HZ, form)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(content)
    beside.replace(path)
    return path


def _volume(performance: Performance, count: int) -> NDArray[np.float32]:
    """Factor of each sample that turns the whole down as the performance says."""
    times, decibels = zip(*performance.volume, strict=True)
    if not any(decibels):
        return np.ones(1, dtype=np.float32)
    blocks = np.arange(0, count + _VOLUME_BLOCK, _VOLUME_BLOCK) / SAMPLE_RATE_HZ
    factors = (10 ** (np.interp(blocks, times, decibels) / 20)).astype(np.float32)
    return np.repeat(factors, _VOLUME_BLOCK)[:count]
