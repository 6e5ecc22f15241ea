"""Builds a data set of rendered clips with exact labels.

In: tunes, sound fonts, a seed, an output folder. Out: in that folder `audio/<shard>/<id>.flac` (16 bit, 24 kHz, mono),
`notes/<shard>/<id>.npz` and `labels.jsonl`, one line a clip; of a varied build also `stems/<shard>/<id>.flac`, each
instrument alone before room and noise, one channel an instrument in the order of the label. A clip depends on nothing
but its seed and index, to the byte; a build that was killed goes on where it stopped. Does not read scores itself and
knows nothing of models.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import io
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mllm import facts
from mllm.errors import ConfigError
from mllm.instruct_data.arrange import Arrangement, arrange
from mllm.instruct_data.effects import degrade
from mllm.instruct_data.fonts import Font, FontChoice
from mllm.instruct_data.scores import Tune, key_correlations, pitch_class_weights
from mllm.instruct_data.synth import SAMPLE_RATE_HZ, FontSynthesizer, Part, Room, Voice

SPLITS = ("train", "test", "dev")
CLIPS_PER_SHARD = 500
SOURCE_SHARES: dict[str, float] = {
    "pop909": 0.30,
    "openewld": 0.20,
    "bach": 0.14,
    "ryansMammoth": 0.16,
    "oneills1850": 0.12,
    "airdsAirs": 0.08,
}
"""How often a clip comes from a collection; sources not named count 0.1; shares of absent ones go to the others."""

_ATTEMPTS = 12
_LEAST_SOUNDING_SHARE = 0.7
_CLIP_KEY_TOLERANCE = 0.15
_DETUNE_CENTS = 35.0
_MIXED_FONTS_SHARE = 0.5
"""How often every part of a varied clip has a font of its own."""
_MOST_STEMS = 8
"""Channels that a FLAC file can have."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """What a build makes; the same settings always make the same clips."""

    out: Path
    """Folder of the data set; made if absent."""
    clips: int
    """Number of clips in the finished data set, 1 or more."""
    split: str
    """"train", "dev" or "test": which tunes are used."""
    seed: int
    """Any integer from 0 up."""
    fonts: tuple[Font, ...]
    """Sound fonts, at least one."""
    workers: int = 1
    """Processes, 1 or more."""
    backend: str | None = None
    """"fluidsynth", "tinysoundfont", or None for whichever can be used."""
    varied: bool = False
    """Whether parts sound otherwise than their font plays them, half of the clips mix fonts, and stems are kept."""

    def __post_init__(self) -> None:
        problems = []
        if self.clips < 1:
            problems.append(f"clips is {self.clips}, expected 1 or more")
        if self.split not in SPLITS:
            problems.append(f"split is {self.split!r}, expected one of {', '.join(SPLITS)}")
        if self.seed < 0:
            problems.append(f"seed is {self.seed}, expected 0 or more")
        if self.workers < 1:
            problems.append(f"workers is {self.workers}, expected 1 or more")
        if not self.fonts or any(font.weight <= 0 for font in self.fonts):
            problems.append("fonts needs at least one sound font, each with a weight above 0")
        if problems:
            raise ConfigError("; ".join(problems))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
    """One finished clip, not yet on disk."""

    samples: NDArray[np.float32]
    """Shape (samples,), at `SAMPLE_RATE_HZ`, peak below 1."""
    label: dict[str, Any]
    """The line of labels.jsonl."""
    notes: dict[str, NDArray[Any]]
    """The arrays of the .npz file, one entry a note."""
    stems: NDArray[np.float32] | None = None
    """Shape (samples, instruments), peak below 1, of a varied build."""


class ClipMaker:
    """Makes the clip of an index; holds the loaded sound fonts."""

    def __init__(self, settings: BuildSettings, tunes: Sequence[Tune]) -> None:
        self._settings = settings
        self._fonts: dict[Path, FontSynthesizer] = {}
        self._choice = FontChoice(settings.fonts)
        self._by_source: dict[str, dict[str, list[Tune]]] = {}
        for tune in sorted(tunes, key=lambda t: t.id):
            if tune.split == settings.split:
                self._by_source.setdefault(tune.source, {}).setdefault(tune.meter, []).append(tune)
        if not self._by_source:
            raise ConfigError(f"none of the {len(tunes)} tunes is on the {settings.split} side; give more scores")

    def make(self, index: int) -> Clip:
        """The clip number `index` (0 or more) of the data set."""
        settings = self._settings
        rng = np.random.default_rng([settings.seed, SPLITS.index(settings.split), index])
        tune, arrangement = self._arrangement(rng)
        font = self._choice.draw(rng)
        room = Room(
            chorus=bool(rng.random() < 0.15),
            detune_cents=float(rng.uniform(-_DETUNE_CENTS, _DETUNE_CENTS)) if rng.random() < 0.8 else 0.0,
        )
        lead = arrangement.lead_seconds
        parts = [
            dataclasses.replace(part, notes=part.notes + np.array([lead, lead, 0.0, 0.0])) for part in arrangement.parts
        ]
        fonts = [font] * len(parts)
        if settings.varied:
            varying = np.random.default_rng([settings.seed, SPLITS.index(settings.split), index, 1])
            parts = [dataclasses.replace(part, voice=draw_voice(varying)) for part in parts]
            if varying.random() < _MIXED_FONTS_SHARE:
                fonts = [self._choice.draw(varying) for _ in parts]
        # A chance of its own: fonts that have every program give the same clips as ever.
        replacing = np.random.default_rng([settings.seed, SPLITS.index(settings.split), index, 2])
        fonts = self._choice.that_can(parts, fonts, replacing)
        seconds, wanted = arrangement.seconds + lead, round(arrangement.seconds * SAMPLE_RATE_HZ)
        stems = None
        if settings.varied:
            stems = self._stems(parts, fonts, tuple(arrangement.activity), seconds, room)[-wanted:]
            sound = stems.sum(1)
        else:
            sound = self._sound(parts, fonts, seconds, room)[-wanted:]
        clip_id = f"{settings.split}-{settings.seed}-{index:06d}"
        label = _label(clip_id, settings, tune, arrangement, fonts, room)
        if stems is not None:
            label["stems_path"] = f"stems/{_shard(index)}/{clip_id}.flac" if stems.shape[1] <= _MOST_STEMS else None
            stems *= 0.9 / max(float(np.abs(stems).max()), 1e-6)
        return Clip(
            samples=degrade(sound, SAMPLE_RATE_HZ, rng),
            label=label,
            notes=_note_arrays(arrangement.parts, arrangement.seconds),
            stems=stems,
        )

    def _synthesizer(self, font: Font) -> FontSynthesizer:
        if font.path not in self._fonts:
            self._fonts[font.path] = FontSynthesizer(font.path, backend=self._settings.backend)
        return self._fonts[font.path]

    def _sound(self, parts: Sequence[Part], fonts: Sequence[Font], seconds: float, room: Room) -> NDArray[np.float32]:
        """What all parts play together, (samples,)."""
        sound = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
        for font in dict.fromkeys(fonts):
            own = [part for part, other in zip(parts, fonts, strict=True) if other == font]
            sound += self._synthesizer(font).render(own, seconds, room)
        return sound

    def _stems(
        self, parts: Sequence[Part], fonts: Sequence[Font], instruments: Sequence[str], seconds: float, room: Room
    ) -> NDArray[np.float32]:
        """What each instrument plays, (samples, instruments)."""
        stems = np.zeros((round(seconds * SAMPLE_RATE_HZ), len(instruments)), np.float32)
        for part, font in zip(parts, fonts, strict=True):
            stems[:, instruments.index(part.instrument)] += self._synthesizer(font).render([part], seconds, room)
        return stems

    def _arrangement(self, rng: np.random.Generator) -> tuple[Tune, Arrangement]:
        for _ in range(_ATTEMPTS):
            tune = self._pick_tune(rng)
            arrangement = arrange(tune, rng)
            if _is_clear(arrangement):
                return tune, arrangement
        return tune, arrangement

    def _pick_tune(self, rng: np.random.Generator) -> Tune:
        sources = sorted(self._by_source)
        meters = self._by_source[_draw(rng, sources, [SOURCE_SHARES.get(name, 0.1) for name in sources])]
        # The square root keeps rare meters from vanishing.
        names = sorted(meters)
        tunes = meters[_draw(rng, names, [len(meters[name]) ** 0.5 for name in names])]
        return tunes[int(rng.integers(len(tunes)))]


def build(settings: BuildSettings, tunes: Sequence[Tune], *, progress: Callable[[int, int], None]) -> int:
    """Makes all clips that are missing in `settings.out`.

    Args:
        settings: what to make. A folder made with other settings is refused.
        tunes: scores of both sides of the split.
        progress: told (clips there are, clips wanted) after each clip.

    Returns:
        The number of clips made by this call.
    """
    settings.out.mkdir(parents=True, exist_ok=True)
    _claim(settings, tunes)
    labels = settings.out / "labels.jsonl"
    done = finished_indices(labels)
    missing = [index for index in range(settings.clips) if index not in done]
    with labels.open("a", encoding="utf-8") as file:
        for number, clip in enumerate(_clips(settings, tunes, missing), start=1):
            _write_files(settings.out, clip)
            file.write(json.dumps(clip.label, separators=(",", ":")) + "\n")
            file.flush()
            progress(len(done) + number, settings.clips)
    return len(missing)


def finished_indices(labels: Path) -> set[int]:
    """Indices of the clips that a labels file lists; a torn last line is cut off the file."""
    if not labels.exists():
        return set()
    content = labels.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with labels.open("r+b") as file:
            file.truncate(len(whole))
    return {int(json.loads(line)["index"]) for line in whole.splitlines()}


def _clips(settings: BuildSettings, tunes: Sequence[Tune], indices: Sequence[int]) -> Iterator[Clip]:
    if settings.workers == 1 or len(indices) < 2:
        maker = ClipMaker(settings, tunes)
        for index in indices:
            yield maker.make(index)
        return
    with concurrent.futures.ProcessPoolExecutor(
        settings.workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(settings, tuple(tunes)),
    ) as pool:
        ahead = 4 * settings.workers
        for start in range(0, len(indices), ahead):
            yield from pool.map(_make_in_worker, indices[start : start + ahead])


_worker_maker: ClipMaker | None = None


def _start_worker(settings: BuildSettings, tunes: Sequence[Tune]) -> None:
    global _worker_maker
    _worker_maker = ClipMaker(settings, tunes)


def _make_in_worker(index: int) -> Clip:
    assert _worker_maker is not None
    return _worker_maker.make(index)


def draw_voice(rng: np.random.Generator) -> Voice:
    """A random way to sound, the same instrument to a listener."""
    return Voice(
        sample_semitones=int(rng.integers(-4, 5)) if rng.random() < 0.6 else 0,
        cutoff_cents=float(rng.uniform(-3600, 0)) if rng.random() < 0.4 else 0.0,
        resonance_db=float(rng.uniform(0, 8)) if rng.random() < 0.3 else 0.0,
        attack_timecents=float(rng.uniform(-600, 2400)) if rng.random() < 0.4 else 0.0,
        release_timecents=float(rng.uniform(-1200, 1800)) if rng.random() < 0.4 else 0.0,
        vibrato_cents=float(rng.uniform(0, 18)) if rng.random() < 0.25 else 0.0,
        velocity=int(rng.integers(-20, 21)),
    )


def _draw(rng: np.random.Generator, names: Sequence[str], weights: Sequence[float]) -> str:
    shares = np.array(weights, dtype=np.float64)
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]


def _is_clear(arrangement: Arrangement) -> bool:
    """Whether something is heard most of the time and the clip's own notes do not point to another key."""
    melodic = [part.notes for part in arrangement.parts if not part.is_drums]
    if not melodic:
        return False
    notes = np.concatenate(melodic)
    spans = np.clip(notes[:, :2], 0, arrangement.seconds)
    grid = np.zeros(int(arrangement.seconds * 10) + 1, dtype=bool)
    for start, stop in spans:
        grid[int(start * 10) : int(np.ceil(stop * 10))] = True
    if grid.mean() < _LEAST_SOUNDING_SHARE:
        return False
    durations = np.column_stack([notes[:, 0], spans[:, 1] - spans[:, 0], notes[:, 2]])
    weights = pitch_class_weights(durations)
    if np.count_nonzero(weights) < 4:
        return False
    correlations = key_correlations(weights)
    return bool(correlations[facts.key_index(arrangement.key)] >= correlations.max() - _CLIP_KEY_TOLERANCE)


