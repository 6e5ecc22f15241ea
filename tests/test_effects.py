"""Effects and codecs: each does what it says and moves nothing in time, so that labels stay exact."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.instruct_data import coding, effects
from mllm.instruct_data.synth import SAMPLE_RATE_HZ

SECONDS = 6.0
Samples = NDArray[np.float32]


def beats() -> Samples:
    """Short bursts of noise at uneven times over a soft tone: their place shows in the correlation."""
    rng = np.random.default_rng(0)
    time = np.arange(round(SECONDS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    sound = 0.05 * np.sin(2 * np.pi * 330 * time)
    for onset in np.cumsum(rng.uniform(0.25, 0.6, 12)):
        start = round(onset * SAMPLE_RATE_HZ)
        burst = rng.standard_normal(3000) * np.exp(-np.arange(3000) / 500)
        sound[start : start + 3000] += 0.3 * burst[: len(sound[start : start + 3000])]
    return np.asarray(0.9 * sound / np.abs(sound).max(), dtype=np.float32)


def moved_samples(changed: Samples, sound: Samples) -> int:
    """By how many samples `changed` comes late, at the peak of the cross-correlation."""
    size = 1 << 19
    spectrum = np.fft.rfft(changed, size) * np.conj(np.fft.rfft(sound, size))
    peak = int(np.argmax(np.fft.irfft(spectrum, size)))
    return peak if peak < size // 2 else peak - size


MANY: dict[str, Callable[[Samples], Samples]] = {
    "room": lambda s: effects.room(s, SAMPLE_RATE_HZ, decay_seconds=1.5, wet=0.4, rng=np.random.default_rng(2)),
    "tilt": lambda s: effects.tilt(s, SAMPLE_RATE_HZ, db_per_octave=2.5),
    "bands": lambda s: effects.equalise(s, SAMPLE_RATE_HZ, bands=effects.draw_bands(np.random.default_rng(3))),
    "lowpass": lambda s: effects.cut(s, SAMPLE_RATE_HZ, "lowpass", hz=3000.0),
    "highpass": lambda s: effects.cut(s, SAMPLE_RATE_HZ, "highpass", hz=160.0),
    "compress": lambda s: effects.compress(s, drive=4.0),
    "clip": lambda s: effects.clip_hard(s, over_db=9.0),
    **{
        f"{kind} noise": lambda s, kind=kind: effects.add_background(  # type: ignore[misc]
            s, SAMPLE_RATE_HZ, kind, db=-36.0, rng=np.random.default_rng(4)
        )
        for kind in effects.NOISES
    },
    **{
        f"mp3 {kilobits}": lambda s, kilobits=kilobits: coding.through_mp3(s, SAMPLE_RATE_HZ, kilobits=kilobits)  # type: ignore[misc]
        for kilobits in (16, 24, 32, 48, 64, 128)
    },
    **{
        f"opus {kilobits}": lambda s, kilobits=kilobits: coding.through_opus(s, SAMPLE_RATE_HZ, kilobits=kilobits)  # type: ignore[misc]
        for kilobits in (8, 16, 32)
    },
    **{
        f"vorbis {quality}": lambda s, quality=quality: coding.through_vorbis(s, SAMPLE_RATE_HZ, quality=quality)  # type: ignore[misc]
        for quality in (0.3, 0.95)
    },
}


@pytest.mark.parametrize("name", MANY)
def test_no_effect_moves_anything_by_a_millisecond(name: str) -> None:
    sound = beats()
    changed = MANY[name](sound)
    assert changed.dtype == np.float32
    assert changed.shape == sound.shape
    assert np.abs(changed - sound).max() > 1e-4  # it does something
    moved = moved_samples(changed, sound)
    assert abs(moved) <= 0.00025 * SAMPLE_RATE_HZ, moved  # measured: 2 samples (lowpass, Opus of 8 kbit/s), else 0


@pytest.mark.parametrize("length", [1, 500, 1152, 24_000, 100_001])
def test_codecs_keep_any_length(length: int) -> None:
    sound = (0.1 * np.random.default_rng(0).standard_normal(length)).astype(np.float32)
    for changed in (
        coding.through_mp3(sound, SAMPLE_RATE_HZ, kilobits=32),
        coding.through_opus(sound, SAMPLE_RATE_HZ, kilobits=16),
        coding.through_vorbis(sound, SAMPLE_RATE_HZ, quality=0.5),
    ):
        assert changed.shape == (length,)


@pytest.mark.parametrize("name", ["mp3", "opus", "vorbis"])
def test_codecs_take_minutes_at_once(name: str) -> None:
    """In a process of its own: an encoder that was given too much at once would end it without a word."""
    code = f"""
