"""What happens to a recording before it is heard: level, noise, coding, bandwidth, pitch, speed, silence.

In: mono float samples at `SAMPLE_RATE_HZ` and a random generator. Out: changed samples, always the same for the same
generator, and what the change does to key and tempo. Knows no questions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from fractions import Fraction

import av
import numpy as np
import soxr
from av.filter import Graph
from numpy.typing import NDArray

from mllm.facts import KEYS, key_index
from mllm.instruct_data import coding
from mllm.instruct_data.synth import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]

SEMITONE = 2 ** (1 / 12)
SILENCE_SECONDS = 5.0
NARROW_RATE_HZ = 8_000
_BLOCK = 1024
"""Samples that are given to a filter at once."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """One way of changing a recording."""

    title: str
    make: Callable[[Samples, np.random.Generator], Samples]
    semitones: int = 0
    """By which every note is higher afterwards."""
    faster: float = 1.0
    """Ratio of the tempo afterwards to the tempo before."""
    rate_hz: int = SAMPLE_RATE_HZ
    """Of the samples that are made."""

    def key(self, key: str) -> str:
        """The key of the changed recording, of one in this key of `facts.KEYS`."""
        place = key_index(key)
        return KEYS[place // 12 * 12 + (place + self.semitones) % 12]


def at_level(samples: Samples, *, decibels: float) -> Samples:
    """Louder or softer; what comes out above full scale is cut off, as a file cuts it off."""
    return np.asarray(np.clip(samples * np.float32(10 ** (decibels / 20)), -1.0, 1.0), dtype=np.float32)


def with_noise(samples: Samples, rng: np.random.Generator, *, ratio_db: float) -> Samples:
    """White noise whose mean power is `ratio_db` below that of the recording; all softer where it would clip."""
    noise = rng.standard_normal(len(samples), dtype=np.float32)
    power = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    level = power / float(np.sqrt(np.mean(np.square(noise, dtype=np.float64)))) * 10 ** (-ratio_db / 20)
    sound = samples + noise * np.float32(level)
    return np.asarray(sound / max(1.0, float(np.abs(sound).max())), dtype=np.float32)


def faster(samples: Samples, *, factor: float) -> Samples:
    """Played at another speed, as a tape is: higher by the same factor, and shorter."""
    return np.asarray(soxr.resample(samples, SAMPLE_RATE_HZ * factor, SAMPLE_RATE_HZ, quality="VHQ"), dtype=np.float32)


def stretched(samples: Samples, *, factor: float) -> Samples:
    """`factor` times as long, at the same pitch, by FFmpeg's overlapping and adding of similar waves."""
    graph = Graph()
    source = graph.add_abuffer(
        format="flt", sample_rate=SAMPLE_RATE_HZ, layout="mono", time_base=Fraction(1, SAMPLE_RATE_HZ)
    )
    graph.link_nodes(source, graph.add("atempo", f"{1 / factor:.9f}"), graph.add("abuffersink")).configure()
    for begin in range(0, len(samples), _BLOCK):
        frame = av.AudioFrame.from_ndarray(samples[None, begin : begin + _BLOCK], format="flt", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, begin
        graph.push(frame)
    graph.push(None)
    found = []
    while True:
        try:
            found.append(graph.pull().to_ndarray()[0])
        except (av.error.EOFError, av.error.BlockingIOError):
            break
    count = round(len(samples) * factor)
    sound = np.concatenate(found)[:count]
    return np.asarray(np.pad(sound, (0, count - len(sound))), dtype=np.float32)


def higher(samples: Samples, *, semitones: int) -> Samples:
    """Every note higher, at the same tempo and of the same length."""
    factor = SEMITONE**semitones
    sound = stretched(faster(samples, factor=factor), factor=factor)[: len(samples)]
    return np.pad(sound, (0, len(samples) - len(sound)))


def narrow(samples: Samples) -> Samples:
    """As a telephone has it: at `NARROW_RATE_HZ`, nothing above half of that."""
    return np.asarray(soxr.resample(samples, SAMPLE_RATE_HZ, NARROW_RATE_HZ, quality="VHQ"), dtype=np.float32)


def after_silence(samples: Samples) -> Samples:
    """With silence in front."""
    return np.concatenate([np.zeros(round(SILENCE_SECONDS * SAMPLE_RATE_HZ), dtype=np.float32), samples])


CLEAN = "clean"
CHANGES: Mapping[str, Change] = {
    "level-20dB": Change(title="20 dB softer", make=lambda samples, _: at_level(samples, decibels=-20.0)),
    "level+6dB": Change(title="6 dB too loud", make=lambda samples, _: at_level(samples, decibels=6.0)),
    "noise-20dB": Change(title="noise, 20 dB below", make=lambda samples, rng: with_noise(samples, rng, ratio_db=20.0)),
    "noise-10dB": Change(title="noise, 10 dB below", make=lambda samples, rng: with_noise(samples, rng, ratio_db=10.0)),
    "mp3-32": Change(
        title="mp3, 32 kbit/s", make=lambda samples, _: coding.through_mp3(samples, SAMPLE_RATE_HZ, kilobits=32)
    ),
    "8kHz": Change(title="8 kHz", make=lambda samples, _: narrow(samples), rate_hz=NARROW_RATE_HZ),
    "pitch+2": Change(title="2 semitones up", make=lambda samples, _: higher(samples, semitones=2), semitones=2),
    "speed+1": Change(
        title="played 6 % faster",
        make=lambda samples, _: faster(samples, factor=SEMITONE),
        semitones=1,
        faster=SEMITONE,
    ),
    "silence-first": Change(title="5 s of silence first", make=lambda samples, _: after_silence(samples)),
}
"""By a name that can stand in that of a file."""