def _label(
    clip_id: str, settings: BuildSettings, tune: Tune, arrangement: Arrangement, fonts: Sequence[Font], room: Room
) -> dict[str, Any]:
    index = int(clip_id.rpartition("-")[2])
    return {
        "id": clip_id,
        "index": index,
        "path": f"audio/{_shard(index)}/{clip_id}.flac",
        "notes_path": f"notes/{_shard(index)}/{clip_id}.npz",
        "seconds": arrangement.seconds,
        "split": settings.split,
        "tune": tune.id,
        "title": tune.title,
        "source": tune.source,
        "licence": tune.licence,
        "sound_font": "+".join(sorted({font.name for font in fonts})),
        "seed": settings.seed,
        "tempo_bpm": arrangement.tempo_bpm,
        "key": arrangement.key,
        "meter": arrangement.meter,
        "instruments": list(arrangement.activity),
        "activity": {name: [list(span) for span in spans] for name, spans in arrangement.activity.items()},
        "programs": [[part.instrument, part.program, round(part.gain_db, 2)] for part in arrangement.parts],
        "drums": "drums" in arrangement.activity,
        "detune_cents": round(room.detune_cents, 2),
        "beats": [round(float(time), 4) for time in arrangement.beats],
        "downbeats": [round(float(time), 4) for time in arrangement.downbeats],
    }


