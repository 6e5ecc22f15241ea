"""What is missing from a file that was cut off, as its container tells: an open file in, a part of a sentence out.

Reads headers and the end only, so that it costs the same for a second and for hours, and judges what a container
announces in bytes; lengths in seconds are compared in `mllm.decode`, where they are known. Streams that announce no
length are whole wherever they end. Decodes nothing and knows nothing of libraries.
"""

from __future__ import annotations

from typing import IO, Literal

from mllm.mpeg_frames import id3_bytes

_TOLERATED_BYTES = 1024
"""So much more than there is may a wav or aiff announce: some writers count their own header as sound."""
_STREAMED_BYTES = 0x7FFF_0000
"""Writers that cannot go back to fill in the length of a wav or aiff leave this or more there (or nothing)."""
_OGG_PAGE_BYTES = 65_307
"""An Ogg page is never longer."""
_MP4_BOXES_FIRST = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_MP4_BOXES_NEEDED = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"moof"})
"""Boxes without which sound is missing; tags and padding at the end may be cut."""
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def missing(file: IO[bytes]) -> str | None:
    """What a wav, aiff, ogg, mp4, Matroska or tagged file announces and how much of it is there; None: nothing tells.

    Worded to follow "FILE was cut off: ".
    """
    size = file.seek(0, 2)
    beginning = _read(file, 0, 12)
    if beginning[:4] in (b"RIFF", b"RF64") and beginning[8:] == b"WAVE":
        return _chunks(file, size, b"data", "little")
    if beginning[:4] == b"FORM" and beginning[8:] in (b"AIFF", b"AIFC"):
        return _chunks(file, size, b"SSND", "big")
    if beginning[:4] == b"OggS":
        return _ogg(file, size)
    if beginning[4:8] in _MP4_BOXES_FIRST:
        return _mp4(file, size)
    if beginning[:4] == _EBML:
        return _matroska(file, size)
    tag = id3_bytes(beginning)
    return _bytes_missing("the tag at its beginning", tag, size) if tag > size else None


def announces_no_length(file: IO[bytes]) -> bool:
    """Whether it is a stream that was written without its length: a flac of 0 samples, or a wav of 0 bytes with sound.

    (A wav that announces as much as can be is not meant: every library hears that to its end.)
    """
    size = file.seek(0, 2)
    beginning = _read(file, 0, 26)
    if beginning[:4] == b"fLaC":
        return len(beginning) == 26 and not beginning[21] & 0x0F and not any(beginning[22:26])
    if beginning[:4] != b"RIFF" or beginning[8:12] != b"WAVE":
        return False
    place = _find_chunk(file, size, b"data", "little")
    if place is None or place[1] != 0:
        return False
    end = 8 + int.from_bytes(beginning[4:8], "little")
    return not place[0] < end <= size and place[0] < size  # nor does the container count what follows


def _chunks(file: IO[bytes], size: int, sound: bytes, order: Literal["little", "big"]) -> str | None:
    place = _find_chunk(file, size, sound, order)
    if place is None:
        return f"{size:,} bytes are there and no sound among them, only headers"
    start, length = place
    return _bytes_missing("sound", length or 0, size - start, tolerated=_TOLERATED_BYTES)


def _find_chunk(
    file: IO[bytes], size: int, wanted: bytes, order: Literal["little", "big"]
) -> tuple[int, int | None] | None:
    """Where the contents of a chunk of a RIFF or FORM file begin, and its bytes (None: a stream's); None: no such."""
    position = 12
    while position + 8 <= size:
        header = _read(file, position, 8)
        length = int.from_bytes(header[4:], order)
        if header[:4] == wanted:
            if length < _STREAMED_BYTES:
                return position + 8, length
            return position + 8, _long_length(file)
        position += 8 + length + length % 2
    return None


def _long_length(file: IO[bytes]) -> int | None:
    """Bytes of sound by the 64 bits of an RF64 file; None for any other file, and for a stream."""
    header = _read(file, 0, 36)
    if header[:4] != b"RF64" or header[12:16] != b"ds64" or len(header) < 36:
        return None
    length = int.from_bytes(header[28:36], "little")
    return length if length < 1 << 63 else None


def _ogg(file: IO[bytes], size: int) -> str | None:
    """The last page, found by following pages through the end of the file, must be whole."""
    start = max(0, size - 2 * _OGG_PAGE_BYTES)
    tail = _read(file, start, size - start)
    position = tail.find(b"OggS")
    while 0 <= position < len(tail):
        header = tail[position : position + 27]
        if not header.startswith(b"OggS"):
            if b"OggS".startswith(header):
                return f"{len(header)} bytes are there of its last page, not even its header"
            position = tail.find(b"OggS", position)
            continue
        lengths = tail[position + 27 : position + 27 + (header[26] if len(header) == 27 else 0)]
        if len(header) < 27 or len(lengths) < header[26]:
            return f"{len(tail) - position} bytes are there of its last page, not even its header"
        length = 27 + len(lengths) + sum(lengths)
        if position + length > len(tail):
            return _bytes_missing("its last page", length, len(tail) - position)
        position += length
    return None


def _mp4(file: IO[bytes], size: int) -> str | None:
    position, has_index = 0, False
    while position + 8 <= size:
        header = _read(file, position, 16)
        kind, length = header[4:8], int.from_bytes(header[:4])
        if length == 1:
            length = int.from_bytes(header[8:])
        elif length == 0:
            length = size - position
        if length < 8 or (position + length > size and kind not in _MP4_BOXES_NEEDED):
            return None if has_index else _no_index(size)
        if position + length > size:
            return _bytes_missing("the file", position + length, size)
        has_index = has_index or kind == b"moov"
        position += length
    return None if has_index else _no_index(size)


def _no_index(size: int) -> str:
    return f"{size:,} bytes are there, and the table of contents that says how to play them is not (box moov)"


def _matroska(file: IO[bytes], size: int) -> str | None:
    _, header_end = _matroska_length(file, 4)
    if header_end > size or _read(file, header_end, 4) != _SEGMENT:
        return None
    length, end = _matroska_length(file, header_end + 4)
    return None if length is None else _bytes_missing("the file", end, size)


def _matroska_length(file: IO[bytes], position: int) -> tuple[int | None, int]:
    """Announced length of the element whose length stands here (None: a stream's), and where the element ends."""
    number = _read(file, position, 8)
    width = 9 - number[0].bit_length() if number else 1
    value = int.from_bytes(number[:width]) & ((1 << 7 * width) - 1)
    unknown = value == (1 << 7 * width) - 1
    return None if unknown else value, position + width + value


def _bytes_missing(what: str, announced: int, there: int, *, tolerated: int = 0) -> str | None:
    if there + tolerated >= announced:
        return None
    return f"{announced:,} bytes of {what} are announced, {there:,} are there"


def _read(file: IO[bytes], position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)
