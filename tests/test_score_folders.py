"""Folders of anybody's scores: what is read, and that what is not is named, with its reason, and does no harm."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pretty_midi
import pytest

from mllm.errors import ConfigError
from mllm.instruct_data import score_limits
from mllm.instruct_data.library import ScoreFolder, load_tunes
from mllm.instruct_data.score_readers import read_folder
from mllm.instruct_data.scores import Tune

MELODY_ABC = """X:{number}
T:A Made-up Waltz {number}
M:{meter}
L:1/4
K:G
D|G A B|c B A|G B d|g2 d|e d c|B A G|A F D|G2 D|
G A B|c B A|G B d|g2 d|e d c|B A G|A F A|G2|]
"""
C_MAJOR = [60, 64, 67, 72, 71, 67, 65, 62, 64, 60, 62, 59, 60, 67, 64, 60] * 3
CHROMATIC = [60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71] * 4


def write_midi(path: Path, pitches: list[int], *, drums: bool = False) -> None:
    """Quarter notes in 4/4 without a key signature."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=120)
    midi.time_signature_changes.append(pretty_midi.TimeSignature(4, 4, 0.0))
    track = pretty_midi.Instrument(0)
    for index, pitch in enumerate(pitches):
        track.notes.append(pretty_midi.Note(velocity=90, pitch=pitch, start=index * 0.5, end=index * 0.5 + 0.5))
    midi.instruments.append(track)
    if drums:
        kit = pretty_midi.Instrument(0, is_drum=True)
        for index in range(len(pitches)):
            kit.notes.append(pretty_midi.Note(velocity=90, pitch=37, start=index * 0.5, end=index * 0.5 + 0.5))
        midi.instruments.append(kit)
    midi.write(str(path))


def read(folder: Path, **options: float) -> tuple[list[Tune], dict[str, str]]:
    told: dict[str, str] = {}
    tunes = list(
        read_folder(folder, licence="CC0-1.0", tell=lambda path, why: told.update({path.name: why}), **options)
    )
    return tunes, told


def test_what_is_no_score_is_named_with_its_reason_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "good.abc").write_text(MELODY_ABC.format(number=1, meter="3/4"))
    (tmp_path / "five.abc").write_text(MELODY_ABC.format(number=1, meter="5/4"))
    (tmp_path / "torn.mid").write_bytes(b"MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0\1\0broken")
    write_midi(tmp_path / "half.mid", C_MAJOR)
    (tmp_path / "half.mid").write_bytes((tmp_path / "half.mid").read_bytes()[:300])
    (tmp_path / "no.mid").write_bytes(b"no MIDI")
    (tmp_path / "no.mxl").write_bytes(b"no archive")
    (tmp_path / "torn.musicxml").write_text('<?xml version="1.0"?><score-partwise><part-list>')
    (tmp_path / "empty.mid").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not asked about")
    tunes, told = read(tmp_path)
    assert [(tune.id, tune.key) for tune in tunes] == [(f"{tmp_path.name}/deeper/good.abc", "G major")]
    assert sorted(told) == [*("empty.mid", "five.abc", "half.mid", "no.mid", "no.mxl", "torn.mid", "torn.musicxml")]
    assert "5/4" in told["five.abc"]
    assert "is empty" in told["empty.mid"]
    assert "BadZipFile" in told["no.mxl"]
    assert "6 bytes are there where 256 are announced" in told["torn.mid"]
    assert "cut off" in told["half.mid"]
    assert "MThd" in told["no.mid"]
    assert "damaged" in told["torn.musicxml"]


def test_a_file_that_would_fill_memory_is_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "huge.mid").open("wb") as file:
        os.truncate(file.fileno(), 2 << 30)
    with zipfile.ZipFile(tmp_path / "bomb.mxl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("score.xml", b" " * (score_limits.MOST_UNPACKED_BYTES + 1))
    bomb = (
        '<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><score-partwise>&b;</score-partwise>'
    )
    (tmp_path / "plain.musicxml").write_text(bomb)
    (tmp_path / "wide.xml").write_bytes(bomb.encode("utf-16"))
    with zipfile.ZipFile(tmp_path / "packed.mxl", "w") as archive:
        archive.writestr("score.xml", bomb)
    tunes, told = read(tmp_path)
    assert tunes == []
    assert "2147.5 MB, expected 8.4 MB" in told["huge.mid"]
    assert "unpacks to 25.2 MB" in told["bomb.mxl"]
    assert all("<!ENTITY" in told[name] for name in ("plain.musicxml", "wide.xml", "packed.mxl"))


def test_a_midi_file_without_a_key_has_the_one_that_its_notes_make_certain(tmp_path: Path) -> None:
    write_midi(tmp_path / "c.mid", C_MAJOR)
    write_midi(tmp_path / "e_flat.mid", [pitch + 3 for pitch in C_MAJOR])
    write_midi(tmp_path / "none.mid", CHROMATIC)
    tunes, told = read(tmp_path)
    assert [(tune.id.rpartition("/")[2], tune.key, tune.kind) for tune in tunes] == [
        ("c.mid", "C major", "melody"),
        ("e_flat.mid", "Eb major", "melody"),
    ]
    assert list(told) == ["none.mid"]
    assert "its notes do not decide one" in told["none.mid"]


def test_drums_of_a_midi_file_are_no_pitches(tmp_path: Path) -> None:
    write_midi(tmp_path / "c.mid", C_MAJOR, drums=True)
    tunes, told = read(tmp_path)
    assert told == {}
    assert [tune.key for tune in tunes] == ["C major"]
    assert 37 not in tunes[0].notes[:, 2]


def test_a_file_that_takes_too_long_is_given_up_and_the_next_has_a_reader_too(tmp_path: Path) -> None:
    for name in ("a.abc", "b.abc"):
        (tmp_path / name).write_text("".join(MELODY_ABC.format(number=n, meter="3/4") for n in range(1, 40)))
    tunes, told = read(tmp_path, most_seconds=0.001)
    assert tunes == []
    assert told == dict.fromkeys(("a.abc", "b.abc"), "reading it took more than 0.001 s")


def test_the_library_keeps_folders_and_tells_of_the_same_files_again(tmp_path: Path) -> None:
    scores, cache = tmp_path / "scores", tmp_path / "cache"
    scores.mkdir()
    (scores / "a.abc").write_text(MELODY_ABC.format(number=1, meter="3/4"))
    (scores / "b.mid").write_bytes(b"torn")
    told: list[str] = []

    def load() -> list[str]:
        told.clear()
        folders = [ScoreFolder(path=scores, licence="CC0-1.0")]
        tunes = load_tunes(cache, with_music21=False, folders=folders, tell=lambda path, _: told.append(path.name))
        assert {tune.licence for tune in tunes} <= {"CC0-1.0"}
        return [tune.title for tune in tunes]

    first = load()
    assert (first, told) == (["A Made-up Waltz 1"], ["b.mid"])
    kept = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert (load(), told) == (first, ["b.mid"])
    assert {path.name: path.stat().st_mtime_ns for path in cache.iterdir()} == kept
    (scores / "b.mid").unlink()
    assert (load(), told) == (first, [])


@pytest.mark.parametrize(("name", "licence"), [("gone", "CC0-1.0"), (".", " ")])
def test_a_folder_without_files_or_licence_is_refused(tmp_path: Path, name: str, licence: str) -> None:
    with pytest.raises(ConfigError, match="licence of its scores"):
        load_tunes(tmp_path / "cache", with_music21=False, folders=[ScoreFolder(path=tmp_path / name, licence=licence)])