def _note_arrays(parts: Sequence[Part], seconds: float) -> dict[str, NDArray[Any]]:
    rows = [
        np.column_stack([part.notes, np.full(len(part.notes), facts.INSTRUMENTS.index(part.instrument))])
        for part in parts
    ]
    notes = np.concatenate(rows) if rows else np.zeros((0, 5))
    notes = notes[(notes[:, 1] > 0) & (notes[:, 0] < seconds)]
    notes = notes[np.lexsort((notes[:, 2], notes[:, 0]))]
    return {
        "onset_s": notes[:, 0].astype(np.float32),
        "offset_s": np.minimum(notes[:, 1], seconds).astype(np.float32),
        "pitch": notes[:, 2].astype(np.uint8),
        "instrument": notes[:, 4].astype(np.uint8),
        "velocity": notes[:, 3].astype(np.uint8),
    }


def _shard(index: int) -> str:
    return f"{index // CLIPS_PER_SHARD:03d}"


def _write_files(out: Path, clip: Clip) -> None:
    """Both files under a passing name first, so that a name that is there is a file that is whole."""
    sound = io.BytesIO()
    soundfile.write(sound, clip.samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    arrays = io.BytesIO()
    np.savez_compressed(arrays, allow_pickle=False, **clip.notes)
    files = [(clip.label["notes_path"], arrays), (clip.label["path"], sound)]
    if clip.stems is not None and clip.label["stems_path"] is not None:
        stems = io.BytesIO()
        soundfile.write(stems, clip.stems, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16", compression_level=0.0)
        files.insert(0, (clip.label["stems_path"], stems))
    for relative, content in files:
        path = out / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + ".part")
        beside.write_bytes(content.getvalue())
        beside.replace(path)


def _claim(settings: BuildSettings, tunes: Sequence[Tune]) -> None:
    """Writes down what the folder holds, or checks that it holds what is now asked for."""
    description = {
        "split": settings.split,
        "seed": settings.seed,
        "fonts": [[font.name, font.weight] for font in settings.fonts],
        "backend": settings.backend,
        "tunes": len(tunes),
        **({"varied": True} if settings.varied else {}),
    }
    path = settings.out / "build.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = sorted(name for name in {**before, **description} if before.get(name) != description.get(name))
        if changed:
            raise ConfigError(
                f"{settings.out} was built with another {' and '.join(changed)} "
                f"({', '.join(f'{n}={before.get(n)!r}' for n in changed)}); give the same, or another --out"
            )
        return
    beside = path.with_name("build.json.part")
    beside.write_text(json.dumps(description), encoding="utf-8")
    beside.replace(path)
