"""A folder of one's own: what newcomers and their programs write is read, and what is wrong is told with its cure."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mllm.errors import ConfigError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _own_files, _sheets, folder
from mllm.instruct_data.tracks import Track
from mllm.messages import Audio
from mllm.train import conversations

RATE_HZ = 8000
HEADER = "file_name,caption,licence\n"


def record_tone(path: Path, seconds: float = 2.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.3 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    soundfile.write(path, samples, RATE_HZ)
    return path


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder with a.wav, b.wav and sub/c.flac, of two seconds each."""
    for name in ("a.wav", "b.wav", "sub/c.flac"):
        record_tone(tmp_path / "music" / name)
    return tmp_path / "music"


def written(place: Path, **options: object) -> list[Record]:
    """What people wrote, where all of it is read without an error."""
    rows = list(folder.records(place, per_track=0, **options))  # type: ignore[arg-type]
    assert complaints(rows) == []
    return [row for row in rows if isinstance(row, Record)]


def complaints(rows: Iterable[object]) -> list[str]:
    return [str(row) for row in rows if isinstance(row, MllmError)]


def only(rows: Iterable[object]) -> str:
    (said,) = complaints(rows)
    return said


def tracks(place: Path, text: str | bytes, name: str = "metadata.csv") -> list[Track | MllmError]:
    (place / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return list(folder.tracks(place))


def heard(record: Record) -> list[str]:
    return [str(part.source) for one in record.messages for part in one.parts if isinstance(part, Audio)]


# --- forms that are read


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_every_separator_and_encoding_says_the_same(music: Path, separator: str, encoding: str) -> None:
    rows = [("file_name", "caption", "licence"), ("a.wav", "Café naïve, „très“ doux", "CC-BY-4.0")]
    quoted = "\r\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows)
    (music / "things.csv").write_bytes(quoted.encode(encoding))
    read = list(folder.records(music, per_track=0))
    (record,) = (row for row in read if isinstance(row, Record))
    assert record.answer == rows[1][1]
    told = complaints(read)
    assert bool(told) == (encoding in ("utf-16-be", "cp1252")), "who guesses an encoding says so"
    assert all(isinstance(row, _sheets.Remark) for row in read if isinstance(row, MllmError))


def test_facts_of_a_table_are_read(music: Path) -> None:
    text = (
        "Filename,Genre,Mood,Instruments,BPM,Key,Time Signature,Tags,Title,License,Split,Start,End,vocals\n"
        'a.wav,Hip-Hop,dark|calm,"violin; tuba, oboe","92,5 bpm",bbm,7/8,late night|rain,Rain,CC0-1.0,dev,0:00.5,1.5,no'
    )
    (track,) = tracks(music, text)
    assert isinstance(track, Track)
    assert track.style == "hip hop"
    assert track.moods == ("dark", "calm")
    assert track.instruments == ("strings",), "with semicolons a comma is part of a word"
    assert track.tempo_bpm == 92.5
    assert track.key == "Bb minor"
    assert track.meter is None, "7/8 is no meter of ours"
    assert {"7/8 time", "late night", "rain", "violin"} <= set(track.tags or ())
    assert (track.title, track.licence, track.split) == ("Rain", "CC0-1.0", "validation")
    assert (track.start, track.end, track.seconds, track.vocals) == (0.5, 1.5, 1.0, False)
    assert track.absent is None, "who lists instruments may have forgotten one"


def test_what_people_wrote_stays_as_it_is_and_facts_are_asked_about(music: Path) -> None:
    text = (
        "path,caption,question,answer,bpm,license\n"
        'a.wav,"Said ""so"".\nTwice.",,,120,own\n'
        "a.wav,,Who plays?,Nobody we know.,,own\n"
        "b.wav,,,,80,own\n"
    )
    (music / "songs.csv").write_text(text, encoding="utf-8")
    rows = [row for row in folder.records(music, seed=3) if isinstance(row, Record)]
    said = [(row.task, row.answer) for row in rows if row.template == "free"]
    assert said == [("caption", 'Said "so".\nTwice.'), ("question", "Nobody we know.")]
    asked = {row.tracks for row in rows if row.template != "free"}
    assert {("folder/a.wav",), ("folder/b.wav",)} <= asked
    assert len({row.id for row in rows}) == len(rows)
    assert len(written(music)) == 2


def test_recordings_are_found_below_the_folder(music: Path) -> None:
    text = "file,caption,licence\nc.flac,by name,x\nsub\\c.flac,as Windows writes it,x\nb,without ending,x\n"
    (music / "m.csv").write_text(text, encoding="utf-8")
    assert [heard(record) for record in written(music)] == [["sub/c.flac"], ["sub/c.flac"], ["b.wav"]]


def test_texts_beside_recordings(music: Path) -> None:
    (music / "a.txt").write_bytes(b"\xef\xbb\xbfA tone.\n")
    (music / "sub" / "c.TXT").write_bytes("Très doux.".encode("cp1252"))
    records = written(music, licence="CC-BY-4.0")
    assert [(heard(one), one.answer, one.licence) for one in records] == [
        (["a.wav"], "A tone.", "CC-BY-4.0"),
        (["sub/c.flac"], "Très doux.", "CC-BY-4.0"),
    ]


def test_conversations_and_which_are_for_validation(music: Path) -> None:
    line = {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "audio", "path": "a.wav", "end": 1.0}, {"type": "text", "text": "?"}],
            },
            {"role": "assistant", "content": "A tone."},
        ]
    }
    (music / "data.jsonl").write_text(json.dumps(line), encoding="utf-8")
    (music / "validation.jsonl").write_text(json.dumps(line | {"licence": "own", "id": "v1"}), encoding="utf-8")
    records = written(music, licence="CC0-1.0")
    assert [(one.id, one.split, one.licence, one.tracks) for one in records] == [
        ("folder/data.jsonl:1", "train", "CC0-1.0", ("folder/a.wav#0-1",)),
        ("folder/v1", "validation", "own", ("folder/a.wav#0-1",)),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", "file_name,caption\na.wav,One.\nsub/c.flac,Two.\n"),
        ("metadata.csv", "file_name,text\na.wav,One.\n"),
        ("metadata.csv", 'file_name,question,answer\na.wav,"Why, then?",So.\n'),
        ("metadata.jsonl", '{"file_name": "a.wav", "caption": "One."}\n\n{"file_name": "b.wav", "text": "Two."}\n'),
        ("any.jsonl", '{"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}\n'),
    ],
)
def test_what_train_reads_is_read_here(music: Path, name: str, text: str) -> None:
    (music / name).write_text(text, encoding="utf-8")
    trained = [one for one in conversations.read([music]) if isinstance(one, conversations.Conversation)]
    records = written(music, licence="own")
    assert trained
    assert [record.answer for record in records] == [one.messages[-1].parts[0].text for one in trained]  # type: ignore[union-attr]
    assert [[str(music / path) for path in heard(record)] for record in records] == [
        [str(audio.source) for audio in one.recordings] for one in trained
    ]


