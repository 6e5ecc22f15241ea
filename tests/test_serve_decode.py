"""Decoding in worker processes: the same windows, the limits, and what happens when a worker dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mllm import audio, checkpoint, contract
from mllm.errors import AudioError, AudioLimitError, NotAudioError
from mllm.messages import Audio
from mllm.processing import MusicLLMProcessor, Recording
from mllm.serve.decode_pool import DecodePool
from mllm.serve_settings import ServeSettings
from tests.tiny_checkpoint import RATE_HZ, tone, write_music

DEMO = Path(__file__).parents[1] / "mllm" / "data" / "demo.mp3"
TEN_HOURS = 36_000


@pytest.fixture(scope="module")
def processor() -> MusicLLMProcessor:
    directory = contract.find_checkpoint(checkpoint.reference_directory())
    return checkpoint.open_processor(directory, contract.read_config(directory))


@pytest.fixture(scope="module")
def pool(processor: MusicLLMProcessor) -> Iterator[DecodePool]:
    started = DecodePool(processor, ServeSettings(decode_workers=1, max_audio_minutes=60.0))
    yield started
    started.close()


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_music(tmp_path_factory.mktemp("music"))


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour of a tone, which takes seconds to decode whole."""
    path = tmp_path_factory.mktemp("long") / "hour.flac"
    minute = tone(60.0, 220.0)
    with soundfile.SoundFile(path, "w", samplerate=RATE_HZ + 100, channels=1) as file:
        for _ in range(60):
            file.write(minute)
    return path


def assert_same(found: Recording, expected: Recording) -> None:
    assert found.heard == expected.heard
    assert len(found.waveforms) == len(expected.waveforms)
    for one, other in zip(found.waveforms, expected.waveforms, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("stretch", [(None, None), (2.0, 7.5)])
def test_a_worker_hears_what_the_processor_hears(
    pool: DecodePool, processor: MusicLLMProcessor, stretch: tuple[float | None, float | None]
) -> None:
    start, end = stretch
    expected = processor.listen(Audio(source=DEMO, start=start, end=end))
    for source in (DEMO, DEMO.read_bytes()):
        one = Audio(source=source, start=start, end=end)
        assert_same(pool.hear(one), expected)
        assert pool.heard_before(one) == expected.heard
        assert_same(asyncio.run(pool.hear_async(one)), expected)
    assert pool.heard_before(Audio(source=DEMO, start=1.25)) is None


def test_what_cannot_be_heard_is_told_and_the_next_one_is_heard(pool: DecodePool, music: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "many.wav", np.tile(tone(2.0, 220.0)[:, None], 30), RATE_HZ)
    broken = tone(2.0, 220.0)
    broken[777] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, RATE_HZ, subtype="FLOAT")
    bad: dict[str, tuple[Audio, type[AudioError]]] = {
        "is not audio that can be opened": (Audio(source=b"<html>" * 100), NotAudioError),
        "is 0 bytes": (Audio(source=b""), AudioError),
        "has 30 channels; at most 8 are accepted": (Audio(source=tmp_path / "many.wav"), AudioError),
        "samples that are not numbers": (Audio(source=(tmp_path / "nan.wav").read_bytes()), AudioError),
        "is silent": (Audio(source=music / "silent.wav"), AudioError),
        "does not exist": (Audio(source=music / "missing.wav"), AudioError),
        "cannot hear from start 5": (Audio(source=music / "one.wav", start=5.0, end=4.0), AudioError),
    }
    for sentence, (one, kind) in bad.items():
        with pytest.raises(AudioError, match=sentence) as caught:
            pool.hear(one)
        assert type(caught.value) is kind
        assert "\n" not in str(caught.value)
        assert pool.heard_before(one) is None
    assert pool.hear(Audio(source=music / "one.wav")).heard.seconds_heard == 2.0


