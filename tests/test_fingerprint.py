"""Tests of `mllm.instruct_data.fingerprint`: copies in any coding are found, other music is not."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from mllm import audio
from mllm.instruct_data import fingerprint, measuring
from mllm.instruct_data.fingerprint import ALIKE, RATE_HZ, Match, Words
from tests.instruction_sets import melody

SECONDS = 12.0
CODED_HZ = 24_000


def words_of(path: Path) -> Words:
    return fingerprint.words(audio.load(path, sample_rate_hz=RATE_HZ).samples)


def mp3(path: Path, samples: npt.NDArray[np.float32], bits_a_second: int) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libmp3lame", rate=CODED_HZ)
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = bits_a_second
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = CODED_HZ
        for piece in av.AudioResampler(format=stream.format, layout="mono", rate=CODED_HZ).resample(frame):
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Words:
    path = tmp_path_factory.mktemp("original") / "tune.wav"
    soundfile.write(path, melody(1, SECONDS, CODED_HZ), CODED_HZ)
    return words_of(path)


def the_match(first: Words, second: Words) -> Match:
    (match,) = fingerprint.matches([first, second])
    return match


@pytest.mark.parametrize("bits_a_second", [32_000, 64_000, 128_000])
def test_after_mp3_coding(original: Words, tmp_path: Path, bits_a_second: int) -> None:
    mp3(tmp_path / "tune.mp3", melody(1, SECONDS, CODED_HZ), bits_a_second)
    match = the_match(original, words_of(tmp_path / "tune.mp3"))
    assert match.difference < 0.15
    assert match.offset_seconds == pytest.approx(0.0, abs=0.06)


@pytest.mark.parametrize("ending", ["ogg", "flac", "opus"])
def test_after_other_codings(original: Words, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"tune.{ending}"
    subtype = {"ogg": "VORBIS", "flac": "PCM_16", "opus": "OPUS"}[ending]
    with soundfile.SoundFile(
        path, "w", CODED_HZ, 1, format="FLAC" if ending == "flac" else "OGG", subtype=subtype
    ) as file:
        samples = melody(1, SECONDS, CODED_HZ)
        for at in range(0, len(samples), CODED_HZ):
            file.write(samples[at : at + CODED_HZ])
    assert the_match(original, words_of(path)).difference < 0.15


@pytest.mark.parametrize("gain", [0.02, 0.3, 1.4, 5.0])
def test_at_another_loudness_and_clipped(original: Words, tmp_path: Path, gain: float) -> None:
    soundfile.write(tmp_path / "tune.wav", np.clip(gain * melody(1, SECONDS, CODED_HZ), -1, 1), CODED_HZ)
    assert the_match(original, words_of(tmp_path / "tune.wav")).difference < 0.2


@pytest.mark.parametrize(("begin", "end"), [(0.0, 5.0), (4.321, 11.0), (2.0007, 12.0), (6.5, 12.0)])
def test_a_cut_is_found_where_it_was_taken(original: Words, tmp_path: Path, begin: float, end: float) -> None:
    samples = melody(1, SECONDS, CODED_HZ)[round(begin * CODED_HZ) : round(end * CODED_HZ)]
    soundfile.write(tmp_path / "cut.wav", samples, CODED_HZ)
    match = the_match(original, words_of(tmp_path / "cut.wav"))
    assert match.offset_seconds == pytest.approx(begin, abs=0.05)
    backwards = the_match(words_of(tmp_path / "cut.wav"), original)
    assert backwards.offset_seconds == pytest.approx(-begin, abs=0.05)


def test_with_noise_and_another_rate(original: Words, tmp_path: Path) -> None:
    noise = np.random.default_rng(3).normal(scale=0.02, size=round(SECONDS * CODED_HZ))
    soundfile.write(tmp_path / "noisy.wav", melody(1, SECONDS, CODED_HZ) + noise, CODED_HZ)
    low = audio.load(tmp_path / "noisy.wav", sample_rate_hz=16_000).samples
    soundfile.write(tmp_path / "low.wav", low, 16_000)
    assert the_match(original, words_of(tmp_path / "low.wav")).difference < 0.2


def at_rate(seed: int) -> Words:
    return fingerprint.words(melody(seed, 6.0, RATE_HZ))


def test_other_pieces_do_not_match() -> None:
    many = [at_rate(seed) for seed in range(30)]
    assert list(fingerprint.matches(many)) == []


def test_a_shared_beginning_is_no_copy() -> None:
    first, second = melody(1, 8.0, RATE_HZ), melody(2, 8.0, RATE_HZ)
    joined = np.concatenate([first[: 3 * RATE_HZ], second[3 * RATE_HZ :]])
    assert list(fingerprint.matches([fingerprint.words(first), fingerprint.words(joined)])) == []


def test_silence_matches_nothing() -> None:
    silent = np.zeros(8 * RATE_HZ, dtype=np.float32)
    half = np.concatenate([melody(1, 4.0, RATE_HZ), np.zeros(4 * RATE_HZ, dtype=np.float32)])
    other = np.concatenate([melody(2, 4.0, RATE_HZ), np.zeros(4 * RATE_HZ, dtype=np.float32)])
    given = [fingerprint.words(samples) for samples in (silent, silent, half, other)]
    assert not given[0].any()
    assert list(fingerprint.matches(given)) == []
    assert list(fingerprint.matches([])) == []
    assert list(fingerprint.matches([fingerprint.words(silent[:100])] * 3)) == []


def test_every_pair_of_many_copies_is_bounded_and_one_pair_each_is_there() -> None:
    original = at_rate(1)
    found = list(fingerprint.matches([original] * 30))
    assert {match.second for match in found} == set(range(1, 30))
    assert len(found) < 30 * 7
    assert all(match.difference <= ALIKE for match in found)


class TestMeasuring:
    """Levels beside the fingerprint."""

    def test_a_recording_that_brings_its_process_down_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [f"{number}.wav" for number in range(4)]
        for number, name in enumerate(names):
            soundfile.write(tmp_path / name, melody(number, 2.0), CODED_HZ)
        # Every process starts with this file, and ends where it is told to open 1.wav.
        (tmp_path / "sitecustomize.py").write_text(
            "import os, soundfile\n"
            "original = soundfile.SoundFile.__init__\n"
            "def opened(self, file, *given, **named):\n"
            "    if str(file).endswith('1.wav'):\n"
            "        os._exit(11)\n"
            "    original(self, file, *given, **named)\n"
            "soundfile.SoundFile.__init__ = opened\n"
        )
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[1]}")
        measured = dict(measuring.measure_all(tmp_path, names, workers=2))
        assert list(measured) == names
        assert "brings down the process" in measured["1.wav"].error
        assert [measured[name].error for name in names if name != "1.wav"] == ["", "", ""]

    def test_one_process_and_two_measure_the_same(self, tmp_path: Path) -> None:
        for number in range(3):
            soundfile.write(tmp_path / f"{number}.wav", melody(number, 2.0), CODED_HZ)
        names = ["0.wav", "none.wav", "1.wav", "2.wav"]
        alone = dict(measuring.measure_all(tmp_path, names, workers=1))
        spread = dict(measuring.measure_all(tmp_path, names, workers=2))
        assert list(alone) == list(spread) == names
        assert alone["none.wav"].missing
        for name in names:
            assert alone[name].digest == spread[name].digest
            assert np.array_equal(alone[name].words, spread[name].words)