# --- what cannot be read at all


def test_columns_that_name_no_recording(music: Path) -> None:
    with pytest.raises(ConfigError, match=r"its columns are 'song', 'caption'; expected file_name .*caption"):
        tracks(music, "song,caption\na.wav,x\n")


def test_a_licence_that_nobody_filled(music: Path) -> None:
    with pytest.raises(ConfigError, match=r"no column of metadata.csv says .* licence: CC-BY-4.0"):
        tracks(music, "file_name,caption\na.wav,x\n")
    said = only(tracks(music, HEADER + "a.wav,One.,CC0-1.0\nb.wav,Two.,\n"))
    assert said.startswith("metadata.csv row 2 (line 3): neither this row nor the configuration says")
    assert [one.licence for one in written(music, licence="own")] == ["CC0-1.0", "own"]
    with pytest.raises(ConfigError, match="licence is empty"):
        list(folder.records(music, licence=" "))


def test_an_absent_folder_and_several_tables(music: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder"):
        list(folder.records(tmp_path / "absent"))
    with pytest.raises(ConfigError, match="says nothing of its recordings"):
        list(folder.records(music))
    for name in ("one.csv", "two.csv"):
        (music / name).write_text(f"{HEADER}a.wav,{name},own\n", encoding="utf-8")
    (music / "notes.csv").write_text("day,weather\n1,rain\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"several tables \(one.csv, two.csv\); say which is meant, .*table: one.csv"):
        list(folder.records(music))
    assert [one.answer for one in written(music, table="two.csv")] == ["two.csv"]
    with pytest.raises(ConfigError, match=r"there is no table 'three\.csv'"):
        list(folder.records(music, table="three.csv"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "NUL characters|is missing|no column"),
        (b"file_name,caption,Caption,caption,licence\n", "the column 'caption' twice"),
    ],
)
def test_a_table_that_is_none(music: Path, text: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        tracks(music, text)


# --- rows that cannot be used, each told, the others read


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("absent.wav", "'absent.wav' is missing; put it into the folder"),
        ("a.wave", "did you mean 'a.wav'"),
        ("/etc/passwd", "is an absolute path"),
        ("C:\\music\\a.wav", "is an absolute path"),
        ("../outside.wav", "may lead out of the folder"),
        ("sub/../../outside.wav", "may lead out of the folder"),
        ("link.wav", "a link that leads out of the folder"),
        ("linked/outside.wav", "a link that leads out of the folder"),
        ("https://example.org/a.wav", "is an address"),
        ('"a.wav\nb.wav"', "line break or another control character"),
        ("x" * 5000, "is no path|is missing"),
        ("", "the name of the recording is empty"),
        ("notes.wav", "cannot be read as audio|not audio|cannot be opened|nothing here"),
        ("none.wav", "empty"),
        ("same.wav", "may be one/same.wav or two/same.wav"),
    ],
)
def test_a_recording_that_cannot_be_used(music: Path, cell: str, said: str) -> None:
    record_tone(music.parent / "outside.wav")
    record_tone(music.parent / "elsewhere" / "outside.wav")
    (music / "link.wav").symlink_to(music.parent / "outside.wav")
    (music / "linked").symlink_to(music.parent / "elsewhere")
    (music / "notes.wav").write_text("these are no sounds\n" * 50, encoding="utf-8")
    (music / "none.wav").touch()
    for place in ("one", "two"):
        record_tone(music / place / "same.wav")
    read = tracks(music, f"{HEADER}a.wav,One.,own\n{cell},Two.,own\nb.wav,Three.,own\n")
    (told,) = complaints(read)
    assert told.startswith("metadata.csv row 2 (line 3): ")
    assert any(part in told for part in said.split("|")), told
    assert [track.path for track in read if isinstance(track, Track)] == ["a.wav", "b.wav"]


