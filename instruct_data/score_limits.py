"""Whether a score file is whole and can be opened without harm, before anything parses it.

In: a path. Out: what is wrong with it, or nothing. Knows no music.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

MOST_BYTES = 8 << 20
"""Of a score file; the longest operas have a few megabytes."""
MOST_UNPACKED_BYTES = 24 << 20
_MOST_MEMBERS = 500
_XML_SUFFIXES = (".xml", ".musicxml")
_MIDI_SUFFIXES = (".mid", ".midi")


def problem_of(path: Path) -> str | None:
    """Why a score file is not opened, in words; None where it may be."""
    try:
        if not path.is_file():
            return "it is no file"
        size = path.stat().st_size
        if size == 0:
            return "it is empty"
        if size > MOST_BYTES:
            return f"it has {size / 1e6:.1f} MB, expected {MOST_BYTES / 1e6:.1f} MB at most"
        if path.suffix.lower() == ".mxl":
            return _problem_of_archive(path)
        if path.suffix.lower() in _XML_SUFFIXES and _declares_entities(path.read_bytes()):
            return _ENTITIES
        if path.suffix.lower() in _MIDI_SUFFIXES:
            return _problem_of_midi(path.read_bytes())
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        return f"it cannot be opened ({type(error).__name__}: {error})"
    return None


_ENTITIES = "it declares entities of its own (<!ENTITY), which no score needs and which can fill any memory"


def _problem_of_archive(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        unpacked = sum(member.file_size for member in members)
        if unpacked > MOST_UNPACKED_BYTES or len(members) > _MOST_MEMBERS:
            return (
                f"it unpacks to {unpacked / 1e6:.1f} MB in {len(members)} files, expected "
                f"{MOST_UNPACKED_BYTES / 1e6:.1f} MB in {_MOST_MEMBERS} at most"
            )
        # What a member has beyond the size it states is never read.
        texts = (archive.read(member) for member in members if Path(member.filename).suffix.lower() in _XML_SUFFIXES)
        return _ENTITIES if any(_declares_entities(text) for text in texts) else None


def _problem_of_midi(content: bytes) -> str | None:
    """Chunks that are cut off are read by most libraries as if the music ended there."""
    if content[:4] != b"MThd":
        return "it is damaged or no MIDI file (it does not begin with MThd)"
    place = tracks = 0
    while place < len(content):
        size = int.from_bytes(content[place + 4 : place + 8], "big")
        there = len(content) - place - 8
        if there < size:
            return f"it is damaged or cut off: {max(there, 0)} bytes are there where {size} are announced"
        tracks += content[place : place + 4] == b"MTrk"
        place += 8 + size
    stated = int.from_bytes(content[10:12], "big")
    return f"it is damaged or cut off: {tracks} tracks of {stated} are there" if tracks < stated else None


def _declares_entities(text: bytes) -> bool:
    """Whatever the encoding: UTF-16 has a zero byte beside each letter."""
    return b"<!entity" in text.replace(b"\0", b"").lower()
