"""Frames of mp3, mp2 and raw aac files: the length that a file announces, and whether its last frame is whole.

Bytes of an open file in, numbers out. Reads the first frame and the last 64 KiB, decodes nothing, and passes over tags
(ID3, APE, Lyrics3) and padding, wherever they stand. Knows nothing of messages.
"""

from __future__ import annotations

import dataclasses
from typing import IO

_SEARCHED_BYTES = 65_536
"""How far the first frame is looked for, and how much of the end is read; a frame has 8191 bytes at most."""
_CHAIN = 3
"""So many frames must follow each other before bytes that look like a frame's header are taken for one."""

_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Sample rates by MPEG version as it is coded: 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5."""
_KILOBITS = {
    (3, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Kilobits a second by version (MPEG-2.5 as MPEG-2) and layer as they are coded: layer 3 is I, 2 is II, 1 is III."""


@dataclasses.dataclass(frozen=True)
class _Frame:
    """What the header of a frame says."""

    kind: tuple[int, int, int]
    """Version, layer (0: aac) and sample rate, the same in all frames of a file."""
    length_bytes: int
    """Its length, header included."""
    samples: int
    """Samples in it, of each channel."""


def announced_seconds(file: IO[bytes]) -> float | None:
    """Length by the Xing, Info or VBRI header in the first frame of an mp3; None where there is no such header."""
    beginning, start = _beginning(file)
    if start is None:
        return None
    frame = _frame_at(beginning, start)
    assert frame is not None
    version, layer, rate_hz = frame.kind
    if layer != 1:
        return None
    mono = beginning[start + 3] >> 6 == 3
    side_bytes = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    xing = start + 4 + side_bytes
    vbri = start + 4 + 32
    if beginning[xing : xing + 4] in (b"Xing", b"Info") and beginning[xing + 7] & 1:
        frames = int.from_bytes(beginning[xing + 8 : xing + 12])
    elif beginning[vbri : vbri + 4] == b"VBRI":
        frames = int.from_bytes(beginning[vbri + 14 : vbri + 18])
    else:
        return None
    return frames * frame.samples / rate_hz


def incomplete_last_frame(file: IO[bytes]) -> tuple[int, int] | None:
    """Bytes that are there of the last frame and bytes that its header announces; None if it is whole.

    None, too, where no frames are found at the end: then nothing tells.
    """
    beginning, start = _beginning(file)
    first = None if start is None else _frame_at(beginning, start)
    if first is None:
        return None
    sound_end = _without_tags(file)
    file.seek(max(0, sound_end - _SEARCHED_BYTES))
    tail = file.read(sound_end - file.tell())
    position = _chain_from(tail, 0, first.kind)
    length = 0
    while position is not None and position < len(tail):
        frame = _frame_at(tail, position)
        rest = tail[position : position + 6]
        if frame is not None and frame.kind == first.kind:
            length = frame.length_bytes
            if position + length > len(tail):
                return len(tail) - position, length
            position += length
        elif len(rest) < 6 and rest[:2] == tail[position - length :][: min(2, len(rest))]:
            return len(rest), length  # not even the header is whole: the frame before tells about how long it was
        else:
            position = _chain_from(tail, position, first.kind)  # past a tag or padding, if frames go on there
    return None


def id3_bytes(beginning: bytes) -> int:
    """Length of an ID3v2 tag that stands at the beginning of the given bytes (10 suffice); 0: there is none."""
    if len(beginning) < 10 or beginning[:3] != b"ID3":
        return 0
    seven_bits = [byte & 0x7F for byte in beginning[6:10]]
    length = seven_bits[0] << 21 | seven_bits[1] << 14 | seven_bits[2] << 7 | seven_bits[3]
    return 10 + length + (10 if beginning[5] & 0x10 else 0)


def _beginning(file: IO[bytes]) -> tuple[bytes, int | None]:
    """Bytes after the tags at the beginning, and where the first frame stands in them; None: no frames."""
    position = 0
    while True:
        file.seek(position)
        tag = id3_bytes(file.read(10))
        if not tag:
            break
        position += tag
    file.seek(position)
    beginning = file.read(_SEARCHED_BYTES)
    return beginning, _chain_from(beginning, 0, None)


def _chain_from(data: bytes, position: int, kind: tuple[int, int, int] | None) -> int | None:
    """Where, at `position` or later, frames of a kind (None: any one kind) begin to follow each other."""
    while (position := data.find(b"\xff", position)) >= 0:
        if _is_chain(data, position, kind):
            return position
        position += 1
    return None


def _is_chain(data: bytes, position: int, kind: tuple[int, int, int] | None) -> bool:
    for _ in range(_CHAIN):
        frame = _frame_at(data, position)
        if frame is None or (kind is not None and frame.kind != kind):
            return False
        kind = frame.kind
        position += frame.length_bytes
    return True


def _frame_at(data: bytes, position: int) -> _Frame | None:
    """What the header at a position says; None if there is none, or one that does not tell the frame's length."""
    header = data[position : position + 6]
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    if layer == 0:
        return _aac_frame(header)
    bitrate, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return None
    bits_per_second = 1000 * _KILOBITS[3 if version == 3 else 2, layer][bitrate - 1]
    rate_hz = _RATES_HZ[version][rate]
    slot_bytes = 4 if layer == 3 else 1
    samples = 384 if layer == 3 else 576 if layer == 1 and version != 3 else 1152
    slots = samples // 8 // slot_bytes * bits_per_second // rate_hz + (header[2] >> 1 & 1)
    return _Frame((version, layer, rate_hz), slots * slot_bytes, samples)


def _aac_frame(header: bytes) -> _Frame | None:
    rate = header[2] >> 2 & 15
    if len(header) < 6 or header[1] & 0xF6 != 0xF0 or rate > 12:
        return None
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return _Frame((header[1] >> 3 & 1, 0, rate), length, 1024) if length >= 7 else None


def _without_tags(file: IO[bytes]) -> int:
    """Where the sound ends: the length of the file without the tags at its end."""
    end = file.seek(0, 2)
    while True:
        file.seek(max(0, end - 160))
        last = file.read(end - file.tell())
        if last[-128:].startswith(b"TAG") and len(last) >= 128:
            tag = 128  # ID3v1
        elif last[-32:].startswith(b"APETAGEX"):
            tag = int.from_bytes(last[-20:-16], "little") + (32 if last[-9] & 0x80 else 0)
        elif last.endswith(b"LYRICS200") and last[-15:-9].isdigit():
            tag = int(last[-15:-9]) + 15
        else:
            break
        if tag > end:
            break
        end -= tag
    return end