def test_a_link_inside_the_folder_is_followed(music: Path) -> None:
    (music / "again.wav").symlink_to(music / "a.wav")
    (track,) = tracks(music, f"{HEADER}again.wav,One.,own\n")
    assert isinstance(track, Track)


def test_a_file_of_more_than_two_gigabytes_is_told_and_not_read(music: Path) -> None:
    with (music / "huge.wav").open("wb") as file:
        file.truncate(_own_files.LARGEST_BYTES + 1)
    tracemalloc.start()
    said = only(tracks(music, f"{HEADER}huge.wav,One.,own\na.wav,Two.,own\n"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "huge.wav has 2,000,000,001 bytes, more than the 2,000,000,000" in said
    assert peak < 50_000_000
    assert "more than the 1,000" in complaints(folder.tracks(music, largest_bytes=1000))[-1]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"bpm": "fast"}, "tempo is 'fast'; expected a number"),
        ({"bpm": "12000"}, "expected 10 to 500 beats a minute"),
        ({"key": "H moll"}, "key is 'H moll'; expected one such as"),
        ({"meter": "waltz"}, "meter is 'waltz'; expected one such as '4/4'"),
        ({"split": "holdout"}, "split is 'holdout'; expected train, validation or test"),
        ({"vocals": "some"}, "vocals is 'some'; expected yes or no"),
        ({"start": "-1"}, "start is '-1'; expected seconds"),
        ({"start": "1", "end": "0.5"}, "the stretch from 1 s to 0.5 s is empty"),
        ({"end": "9"}, "a.wav has 2.00 s, the row asks for 0 to 9 s"),
        ({"start": "2.5"}, "a.wav has 2.00 s"),
        ({"question": "Why?"}, "answer is empty; give both or neither"),
        ({"id": '"one\ntwo"'}, "expected no line break"),
        ({"bpm": "fast", "key": "?!", "split": "x"}, "tempo is 'fast'; expected a number; key is '?!'"),
    ],
)
def test_a_value_that_cannot_be(music: Path, fields: dict[str, str], said: str) -> None:
    names, cells = ",".join(fields), ",".join(fields.values())
    read = tracks(music, f"file_name,licence,{names}\na.wav,own,{cells}\nb.wav,own,{',' * (len(fields) - 1)}\n")
    (told,) = complaints(read)
    assert told.startswith("metadata.csv row 1 (line 2): ")
    assert said in told
    assert [track.path for track in read if isinstance(track, Track)] == ["b.wav"]