import numpy as np
from mllm.instruct_data import coding
sound = (0.1 * np.random.default_rng(0).standard_normal(240 * 24_000)).astype(np.float32)
how = {{"mp3": {{"kilobits": 32}}, "opus": {{"kilobits": 16}}, "vorbis": {{"quality": 0.5}}}}[{name!r}]
print(len(getattr(coding, "through_" + {name!r})(sound, 24_000, **how)))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (0, str(240 * 24_000)), ended.stderr


def test_low_bit_rates_lose_more() -> None:
    sound = beats()
    lost = [np.std(coding.through_mp3(sound, SAMPLE_RATE_HZ, kilobits=rate) - sound) for rate in (16, 48, 128)]
    assert lost[0] > 1.5 * lost[1] > 2 * lost[2]


def test_files_have_nothing_random_in_them() -> None:
    for form in coding.SUFFIXES:
        assert coding.encode(beats(), SAMPLE_RATE_HZ, form) == coding.encode(beats(), SAMPLE_RATE_HZ, form)
    with pytest.raises(ConfigError, match="flac, opus, ogg"):
        coding.encode(beats(), SAMPLE_RATE_HZ, "wav")


def test_bands_are_as_loud_as_they_say() -> None:
    time = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    for hz, expected in ((250.0, -6.0), (1000.0, 0.0), (4000.0, 9.0)):
        tone = np.sin(2 * np.pi * hz * time).astype(np.float32)
        changed = effects.equalise(tone, SAMPLE_RATE_HZ, bands=[(250.0, -6.0), (1000.0, 0.0), (4000.0, 9.0)])
        middle = slice(SAMPLE_RATE_HZ // 2, 3 * SAMPLE_RATE_HZ // 2)
        assert 20 * np.log10(np.std(changed[middle]) / np.std(tone[middle])) == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("kind", effects.NOISES)
def test_noise_is_as_loud_as_it_says(kind: str) -> None:
    silence = np.zeros(4 * SAMPLE_RATE_HZ, dtype=np.float32)
    noise = effects.add_background(silence, SAMPLE_RATE_HZ, kind, db=-30.0, rng=np.random.default_rng(5))
    assert 20 * np.log10(np.sqrt(np.mean(noise**2))) == pytest.approx(-30.0, abs=0.1)


def test_kinds_of_noise_lie_where_they_should() -> None:
    silence = np.zeros(8 * SAMPLE_RATE_HZ, dtype=np.float32)
    middle = {}
    for kind in effects.NOISES:
        noise = effects.add_background(silence, SAMPLE_RATE_HZ, kind, db=-30.0, rng=np.random.default_rng(6))
        power = np.abs(np.fft.rfft(noise)) ** 2
        middle[kind] = float(np.searchsorted(np.cumsum(power), power.sum() / 2) / len(power) * SAMPLE_RATE_HZ / 2)
    assert middle["hum"] < middle["murmur"] < middle["white"] < middle["hiss"]
    assert middle["brown"] < middle["pink"] < middle["white"]


def test_hard_clipping_is_flat_at_full_scale() -> None:
    clipped = effects.clip_hard(beats(), over_db=6.0)
    assert np.abs(clipped).max() == 1.0
    assert 5 < np.count_nonzero(np.abs(clipped) == 1.0) < len(clipped) // 10


def test_recordings_differ_keep_time_and_end_at_a_level() -> None:
    sound = beats()
    heard = [effects.record(sound, SAMPLE_RATE_HZ, np.random.default_rng(seed)) for seed in range(40)]
    for changed in heard:
        assert changed.dtype == np.float32
        assert changed.shape == sound.shape
        assert 0.29 < np.abs(changed).max() <= 1.0
        assert abs(moved_samples(changed, sound)) <= SAMPLE_RATE_HZ / 1000
    assert len({changed.tobytes() for changed in heard}) == 40
    again = effects.record(sound, SAMPLE_RATE_HZ, np.random.default_rng(7))
    np.testing.assert_array_equal(again, heard[7])
