"""Scores: what readers accept, how keys are checked, how tunes are split and kept."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mllm.errors import ConfigError
from mllm.instruct_data.library import load_tunes, music21_corpus
from mllm.instruct_data.score_readers import (
    MUSIC21_COLLECTIONS,
    parse_harte,
    read_folder,
    read_music21_corpus,
    read_openewld,
    read_pop909,
)
from mllm.instruct_data.scores import (
    Chord,
    Tune,
    family_of_title,
    key_is_certain,
    read_cache,
    split_of,
    write_cache,
)

MELODY_ABC = """X:1
T:A Made-up Waltz
M:3/4
L:1/4
K:{key}
D|G A B|c B A|G B d|g2 d|e d c|B A G|A F D|G2 D|
G A B|c B A|G B d|g2 d|e d c|B A G|A F A|G2|]
"""


def scale_notes(pitches: list[int], *, step: float = 1.0) -> NDArray[np.float64]:
    return np.array([[index * step, step, pitch, 0] for index, pitch in enumerate(pitches)], dtype=np.float64)


def make_tune(**changes: object) -> Tune:
    values: dict[str, object] = {
        "id": "made/1",
        "title": "Made",
        "family": "made",
        "source": "made",
        "licence": "CC0",
        "kind": "melody",
        "key": "C major",
        "meter": "4/4",
        "notes": scale_notes([60, 64, 67, 72, 71, 67, 65, 62] * 4 + [60]),
        "chords": (Chord(onset=0.5, duration=2.0, root=7, quality="7", bass=11),),
    }
    return Tune(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("title", "family"),
    [
        ("The Acacia -- Reel", "acacia"),
        ("Acacia", "acacia"),
        ("Fisher's Hornpipe (2nd setting)", "fishers hornpipe"),
        ("Für Elise", "fur elise"),
        ("The", "the"),
    ],
)
def test_family_is_what_titles_of_several_collections_share(title: str, family: str) -> None:
    assert family_of_title(title) == family


def test_split_is_stable_and_about_a_tenth_is_test() -> None:
    sides = [split_of(f"tune {number}") for number in range(2000)]
    assert 150 < sides.count("test") < 250
    assert [split_of("acacia"), split_of("off she goes")] == [split_of("acacia"), split_of("off she goes")]
    assert make_tune(family="x").split == make_tune(family="x", id="other/2").split


def test_cache_returns_what_was_written(tmp_path: Path) -> None:
    tunes = (make_tune(), make_tune(id="made/2", title="Für Elise", notes=scale_notes([60, 61] * 9, step=1 / 3)))
    write_cache(tmp_path / "scores.json.gz", tunes)
    back = read_cache(tmp_path / "scores.json.gz")
    assert [tune.id for tune in back] == ["made/1", "made/2"]
    assert back[1].title == "Für Elise"
    assert back[0].chords == tunes[0].chords
    np.testing.assert_allclose(back[1].notes, tunes[1].notes, atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json.gz"]


def test_a_damaged_cache_says_to_delete_it(tmp_path: Path) -> None:
    path = tmp_path / "scores.json.gz"
    write_cache(path, [make_tune()])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ConfigError, match="delete it"):
        read_cache(path)


def test_keys_that_the_notes_do_not_support_are_refused() -> None:
    c_major = scale_notes([60, 62, 64, 65, 67, 69, 71, 72, 67, 64, 60, 67, 64, 60, 71, 72])
    assert key_is_certain(c_major, "C major")
    assert not key_is_certain(c_major, "F# major")
    assert not key_is_certain(c_major, "C minor")
    mixolydian = scale_notes([60, 62, 64, 65, 67, 69, 70, 72, 70, 67, 64, 60, 67, 64, 60, 70])
    assert not key_is_certain(mixolydian, "C major")
    dorian = scale_notes([60, 62, 63, 65, 67, 69, 70, 72, 69, 67, 63, 60, 69, 67, 63, 60])
    assert not key_is_certain(dorian, "C minor")


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("B:maj", (11, "maj", 11)),
        ("C#:min7/b3", (1, "min7", 4)),
        ("F:sus4(b7)", (5, "sus4", 5)),
        ("G", (7, "maj", 7)),
        ("Bb:9/5", (10, "7", 5)),
        ("N", None),
        ("C:unheard-of", None),
    ],
)
def test_harte_chord_symbols(symbol: str, expected: tuple[int, str, int] | None) -> None:
    assert parse_harte(symbol) == expected


def test_abc_melody_with_upbeat(tmp_path: Path) -> None:
    (tmp_path / "waltz.abc").write_text(MELODY_ABC.format(key="G"))
    (tune,) = read_folder(tmp_path, licence="CC0")
    assert (tune.key, tune.meter, tune.kind, tune.licence) == ("G major", "3/4", "melody", "CC0")
    assert tune.notes[0].tolist() == [2.0, 1.0, 62.0, 0.0]
    assert tune.notes[1, 0] == 3.0
    assert tune.bars == 17
    assert tune.family == "made up waltz"


@pytest.mark.parametrize("key", ["Gmix", "D", "Ador"])
def test_modal_tunes_and_wrong_keys_are_left_out(tmp_path: Path, key: str) -> None:
    (tmp_path / "waltz.abc").write_text(MELODY_ABC.format(key=key))
    assert list(read_folder(tmp_path, licence="CC0")) == []


def test_a_file_that_is_no_score_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.mxl").write_bytes(b"not a score")
    (tmp_path / "b.abc").write_text(MELODY_ABC.format(key="G"))
    assert [tune.title for tune in read_folder(tmp_path, licence="CC0")] == ["A Made-up Waltz"]


def test_music21_chorales(tmp_path: Path) -> None:
    (tmp_path / "bach").mkdir()
    for name in ("bwv1.6.mxl", "bwv10.7.mxl", "bwv269.mxl"):
        shutil.copy(music21_corpus() / "bach" / name, tmp_path / "bach")
    tunes = {tune.id: tune for tune in read_music21_corpus(tmp_path, ("bach",))}
    assert tunes["bach/bwv269"].key == "G major"
    assert tunes["bach/bwv269"].meter == "3/4"
    assert {tune.kind for tune in tunes.values()} == {"parts"}
    assert sorted(set(tunes["bach/bwv269"].notes[:, 3])) == [0, 1, 2, 3]


def test_unknown_collection_is_named() -> None:
    with pytest.raises(ConfigError, match="essenFolksong"):
        list(read_music21_corpus(Path(), ("essenFolksong",)))


def test_openewld_lead_sheet(tmp_path: Path) -> None:
    from music21 import harmony, key, metadata, meter, note, stream

    score, part = stream.Score(), stream.Part()
    score.metadata = metadata.Metadata(title="inside")
    for number, (figure, names) in enumerate([("Am", "A4 C5 E5"), ("Dm", "D5 F5 A4"), ("E7", "E5 G#4 B4")] * 4):
        measure = stream.Measure(number=number + 1)
        if number == 0:
            measure.append([key.Key("a"), meter.TimeSignature("3/4")])
        measure.insert(0, harmony.ChordSymbol(figure))
        for name in names.split():
            measure.append(note.Note(name))
        part.append(measure)
    last = stream.Measure(number=13)
    last.insert(0, harmony.ChordSymbol("Am"))
    last.append(note.Note("A4", quarterLength=3))
    part.append(last)
    score.append(part)
    score.write("musicxml", fp=str(tmp_path / "sheet.musicxml"))
    connection = sqlite3.connect(tmp_path / "OpenEWLD.db")
    connection.execute("create table works (id integer, title text, path_leadsheet text)")
    connection.execute("insert into works values (7, 'Outside', 'sheet.musicxml'), (8, 'Absent', 'gone.mxl')")
    connection.commit()
    connection.close()

    (tune,) = read_openewld(tmp_path)
    assert (tune.id, tune.family, tune.key, tune.kind) == ("openewld/7", "outside", "A minor", "leadsheet")
    assert tune.chords[2] == Chord(onset=6.0, duration=3.0, root=4, quality="7", bass=4)


def test_pop909_song_gets_steady_beats_and_the_longest_key(tmp_path: Path) -> None:
    import pretty_midi

    folder = tmp_path / "POP909" / "001"
    folder.mkdir(parents=True)
    beats = 0.5 + np.cumsum(np.full(104, 0.6))
    midi = pretty_midi.PrettyMIDI()
    for name, base in (("MELODY", 72), ("PIANO", 48)):
        track = pretty_midi.Instrument(0, name=name)
        for index, time in enumerate(beats[:100]):
            pitch = base + [0, 4, 7, 5, 2, 11, 9, 0][index % 8]
            track.notes.append(pretty_midi.Note(velocity=90, pitch=pitch, start=time, end=time + 0.5))
        midi.instruments.append(track)
    midi.write(str(folder / "001.mid"))
    lines = [f"{time} {float(i % 2 == 0)} {float(i % 4 == 0)}" for i, time in enumerate(beats)]
    (folder / "beat_midi.txt").write_text("\n".join(lines))
    (folder / "key_audio.txt").write_text("0.1 60.0 C:maj\n60.0 64.0 D:maj\n")
    (folder / "chord_midi.txt").write_text(f"{beats[0]} {beats[4]} C:maj\n{beats[4]} {beats[8]} N\n")

    (tune,) = read_pop909(tmp_path)
    assert (tune.key, tune.meter, tune.kind, tune.id) == ("C major", "4/4", "song", "pop909/001")
    melody = tune.notes[tune.notes[:, 3] == 0]
    np.testing.assert_allclose(melody[:8, 0], np.arange(8), atol=0.02)
    assert tune.chords == (Chord(onset=0.0, duration=4.0, root=0, quality="maj", bass=0),)


def test_library_reads_caches_and_parses_only_what_is_missing(tmp_path: Path) -> None:
    for name in MUSIC21_COLLECTIONS:
        write_cache(tmp_path / f"{name}.json.gz", [make_tune(id=f"{name}/1", source=name)])
    assert [tune.source for tune in load_tunes(tmp_path)] == list(MUSIC21_COLLECTIONS)
    empty = tmp_path / "nothing"
    empty.mkdir()
    assert load_tunes(tmp_path, with_music21=False, pop909=empty) == ()
    assert (tmp_path / "pop909.json.gz").exists()