def test_what_is_not_known_may_be_said_so(music: Path) -> None:
    (track,) = tracks(music, "file_name,bpm,key,meter,vocals,licence\na.wav,n/a,unknown,-,?,own\n")
    assert isinstance(track, Track)
    assert (track.tempo_bpm, track.key, track.meter, track.vocals) == (None, None, None, None)


def test_columns_that_are_not_known_are_told_once(music: Path) -> None:
    read = tracks(music, "file_name,bmp,colour,licence\na.wav,120,red,own\nb.wav,100,blue,own\n")
    assert only(read) == (
        "metadata.csv: not read, because these names of columns are not known: 'bmp' (did you mean 'bpm'?), 'colour'"
    )
    assert len(read) == 3


def test_broken_quotes_cost_their_own_row_only(music: Path) -> None:
    text = (
        f'{HEADER}a.wav,"never closed,own\n'
        'b.wav,"One ""quoted"" word.",own\n'
        'a.wav,a 12" single,own\n'
        'a.wav,"said "so" there",own\n'
        "a.wav,one, two,own\n"
        'b.wav,"two\nlines",own\n'
    )
    (music / "metadata.csv").write_text(text, encoding="utf-8")
    rows = list(folder.records(music, per_track=0))
    assert [row.answer for row in rows if isinstance(row, Record)] == [
        'One "quoted" word.',
        'a 12" single',
        "two\nlines",
    ]
    assert [said.partition(": ")[0] for said in complaints(rows)] == [
        "metadata.csv row 1 (line 2)",
        "metadata.csv row 4 (line 5)",
        "metadata.csv row 5 (line 6)",
    ]
    assert "4 cells where the header has 3" in complaints(rows)[2]


def test_a_quote_that_is_open_until_the_end_costs_its_own_row_only(music: Path) -> None:
    read = tracks(music, f'{HEADER}a.wav,One.,own\nb.wav,"open,own\nsub/c.flac,Three.,own\n')
    assert only(read).endswith("a double quote that opens a cell is never closed; close it, or remove it")
    assert [track.path for track in read if isinstance(track, Track)] == ["a.wav", "sub/c.flac"]


def test_two_encodings_in_one_file(music: Path) -> None:
    text = f"{HEADER}a.wav,Café.,own\n".encode() + "b.wav,Très.,own\n".encode("cp1252") + b"sub/c.flac,Plain.,own\n"
    read = tracks(music, text)
    assert only(read).startswith("metadata.csv row 2 (line 3): ")
    assert "is in another encoding than the rest of the file; save the whole file as UTF-8" in only(read)
    assert [track.path for track in read if isinstance(track, Track)] == ["a.wav", "sub/c.flac"]


def test_cells_of_ten_megabytes_and_nul_bytes(music: Path) -> None:
    long = "x" * 10_000_000
    tracemalloc.start()
    read = tracks(music, f"{HEADER}a.wav,{long},own\na.wav,N\x00L,own\na.wav,{'y' * 200_000},own\nb.wav,One.,own\n")
    tracemalloc.stop()
    told = complaints(read)
    assert [said.partition(": ")[0] for said in told] == [
        f"metadata.csv row {row} (line {row + 1})" for row in (1, 2, 3)
    ]
    assert "longer than 1,000,000 characters" in told[0]
    assert "NUL character" in told[1]
    assert "a cell has more than 131,072 characters" in told[2]
    assert max(map(len, told)) < 300
    assert [track.path for track in read if isinstance(track, Track)] == ["b.wav"]