def test_ten_hours_in_a_small_file_are_refused_without_decoding_them(pool: DecodePool, tmp_path: Path) -> None:
    path = tmp_path / "silence.flac"
    with soundfile.SoundFile(path, "w", samplerate=300, channels=1, subtype="PCM_16") as file:
        for _ in range(TEN_HOURS // 600):
            file.write(np.zeros(600 * 300, np.float32))
    assert path.stat().st_size < 40_000
    began = time.monotonic()
    with pytest.raises(AudioLimitError, match=r"lasts 600.0 minutes; at most 60 minutes are accepted"):
        pool.hear(Audio(source=path.read_bytes()))
    assert time.monotonic() - began < 5.0


def test_a_file_that_holds_more_than_it_declares(tmp_path: Path) -> None:
    """Matroska declares its length in one number, here changed from 61 s to 5 s."""
    import av

    path = tmp_path / "a.mka"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        samples = (tone(61.0, 220.0) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        container.mux([*stream.encode(frame), *stream.encode(None)])
    content = path.read_bytes()
    place = content.index(b"\x44\x89\x88") + 3
    lying = content[:place] + np.array(5000.0, ">f8").tobytes() + content[place + 8 :]
    assert audio.probe(lying).seconds == pytest.approx(5.0)
    with pytest.raises(AudioLimitError, match=r"lasts longer than the 0\.1 minutes it declares"):
        audio.hear(lying, sample_rate_hz=RATE_HZ, window_seconds=5.0, max_seconds=20.0)
    assert audio.hear(lying, sample_rate_hz=RATE_HZ, window_seconds=5.0, max_seconds=70.0).total_seconds > 60.0


def test_an_idle_worker_that_dies_is_replaced_unnoticed(pool: DecodePool, music: Path) -> None:
    pool.hear(Audio(source=music / "one.wav"))
    (before,) = pool.process_ids
    os.kill(before, signal.SIGSEGV)
    assert pool.hear(Audio(source=music / "two.wav")).heard.seconds_heard == 3.0
    assert pool.process_ids != [before]


@pytest.fixture
def slow(processor: MusicLLMProcessor, monkeypatch: pytest.MonkeyPatch) -> Iterator[DecodePool]:
    """Of an hour it decodes every second, which takes longer than it has."""
    monkeypatch.setattr(processor, "max_windows", 100_000)
    started = DecodePool(processor, ServeSettings(decode_workers=1, decode_seconds=1.5))
    yield started
    started.close()


def test_a_decoder_that_takes_too_long_is_stopped(slow: DecodePool, hour: Path, music: Path) -> None:
    with pytest.raises(AudioLimitError, match=r"was not decoded within 1.5 s"):
        slow.hear(Audio(source=hour))
    assert slow.hear(Audio(source=music / "one.wav")).heard.seconds_heard == 2.0


def test_a_recording_that_kills_its_decoder_fails_and_the_next_is_heard(
    processor: MusicLLMProcessor, monkeypatch: pytest.MonkeyPatch, hour: Path, music: Path
) -> None:
    monkeypatch.setattr(processor, "max_windows", 100_000)
    pool = DecodePool(processor, ServeSettings(decode_workers=1))
    pool.hear(Audio(source=music / "one.wav"))
    with ThreadPoolExecutor(1) as threads:
        crashing: Future[Recording] = threads.submit(pool.hear, Audio(source=hour))
        killed: set[int] = set()
        while not crashing.done():
            time.sleep(0.3)  # it is decoding by now; and so is its successor, which tries again
            for process_id in set(pool.process_ids) - killed:
                os.kill(process_id, signal.SIGSEGV)
                killed.add(process_id)
        with pytest.raises(AudioError, match="the decoder broke down on the given audio"):
            crashing.result()
    assert len(killed) == 2
    assert pool.hear(Audio(source=music / "two.wav")).heard.seconds_heard == 3.0
    pool.close()


def test_workers_end_with_their_parent_and_know_none_of_its_secrets(
    processor: MusicLLMProcessor, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "a secret")
    pool = DecodePool(processor, ServeSettings(decode_workers=2))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(pool.hear, [Audio(source=music / "one.wav")] * 4))
    for process_id in pool.process_ids:
        assert b"secret" not in Path(f"/proc/{process_id}/environ").read_bytes()
        maps = Path(f"/proc/{process_id}/maps").read_text()
        assert "torch" not in maps
    pool.close()
    assert pool.process_ids == []
