"""Tests of `mllm.audio`: files written here in every format, range, windows, memory, and every kind of bad input."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mllm import audio
from mllm.errors import AudioError
from tests.audio_files import ALL_FORMATS, RATE, SOUND_FILE_FORMATS, make, tone

ALWAYS_48_KHZ = {"opus", "webm"}
EXACT_PLACE = {name for name in ALL_FORMATS if name not in ("mkv", "webm")}


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_every_format_is_heard_as_what_was_written(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name, 3.0)
    clip = audio.load(path, sample_rate_hz=RATE)
    assert clip.samples.dtype == np.float32
    assert clip.samples.ndim == 1
    assert clip.total_seconds == pytest.approx(3.0, abs=0.06)
    expected = tone(3.0, RATE)[:, 0]
    middle = slice(RATE // 2, 5 * RATE // 2)
    # AAC in a bare stream carries its encoder's delay (1024 samples) with it; the others are in place.
    shift = 512 if name == "aac" else 0
    heard = np.roll(clip.samples, -shift)[middle]
    assert np.abs(heard - expected[middle]).max() < (
        SOUND_FILE_FORMATS[name][3] if name in SOUND_FILE_FORMATS else 0.05
    )
    info = audio.probe(path)
    assert (info.sample_rate_hz, info.channels) == (48_000, 2)
    assert info.seconds == pytest.approx(clip.total_seconds, abs=0.05)


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_bytes_are_heard_like_the_file(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name, 1.5)
    from_path = audio.load(path, sample_rate_hz=RATE)
    from_bytes = audio.load(path.read_bytes(), sample_rate_hz=RATE)
    np.testing.assert_array_equal(from_path.samples, from_bytes.samples)


@pytest.mark.parametrize("sample_rate_hz", [8_000, 11_025, 22_050, 24_000, 44_100, 44_099, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 8])
def test_rates_and_channels(tmp_path: Path, sample_rate_hz: int, channels: int) -> None:
    soundfile.write(tmp_path / "x.wav", tone(2.0, sample_rate_hz, channels), sample_rate_hz, subtype="FLOAT")
    clip = audio.load(tmp_path / "x.wav", sample_rate_hz=RATE)
    assert len(clip.samples) == 2 * RATE
    expected = tone(2.0, RATE)[:, 0]
    assert np.abs(clip.samples - expected)[1000:-1000].max() < 2e-3


def test_channels_are_averaged(tmp_path: Path) -> None:
    frames = np.stack([np.full(RATE * 2, 0.6), np.full(RATE * 2, -0.2), np.full(RATE * 2, 0.2)], axis=1)
    soundfile.write(tmp_path / "x.wav", frames, RATE, subtype="FLOAT")
    np.testing.assert_allclose(audio.load(tmp_path / "x.wav", sample_rate_hz=RATE).samples, 0.2, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "sample_rate_hz"),
    [(name, rate) for name in ALL_FORMATS for rate in (44_100, 48_000) if name not in ALWAYS_48_KHZ or rate == 48_000],
)
def test_a_piece_equals_that_piece_of_the_whole(tmp_path: Path, name: str, sample_rate_hz: int) -> None:
    path = make(tmp_path, name, 9.0, sample_rate_hz)
    whole = audio.load(path, sample_rate_hz=RATE)
    piece = audio.load(path, sample_rate_hz=RATE, start=4.3, end=6.9)
    assert piece.start_seconds == pytest.approx(4.3)
    assert len(piece.samples) == round(6.9 * RATE) - round(4.3 * RATE)
    expected = whole.samples[round(4.3 * RATE) : round(6.9 * RATE)]
    if name in EXACT_PLACE:
        # Measured at most 3e-6: float32 sums that begin elsewhere.
        assert np.abs(piece.samples - expected).max() < 2e-5
    else:
        # Matroska's time stamps are whole milliseconds; half a millisecond of 440 Hz is 1.4 rad at the worst.
        spectrum, wanted = np.abs(np.fft.rfft(piece.samples)), np.abs(np.fft.rfft(expected))
        assert spectrum.argmax() == wanted.argmax()
        shifts = [np.abs(piece.samples[50:-50] - np.roll(expected, s)[50:-50]).max() for s in range(-24, 25)]
        assert min(shifts) < 0.01


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.floats(0, 4), length=st.floats(1.01, 3), rate=st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100]))
def test_any_piece_equals_that_piece_of_the_whole(tmp_path: Path, start: float, length: float, rate: int) -> None:
    path = tmp_path / "piece.flac"
    if not path.exists():
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, 8 * 44_100).astype(np.float32)
        soundfile.write(path, noise, 44_100)
    whole = audio.load(path, sample_rate_hz=rate).samples
    piece = audio.load(path, sample_rate_hz=rate, start=start, end=start + length)
    expected = whole[round(start * rate) : round((start + length) * rate)]
    assert len(piece.samples) == len(expected)
    assert np.abs(piece.samples - expected).max() < 1e-5


def test_an_end_beyond_the_file_is_heard_to_its_end(tmp_path: Path) -> None:
    path = make(tmp_path, "wav 16", 3.0)
    clip = audio.load(path, sample_rate_hz=RATE, start=1.0, end=60.0)
    assert audio.seconds_heard([clip]) == pytest.approx(2.0)
    assert clip.total_seconds == pytest.approx(3.0)


@pytest.mark.parametrize("name", ["wav 24", "mp3", "m4a"])
def test_windows_are_pieces_of_the_whole(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name, 8.2, 44_100)
    whole = audio.load(path, sample_rate_hz=RATE).samples
    heard = list(audio.windows(path, sample_rate_hz=RATE, window_seconds=2.0, overlap_seconds=0.5))
    assert [len(window.samples) for window in heard] == [2 * RATE] * len(heard)
    assert [window.start_seconds for window in heard[:-1]] == [1.5 * i for i in range(len(heard) - 1)]
    assert heard[-1].end_seconds == pytest.approx(len(whole) / RATE)
    assert audio.seconds_heard(heard) == pytest.approx(len(whole) / RATE)
    for window in heard:
        begin = round(window.start_seconds * RATE)
        np.testing.assert_array_equal(window.samples, whole[begin : begin + 2 * RATE])  # one stream: bit for bit


def test_windows_of_an_exact_multiple_have_no_remainder(tmp_path: Path) -> None:
    path = make(tmp_path, "wav 16", 6.0, 44_100)
    heard = list(audio.windows(path, sample_rate_hz=RATE, window_seconds=2.0))
    assert [window.start_seconds for window in heard] == [0.0, 2.0, 4.0]


def test_a_short_file_is_one_short_window(tmp_path: Path) -> None:
    path = make(tmp_path, "wav 16", 3.0)
    (window,) = audio.windows(path, sample_rate_hz=RATE, window_seconds=10.0)
    assert len(window.samples) == 3 * RATE


@pytest.mark.parametrize("name", ["wav 16", "mp3", "m4a", "opus", "flac"])
def test_few_windows_are_spread_from_the_first_to_the_last(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name, 14.0)
    whole = audio.load(path, sample_rate_hz=RATE).samples
    heard = list(audio.windows(path, sample_rate_hz=RATE, window_seconds=2.0, max_windows=4))
    assert len(heard) == 4
    assert heard[0].start_seconds == 0.0
    assert heard[-1].end_seconds == pytest.approx(len(whole) / RATE, abs=0.05)
    assert np.diff([window.start_seconds for window in heard]) == pytest.approx([4.0] * 3, abs=0.05)
    assert audio.seconds_heard(heard) == pytest.approx(8.0)
    for window in heard:
        begin = round(window.start_seconds * RATE)
        assert np.abs(window.samples - whole[begin : begin + len(window.samples)]).max() < 2e-5


def test_few_windows_of_a_piece_stay_in_the_piece(tmp_path: Path) -> None:
    path = make(tmp_path, "wav 16", 20.0)
    settings_ = {"sample_rate_hz": RATE, "window_seconds": 1.0, "start": 5.0, "end": 15.0}
    heard = list(audio.windows(path, max_windows=3, **settings_))  # type: ignore[arg-type]
    assert [window.start_seconds for window in heard] == [5.0, 9.5, 14.0]
    (one,) = audio.windows(path, max_windows=1, **settings_)  # type: ignore[arg-type]
    assert one.start_seconds == 9.5


def test_enough_windows_allowed_means_all_of_them(tmp_path: Path) -> None:
    path = make(tmp_path, "wav 16", 5.0)
    heard = list(audio.windows(path, sample_rate_hz=RATE, window_seconds=2.0, max_windows=3))
    assert [window.start_seconds for window in heard] == [0.0, 2.0, 3.0]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seconds=st.floats(1.0, 6.0),
    window_seconds=st.floats(0.3, 7.0),
    overlap=st.floats(0.0, 0.9),
    max_windows=st.none() | st.integers(1, 5),
)
def test_windows_cover_what_they_should(
    tmp_path: Path, seconds: float, window_seconds: float, overlap: float, max_windows: int | None
) -> None:
    rate = 8_000
    soundfile.write(tmp_path / "cover.wav", tone(seconds, rate), rate)
    frames = round(seconds * rate)
    heard = list(
        audio.windows(
            tmp_path / "cover.wav",
            sample_rate_hz=rate,
            window_seconds=window_seconds,
            overlap_seconds=overlap * window_seconds,
            max_windows=max_windows,
        )
    )
    expected_length = min(frames, round(window_seconds * rate))
    assert {len(window.samples) for window in heard} == {expected_length}
    starts = [window.start_seconds for window in heard]
    assert starts == sorted(set(starts))
    assert max_windows is None or len(heard) <= max_windows
    if max_windows is None:
        assert audio.seconds_heard(heard) == pytest.approx(frames / rate)
    if max_windows != 1:
        assert heard[-1].end_seconds == pytest.approx(frames / rate)


def test_overlaps_are_heard_once() -> None:
    def window(start: float, seconds: float) -> audio.Window:
        return audio.Window(start, np.zeros(round(seconds * 100), np.float32), 100)

    assert audio.seconds_heard([]) == 0.0
    assert audio.seconds_heard([window(0, 2), window(1, 2), window(10, 1), window(10.5, 0.2)]) == pytest.approx(4.0)


def test_a_long_file_never_lies_in_memory(tmp_path: Path) -> None:
    """Twenty minutes at 24 kHz are 115 MB as float32; three windows of 10 s are 3 MB. Measured peak: 6 MB."""
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", samplerate=8_000, channels=1, subtype="PCM_U8") as file:
        minute = tone(60.0, 8_000)
        for _ in range(20):
            file.write(minute)
    tracemalloc.start()
    heard = sum(len(window.samples) for window in audio.windows(path, sample_rate_hz=RATE, window_seconds=10.0))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert heard == 1200 * RATE
    assert peak_bytes < 12e6


def test_a_variable_rate_mp3_without_a_length_header_is_heard_to_its_end(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = np.concatenate([rng.uniform(-0.4, 0.4, 44_100 * 5), tone(25.0, 44_100)[:, 0] * 0.02]).astype(np.float32)
    path = tmp_path / "x.mp3"
    soundfile.write(path, frames, 44_100, format="MP3", bitrate_mode="VARIABLE", compression_level=0.3)
    data = path.read_bytes()
    headerless = data[data.find(data[:2], 100) :]  # without the first frame, which tells the length
    assert audio.probe(headerless).seconds == pytest.approx(30.0, abs=0.1)
    assert audio.load(headerless, sample_rate_hz=RATE).total_seconds == pytest.approx(30.0, abs=0.1)


@pytest.mark.parametrize("name", ["mp3", "flac", "m4a", "ogg", "webm"])
def test_a_file_truncated_to_nothing_is_an_error(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name, 4.0)
    path.write_bytes(path.read_bytes()[:120])
    with pytest.raises(AudioError, match=r"x\.\w+"):
        audio.load(path, sample_rate_hz=RATE)


def wav(path: Path, samples: npt.NDArray[np.floating], sample_rate_hz: int = RATE) -> Path:
    soundfile.write(path, samples, sample_rate_hz, subtype="FLOAT")
    return path


def bad_inputs(folder: Path) -> dict[str, tuple[Path | bytes, str]]:
    text = folder / "text.wav"
    text.write_text("This is a letter, not music.\n" * 200)
    (folder / "empty.mp3").touch()
    nan = tone(2.2, RATE)
    nan[RATE * 2] = np.nan
    infinite = tone(2.2, RATE)
    infinite[RATE] = np.inf
    playlist = folder / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{text}\n#EXT-X-ENDLIST\n")
    (folder / "x.raw").write_bytes(bytes(100_000))
    return {
        "missing": (folder / "none.mp3", "does not exist"),
        "directory": (folder, "is a directory"),
        "empty": (folder / "empty.mp3", "is empty"),
        "empty bytes": (b"", "0 bytes"),
        "text": (text, "not audio that can be opened"),
        "text bytes": (b"hello" * 1000, "the given audio is not audio"),
        "playlist": (playlist, "not audio that can be opened"),
        "headerless": (folder / "x.raw", "not audio that can be opened"),
        "zero length": (wav(folder / "zero.wav", np.zeros(0)), "zero length"),
        "silence": (wav(folder / "silence.wav", np.zeros(RATE * 3)), "is silent"),
        "near silence": (wav(folder / "hiss.wav", tone(3.0, RATE) * 1e-4), "is silent"),
        "nan": (wav(folder / "nan.wav", nan), r"NaN or infinite\), the first at 2\.000 s"),
        "infinite": (wav(folder / "inf.wav", infinite), r"the first at 1\.000 s"),
        "short": (wav(folder / "short.wav", tone(0.2, RATE)), r"has 0\.20 s of sound .* expected at least 1 s"),
    }


BAD_INPUTS = [
    "missing",
    "directory",
    "empty",
    "empty bytes",
    "text",
    "text bytes",
    "playlist",
    "headerless",
    "zero length",
    "silence",
    "near silence",
    "nan",
    "infinite",
    "short",
]


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_is_one_clear_sentence(tmp_path: Path, case: str) -> None:
    inputs = bad_inputs(tmp_path)
    assert sorted(inputs) == sorted(BAD_INPUTS)
    source, message = inputs[case]
    with pytest.raises(AudioError, match=message) as caught:
        audio.load(source, sample_rate_hz=RATE)
    assert "\n" not in str(caught.value)
    with pytest.raises(AudioError, match=message):
        list(audio.windows(source, sample_rate_hz=RATE, window_seconds=2.0))
    with pytest.raises(AudioError, match=message):
        list(audio.windows(source, sample_rate_hz=16_000, window_seconds=1.2, max_windows=2))


def test_a_video_without_sound_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match="no sound in it"):
        audio.load(path, sample_rate_hz=RATE)


def test_silence_is_heard_where_sound_is_not_required(tmp_path: Path) -> None:
    path = wav(tmp_path / "silence.wav", np.zeros(RATE * 3))
    assert not audio.load(path, sample_rate_hz=RATE, require_sound=False).samples.any()
    assert len(list(audio.windows(path, sample_rate_hz=RATE, window_seconds=1.0, require_sound=False))) == 3


@pytest.mark.parametrize("start", [1e6, 1e9, 1e30, 1.7e308])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_a_piece_far_behind_the_end_is_an_error(tmp_path: Path, name: str, start: float) -> None:
    soundfile.write(tmp_path / name, 0.5 * np.sin(np.arange(48000) / 20), 24000)
    with pytest.raises(AudioError, match=r"0\.00 s of sound"):
        audio.load(tmp_path / name, sample_rate_hz=24000, start=start)
    piece = audio.load(tmp_path / name, sample_rate_hz=24000, start=0.5, end=start)
    assert len(piece.samples) > 1.4 * 24000


@pytest.mark.parametrize(
    ("start", "end"), [(-1.0, None), (2.0, 2.0), (2.0, 1.0), (float("nan"), None), (0, float("inf"))]
)
def test_an_impossible_piece_is_an_error(tmp_path: Path, start: float, end: float | None) -> None:
    path = wav(tmp_path / "x.wav", tone(3.0, RATE))
    with pytest.raises(AudioError, match="expected 0 <= start < end"):
        audio.load(path, sample_rate_hz=RATE, start=start, end=end)


def test_a_piece_beyond_the_end_says_how_long_the_file_is(tmp_path: Path) -> None:
    path = wav(tmp_path / "x.wav", tone(3.0, RATE))
    for max_windows in (None, 2):
        with pytest.raises(AudioError, match=r"from 10 s to its end has 0\.00 s of sound \(the whole: 3\.00 s\)"):
            list(audio.windows(path, sample_rate_hz=RATE, window_seconds=2, start=10.0, max_windows=max_windows))
    with pytest.raises(AudioError, match=r"from 10 s to 20 s has 0\.00 s of sound \(the whole: 3\.00 s\)"):
        audio.load(path, sample_rate_hz=16_000, start=10.0, end=20.0)


@pytest.mark.parametrize(
    ("window_seconds", "overlap_seconds", "max_windows"), [(0, 0, None), (2, 2, None), (2, -1, None), (2, 0, 0)]
)
def test_impossible_windows_are_an_error(
    tmp_path: Path, window_seconds: float, overlap_seconds: float, max_windows: int | None
) -> None:
    path = wav(tmp_path / "x.wav", tone(3.0, RATE))
    cut = audio.windows(
        path,
        sample_rate_hz=RATE,
        window_seconds=window_seconds,
        overlap_seconds=overlap_seconds,
        max_windows=max_windows,
    )
    with pytest.raises(AudioError, match="cannot be cut"):
        next(cut)