def test_rows_that_stand_there_twice(music: Path) -> None:
    text = (
        "id,file_name,caption,bpm,licence\n"
        "1,a.wav,One.,120,own\n"
        "1,b.wav,Two.,,own\n"
        "1,a.wav,One.,120,own\n"
        ",a.wav,Three.,,own\n"
        "1,a.wav,Four.,90,own\n"
    )
    (music / "metadata.csv").write_text(text, encoding="utf-8")
    rows = list(folder.records(music, per_track=0))
    assert [row.answer for row in rows if isinstance(row, Record)] == ["One.", "Three."]
    told = complaints(rows)
    assert "row 2 (line 3): the id '1' is that of a.wav too" in told[0]
    assert "row 3 (line 4): a.wav stood in an earlier row with the same texts" in told[1]
    assert "row 5 (line 6): it says other things of a.wav than metadata.csv row 1 (line 2) does" in told[2]


def test_lines_that_are_no_conversation(music: Path) -> None:
    def line(path: str, **more: object) -> str:
        parts = [{"type": "audio", "path": path}, {"type": "text", "text": "?"}]
        talk = [{"role": "user", "content": parts}, {"role": "assistant", "content": "A tone."}]
        return json.dumps({"messages": talk, "licence": "own", **more})

    lines = [
        line("a.wav", id="x"),
        "{broken",
        line("../outside.wav"),
        line(str(music / "a.wav")),
        line("absent.wav"),
        json.dumps({"messages": [{"role": "user", "content": "Only a question"}], "licence": "own"}),
        line("a.wav", licence=None),
        line("b.wav", id="x"),
        line("b.wav", split="holdout"),
        json.dumps({"messages": [{"role": "user", "content": "\ud800"}]}),
        line("b.wav"),
    ]
    (music / "talks.jsonl").write_text("\n".join(lines), encoding="utf-8")
    rows = list(folder.records(music))
    assert [row.id for row in rows if isinstance(row, Record)] == ["folder/x", "folder/talks.jsonl:11"]
    told = complaints(rows)
    assert [said.partition(":")[0] for said in told] == [f"talks.jsonl line {number}" for number in range(2, 11)]
    for said, expected in zip(
        told,
        [
            "not JSON",
            "may lead out",
            "absolute path",
            "is missing",
            "expected the assistant's",
            "nobody says under which licence",
            "its id 'folder/x' is that of talks.jsonl line 1 too",
            "expected train, validation or test",
            "half a character",
        ],
        strict=True,
    ):
        assert expected in said


def test_texts_that_are_empty_or_too_long(music: Path) -> None:
    (music / "a.txt").write_text(" \n", encoding="utf-8")
    (music / "b.txt").write_text("x" * 2_000_000, encoding="utf-8")
    (music / "sub" / "c.txt").write_text("A tone.", encoding="utf-8")
    rows = list(folder.records(music, licence="own", per_track=0))
    assert [row.answer for row in rows if isinstance(row, Record)] == ["A tone."]
    assert "a.txt: the file is empty" in complaints(rows)[0]
    assert "longer than 1,000,000 characters" in complaints(rows)[1]


# --- a large table


def test_a_large_table_streams(music: Path) -> None:
    with (music / "metadata.csv").open("w", encoding="utf-8") as file:
        file.write("file_name,caption,start,end,licence\n")
        file.writelines(
            f'a.wav,"Stretch {number} of many, described with some more words.",{number / 1e5:.5f},1.9,own\n'
            for number in range(4_000)
        )
    rows = folder.records(music, per_track=0)
    first = next(rows)
    assert isinstance(first, Record)
    tracemalloc.start()
    count = sum(isinstance(row, Record) for row in rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 3_999
    assert peak / count < 600, "bytes a row: what is kept to find doubles, and no tracks"


def test_the_same_twice_and_nothing_else_than_the_seed(music: Path) -> None:
    (music / "m.csv").write_text("file_name,bpm,key,licence\na.wav,120,C,own\nb.wav,90,Dm,own\n", encoding="utf-8")
    one, again, other = (list(folder.records(music, seed=seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other
