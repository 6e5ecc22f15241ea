"""Words of data sets in our vocabularies, NSynth read member by member, and the forms of tables of listening."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mllm.errors import ConfigError, MessageError
from mllm.facts import INSTRUMENTS, KEYS
from mllm.instruct_data.sources import _plays, _vocabulary, interactions, nsynth

# --- vocabulary


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("violin", "strings"),
        ("electricguitar", "electric guitar"),
        ("DrumMachine", "drums"),
        ("double  bass", "bass"),
        ("mallet_percussion", "mallets"),
        ("guitar", None),
        ("ukulele", None),
    ],
)
def test_instruments_of_others(word: str, name: str | None) -> None:
    assert _vocabulary.instrument(word) == name


def test_every_instrument_is_its_own_synonym_and_whole() -> None:
    assert [_vocabulary.instrument(name) for name in INSTRUMENTS] == list(INSTRUMENTS)
    assert [_vocabulary.denied(name) for name in INSTRUMENTS] == [(name,) for name in INSTRUMENTS]
    assert _vocabulary.denied("violin") == ()
    assert _vocabulary.denied("guitar") == ("acoustic guitar", "electric guitar")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Bbm", "Bb minor"),
        ("A# minor", "Bb minor"),
        ("d:major", "D major"),
        ("C♯ moll", "C# minor"),
        ("E flat major", "Eb major"),
        ("CM", "C major"),
        ("G", "G major"),
        ("D Dorian", "D dorian"),
        ("A mixolydian", "A mixolydian"),
        ("a", None),
        ("H-Dur", None),
        ("8A", None),
        ("", None),
    ],
)
def test_keys_of_others(text: str, key: str | None) -> None:
    assert _vocabulary.key(text) == key


def test_our_keys_are_read_as_themselves() -> None:
    assert [_vocabulary.key(key) for key in KEYS] == list(KEYS)


def test_keys_that_are_numbers() -> None:
    names = [_vocabulary.key_of_number(number, first="A") for number in range(24)]
    assert names[:4] == ["A major", "Bb major", "B major", "C major"]
    assert (names[12], names[23]) == ("A minor", "G# minor")
    assert sorted(names) == sorted(KEYS)
    with pytest.raises(ConfigError, match="24 is no key"):
        _vocabulary.key_of_number(24, first="A")


def test_tags_that_contradict_each_other_say_nothing() -> None:
    sorted_tags = _vocabulary.sorted_tags(
        ["piano", "no piano", "singer", "no vocals", "rock", "jazz"], genres=["rock", "jazz"]
    )
    assert (sorted_tags.instruments, sorted_tags.absent, sorted_tags.vocals) == (None, None, None)
    assert sorted_tags.style is None, "of two genres none is the style"
    assert {"rock", "jazz"} <= set(sorted_tags.tags or ())


def test_what_has_no_place_stays_a_tag() -> None:
    sorted_tags = _vocabulary.sorted_tags(["sitar", "viola", "piano", "dream", "hiphop"], genres=["hip hop"])
    assert sorted_tags.instruments == ("piano", "strings")
    assert sorted_tags.moods == ("dreamy",)
    assert sorted_tags.style == "hip hop"
    assert sorted_tags.tags == ("sitar", "viola", "dreamy", "hip hop")


# --- NSynth


@pytest.mark.parametrize("chunk", [7, 64, 1 << 20])
def test_members_come_one_by_one_whatever_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    plain = {f"note {number}": {"pitch": number, "text": '}, "{:', "list": [1, 2]} for number in range(50)}
    path = tmp_path / "examples.json"
    for indent in (None, 4):
        path.write_text(json.dumps(plain, indent=indent), encoding="utf-8")
        monkeypatch.setattr(nsynth, "_CHUNK", chunk)
        assert dict(nsynth.members(path)) == plain


def test_a_file_that_is_cut_off_says_how_far_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "examples.json"
    path.write_text('{"a": {"pitch": 1}, "b": {"pit', encoding="utf-8")
    read = nsynth.members(path)
    assert next(read) == ("a", {"pitch": 1})
    with pytest.raises(MessageError, match="damaged behind its first 1 notes"):
        next(read)


# --- listening


def write(folder: Path, name: str, *rows: tuple[object, ...], separator: str = "\t") -> None:
    text = "".join(separator.join(map(str, row)) + "\n" for row in rows)
    (folder / name).write_text(text, encoding="utf-8")


def hetrec(folder: Path) -> None:
    write(
        folder,
        "artists.dat",
        ("id", "name", "url", "pictureURL"),
        (1, '"Ada', "", ""),
        (2, "Ben", "", ""),
        (3, "Cy", "", ""),
    )
    (folder / "tags.dat").write_bytes("tagID\ttagValue\n7\tCafé\n8\trock\n".encode("latin-1"))
    header = ("userID", "artistID", "tagID", "day", "month", "year")
    write(folder, "user_taggedartists.dat", header, (1, 1, 7, 1, 1, 2009), (2, 1, 8, 1, 1, 2009), (3, 1, 8, 1, 1, 2009))
    write(folder, "user_artists.dat", ("userID", "artistID", "weight"), (1, 1, 5), (1, 2, 50), (2, 3, 1))


def test_hetrec(tmp_path: Path) -> None:
    hetrec(tmp_path)
    read = interactions.interactions(tmp_path)
    assert read.histories == {"1": ("2", "1"), "2": ("3",)}, "the most played first"
    assert not read.in_order_of_time
    assert (read.items["1"].name, read.items["1"].tags) == ('"Ada', ("rock", "café"))
    assert read.licence == "research, non-commercial"


def test_a_thousand_users_of_lastfm_in_the_order_of_time(tmp_path: Path) -> None:
    write(
        tmp_path,
        "userid-timestamp-artid-artname-traid-traname.tsv",
        ("user_1", "2009-05-04T23:08:57Z", "mbid-b", "Ben", "", "Song"),
        ("user_1", "2009-05-04T13:54:10Z", "mbid-a", "Ada", "", "Song"),
        ("user_1", "2009-05-01T13:54:10Z", "mbid-b", "Ben", "", "Song"),
        ("user_2", "2009-05-01T13:54:10Z", "", "No Id", "", "Song"),
        ("user_2", "yesterday", "", "No Id", "", "Song"),
    )
    read = interactions.interactions(tmp_path)
    assert read.histories == {"user_1": ("mbid-b", "mbid-a"), "user_2": ("name:no id",)}
    assert read.in_order_of_time
    assert read.items["name:no id"].name == "No Id"


def test_many_users_of_lastfm(tmp_path: Path) -> None:
    write(
        tmp_path,
        "usersha1-artmbid-artname-plays.tsv",
        ("00ab", "mbid-a", "Ada", 10),
        ("00ab", "mbid-b", "Ben", 300),
        ("00ab", "mbid-c"),
    )
    assert interactions.interactions(tmp_path).histories == {"00ab": ("mbid-b", "mbid-a")}


def test_tables_of_ones_own(tmp_path: Path) -> None:
    write(tmp_path, "p.csv", ("user", "item", "count", "time"), ("u", "a", 1, 20), ("u", "b", 9, 10), separator=",")
    write(tmp_path, "i.csv", ("item", "name", "tags"), ("a", "Ada", "rock|live"), ("b", "Ben", ""), separator=";")
    write(tmp_path, "t.tsv", ("item", "tag", "n"), ("b", "Jazz", 2), ("b", "cool", 5))
    read = interactions.interactions(tmp_path, licence="CC0-1.0")
    assert read.histories == {"u": ("b", "a")}
    assert read.in_order_of_time
    assert [read.items[item].tags for item in ("a", "b")] == [("rock", "live"), ("cool", "jazz")]
    with pytest.raises(ConfigError, match="nobody says under which licence"):
        interactions.interactions(tmp_path)
    write(tmp_path, "more.csv", ("user", "item"), ("v", "a"), separator=",")
    with pytest.raises(ConfigError, match=r"several tables of plays \(more.csv, p.csv\); name one as plays"):
        interactions.interactions(tmp_path, licence="CC0-1.0")
    assert interactions.interactions(tmp_path, licence="CC0-1.0", plays="more.csv").histories == {"v": ("a",)}


def test_rows_of_listening_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    write(tmp_path, "i.csv", ("item", "name"), ("a", "Ada"), ("a", "Again"), ("b", ""), separator=",")
    rows: list[tuple[object, ...]] = [("u", "a", 1), ("u", "zz", 1), ("u", "a", "many"), ("", "a", 1), ("u", "", 1)]
    write(tmp_path, "p.csv", ("user", "item", "count"), *rows, *[("u", "q", 1)] * 100, separator=",")
    told = []
    for row in interactions.records(tmp_path, licence="own"):
        if not isinstance(row, Exception):
            break
        told.append(str(row))
    assert told[:6] == [
        "i.csv row 2 (line 3): the item 'a' stood in an earlier row; give each item once",
        "i.csv row 3 (line 4): the item 'b' has no name; give it one",
        "p.csv row 2 (line 3): the item 'zz' is not in the table of items; add it there",
        "p.csv row 3 (line 4): a count is 'many'; expected a number above 0",
        "p.csv row 4 (line 5): the user is empty; give an id",
        "p.csv row 5 (line 6): the item is empty; give its id",
    ]
    assert told[interactions.MOST_TOLD :] == ["56 more rows could not be read"]


def test_an_item_keeps_its_commonest_tags() -> None:
    gathered = _plays.Gathered()
    for number in range(40):
        gathered.tag("a", f"tag {number:02d}", number + 1)
    gathered.play("u", "a")
    tags = gathered.interactions(source="s", licence="l").items["a"].tags
    assert tags == tuple(f"tag {number:02d}" for number in range(39, 19, -1))
