"""Files that were cut off are refused in every format, and no whole file is, whatever stands in its headers or after
its end.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import soundfile

from mllm import audio
from mllm.errors import AudioError
from tests.audio_files import ALL_FORMATS, RATE, make, tone, write_with_av

SECONDS = 6.0
MP3_WRITERS = {
    "constant": ({"b": "128000"}, {}),
    "constant, no length": ({"b": "64000"}, {"write_xing": "0"}),
    "constant, no length, no tag": ({"b": "320000"}, {"write_xing": "0", "id3v2_version": "0"}),
    "variable": ({"flags": "+qscale", "global_quality": "472"}, {}),
    "variable, no length": ({"flags": "+qscale", "global_quality": "472"}, {"write_xing": "0"}),
    "average": ({"abr": "1", "b": "96000"}, {}),
}
ID3V1 = b"TAG" + b"x" * 125
LYRICS = b"LYRICSBEGININD0000200000021LYRICS200"
TAILS = {
    "ID3v1": ID3V1,
    "APE": struct.pack("<8sIIII8x", b"APETAGEX", 2000, 32 + 20, 0, 1 << 31)
    + bytes(20)
    + struct.pack("<8sIIII8x", b"APETAGEX", 2000, 32 + 20, 0, 1 << 31),
    "lyrics, ID3v1": LYRICS + ID3V1,
    "zeros": bytes(3000),
    "ones": b"\xff" * 3000,
    "words": b"These are words, not sound.",
}


def mp3(folder: Path, writer: str, sample_rate_hz: int = 44_100) -> bytes:
    """An mp3 of 6 s; its frames have some hundreds of bytes."""
    codec_options, container_options = MP3_WRITERS[writer]
    path = folder / "x.mp3"
    frames = tone(SECONDS, sample_rate_hz, 2)
    write_with_av(
        path,
        "libmp3lame",
        frames,
        sample_rate_hz,
        codec_options=codec_options,
        container_options=container_options,
    )
    return path.read_bytes()


def assert_heard(data: bytes, seconds: float = SECONDS) -> None:
    assert audio.probe(data).seconds == pytest.approx(seconds, abs=0.25)
    assert audio.load(data, sample_rate_hz=RATE).total_seconds == pytest.approx(seconds, abs=0.25)


def was_heard(data: bytes) -> bool:
    try:
        audio.probe(data)
    except AudioError:
        return False
    return True


def assert_refused(data: bytes, match: str = "was cut off: ") -> None:
    for end in (None, 1.5):  # a piece that lies inside what is there is refused, too
        with pytest.raises(AudioError, match=match) as caught:
            audio.load(data, sample_rate_hz=RATE, end=end)
        assert "\n" not in str(caught.value)
    with pytest.raises(AudioError, match=match):
        list(audio.windows(data, sample_rate_hz=RATE, window_seconds=1.0, max_windows=3))
    with pytest.raises(AudioError, match=match):
        audio.probe(data)


@pytest.mark.parametrize("name", ALL_FORMATS)
@pytest.mark.parametrize("part", [0.3, 0.5, 0.97])
def test_a_file_that_was_cut_off_is_refused(
    tmp_path: Path, name: str, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = make(tmp_path, name, SECONDS).read_bytes()
    assert_refused(data[: int(len(data) * part)])
    assert capfd.readouterr() == ("", "")  # no chatter of the libraries


def test_the_sentence_says_what_is_there_what_was_announced_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    data = make(tmp_path, "mp3", 12.0).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError) as caught:
        audio.load(path, sample_rate_hz=RATE)
    assert str(caught.value) == (
        f"{path} was cut off: its header announces 12.02 s, of which 5.88 s are there; expected a whole file, so copy "
        "it again from its source or re-encode what can still be played, e.g. with ffmpeg"
    )
    wav = make(tmp_path, "wav 16", 12.0)
    assert_refused(wav.read_bytes()[:1_000_044], "2,304,000 bytes of sound are announced, 1,000,000 are there")
    flac = make(tmp_path, "flac", 12.0).read_bytes()
    assert_refused(flac[: len(flac) // 2], r"its header announces 12\.00 s, of which 6\.\d\d s are there")
    m4a = make(tmp_path, "m4a", 12.0).read_bytes()
    assert_refused(m4a[: m4a.find(b"moov") - 4], "the table of contents that says how to play them is not")


@pytest.mark.parametrize("writer", MP3_WRITERS)
@pytest.mark.parametrize("sample_rate_hz", [8_000, 24_000, 44_100])
def test_whole_mp3_files_are_heard_and_cut_ones_refused(tmp_path: Path, writer: str, sample_rate_hz: int) -> None:
    data = mp3(tmp_path, writer, sample_rate_hz)
    assert_heard(data)
    middle = len(data) // 2
    heard = [length for length in range(middle, middle + 40) if was_heard(data[:length])]
    assert len(heard) <= (2 if "no length" in writer else 0)  # a cut between two frames leaves no other trace
    if "no length" in writer:
        assert_refused(data[:-20], r"s are there, and of the last frame \d+ of \d+ bytes")


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("writer", ["constant", "constant, no length", "variable, no length"])
def test_tags_and_padding_after_an_mp3_are_no_truncation(tmp_path: Path, writer: str, tail: str) -> None:
    data = mp3(tmp_path, writer)
    assert_heard(data + TAILS[tail])


@pytest.mark.parametrize("tail", ["ID3v1", "APE", "lyrics, ID3v1"])
def test_a_tag_after_an_mp3_that_was_cut_off_hides_nothing(tmp_path: Path, tail: str) -> None:
    assert_refused(mp3(tmp_path, "constant, no length")[:-100] + TAILS[tail])


def test_a_length_header_that_is_a_little_wrong_is_harmless(tmp_path: Path) -> None:
    data = mp3(tmp_path, "constant")
    place = data.find(b"Info") + 8
    frames = int.from_bytes(data[place : place + 4])
    for wrong, is_heard in ((frames + 10, True), (frames - 50, True), (0, True), (frames * 2, False)):
        changed = data[:place] + wrong.to_bytes(4) + data[place + 4 :]
        if is_heard:
            assert_heard(changed)
        else:
            assert_refused(changed, r"announces 12\.\d+ s, of which 6\.\d+ s are there")


def test_an_mp3_cut_off_in_its_tag_is_refused(tmp_path: Path) -> None:
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 100, 0]) + bytes(12_800)
    data = tag + mp3(tmp_path, "constant, no length, no tag")
    assert_heard(data)
    assert_refused(data[:9_000], "12,810 bytes of the tag at its beginning are announced, 9,000 are there")


@pytest.mark.parametrize("container_bytes", [0, 0xFFFF_FFFF, None])
@pytest.mark.parametrize("sound_bytes", [0, 0xFFFF_FFFF, 0x7FFF_F000, None])
def test_a_wav_that_was_streamed_is_heard(tmp_path: Path, container_bytes: int | None, sound_bytes: int | None) -> None:
    data = make(tmp_path, "wav 16", SECONDS).read_bytes()
    assert data[36:40] == b"data"
    container = data[4:8] if container_bytes is None else struct.pack("<I", container_bytes)
    sound = data[40:44] if sound_bytes is None else struct.pack("<I", sound_bytes)
    streamed = data[:4] + container + data[8:40] + sound + data[44:]
    if sound_bytes == 0 and container_bytes is None:  # a file that counts all its parts, and its sound as nothing
        with pytest.raises(AudioError, match="zero length"):
            audio.load(streamed, sample_rate_hz=RATE)
    else:
        assert_heard(streamed)


def test_a_wav_that_counts_its_own_header_as_sound_is_heard(tmp_path: Path) -> None:
    data = make(tmp_path, "wav 16", SECONDS).read_bytes()
    assert_heard(data[:40] + struct.pack("<I", len(data)) + data[44:])


@pytest.mark.parametrize("format_name", ["RF64", "AIFF"])
def test_long_wav_and_aiff(tmp_path: Path, format_name: str) -> None:
    path = tmp_path / "x"
    soundfile.write(path, tone(SECONDS, 48_000), 48_000, format=format_name, subtype="PCM_16")
    data = path.read_bytes()
    assert_heard(data)
    assert_refused(data[: len(data) // 2], r"576,00\d bytes of sound are announced, 28")


def test_a_flac_that_was_streamed_is_heard(tmp_path: Path) -> None:
    data = bytearray(make(tmp_path, "flac", SECONDS).read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # samples in all: unknown
    assert_heard(bytes(data))


@pytest.mark.parametrize("name", ["ogg", "opus"])
def test_an_ogg_without_an_end_is_heard(tmp_path: Path, name: str) -> None:
    data = make(tmp_path, name, SECONDS).read_bytes()
    last_page = data.rfind(b"OggS")
    assert data[last_page + 5] & 4  # it marks the end of the stream
    without_end = data[:last_page]
    assert 1.0 < audio.load(without_end, sample_rate_hz=RATE).total_seconds < SECONDS
    assert_refused(data[: last_page + 3], "3 bytes are there of its last page")
    assert_refused(data[: last_page + 30], "30 bytes are there of its last page|of its last page are announced, 30")


@pytest.mark.parametrize("name", ["m4a", "mp4"])
@pytest.mark.parametrize("flags", ["+faststart", "+frag_keyframe+empty_moov"])
def test_mp4_with_its_table_of_contents_first(tmp_path: Path, name: str, flags: str) -> None:
    path = tmp_path / f"x.{name}"
    options = {"movflags": flags, "frag_duration": "500000"}
    write_with_av(path, "aac", tone(SECONDS, 48_000), 48_000, container_options=options)
    data = path.read_bytes()
    assert_heard(data)
    assert_refused(data[: len(data) * 2 // 3], "bytes of the file are announced")
    assert_heard(data + bytes(100))
    assert_heard(data + ID3V1)


@pytest.mark.parametrize(("name", "codec"), [("mkv", "flac"), ("webm", "libopus")])
def test_matroska_that_was_streamed_is_heard(tmp_path: Path, name: str, codec: str) -> None:
    path = tmp_path / f"x.{name}"
    write_with_av(path, codec, tone(SECONDS, 48_000), 48_000, container_options={"live": "1"})
    assert_heard(path.read_bytes())
