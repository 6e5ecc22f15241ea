"""The contract of all sources, on samples of our own: what they say of themselves, read and refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mllm import messages, registry
from mllm.errors import ConfigError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources._files import About
from mllm.instruct_data.tracks import Track
from tests import source_samples

NAMES = registry.names("source")
WITH_TRACKS = [name for name in NAMES if hasattr(registry.find("source", name), "tracks")]
SPOILT = source_samples.samples_with("bad.txt")
WRITTEN = source_samples.samples_with("records.jsonl")
ASKED = [name for name in NAMES if name not in WRITTEN]
"""Sources of labels and of listening: what is asked about these is others' to word, and tested there."""


def records(name: str, folder: Path, seed: int = 0) -> list[Record | MllmError]:
    rows: Iterator[Record | MllmError] = registry.find("source", name).records(folder, seed=seed)
    return list(rows)


def heard(record: Record) -> list[messages.Audio]:
    return [part for one in record.messages for part in one.parts if isinstance(part, messages.Audio)]


def written(rows: list[Record | MllmError]) -> list[Record]:
    """The records that hold what people wrote, not what was asked about labels."""
    return [one for one in rows if isinstance(one, Record) and one.template in ("free", "tags")]


def test_there_are_sources_and_spoilt_samples() -> None:
    assert NAMES
    assert SPOILT
    assert set(SPOILT) <= set(NAMES)


def test_no_sample_is_left_without_its_source() -> None:
    assert set(source_samples.samples_with("files")) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_source_says_what_it_is(name: str) -> None:
    source = registry.find("source", name)
    about = source.ABOUT
    assert isinstance(about, About)
    assert about.title
    assert about.licence
    assert re.search(r"\b(19|20)\d\d\b", about.citation) or name == "folder", "a citation has a year"
    assert "://" in about.where or name == "folder", "where it is from is an address"
    assert about.needs
    assert all(about.needs.values())
    assert source.__doc__


@pytest.mark.parametrize("name", WRITTEN)
def test_records_of_the_sample(name: str, tmp_path: Path) -> None:
    folder = source_samples.prepare(name, tmp_path)
    expected = source_samples.golden(name, "records.jsonl")
    assert expected, f"{name}: records.jsonl is empty"
    read = records(name, folder)
    assert source_samples.complaints(read, folder) == []
    assert [source_samples.record_as_json(one) for one in written(read)] == expected


@pytest.mark.parametrize("name", ASKED)
def test_labels_become_records(name: str, tmp_path: Path) -> None:
    folder = source_samples.prepare(name, tmp_path)
    source = registry.find("source", name)
    read = records(name, folder)
    assert source_samples.complaints(read, folder) == []
    assert read
    about = {one for record in read if isinstance(record, Record) for one in record.tracks}
    labelled = {one.id for one in source.tracks(folder)} if name in WITH_TRACKS else set()
    assert about == labelled


@pytest.mark.parametrize("name", NAMES)
def test_records_keep_the_contract(name: str, tmp_path: Path) -> None:
    folder = source_samples.prepare(name, tmp_path)
    about = registry.find("source", name).ABOUT
    read = [one for one in records(name, folder) if isinstance(one, Record)]
    assert len({record.id for record in read}) == len(read)
    for record in read:
        assert record.source == name
        assert record.split == "test" or not about.evaluation_only
        assert bool(record.tracks) == bool(heard(record))
        assert record.families or not record.tracks
        for audio in heard(record):
            assert isinstance(audio.source, Path)
            assert not audio.source.is_absolute()
            assert (folder / audio.source).is_file()
        if record.correct is not None and record.template == "free":
            assert record.choices[record.correct] in record.answer
            question = "".join(part.text for part in record.messages[-2].parts if isinstance(part, messages.Text))
            lettered = [f"{chr(ord('A') + number)}) {option}" for number, option in enumerate(record.choices)]
            places = [question.index(option) for option in lettered]
            assert places == sorted(places)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_alone_decides(name: str, tmp_path: Path) -> None:
    folder = source_samples.prepare(name, tmp_path)
    one, again, other = (records(name, folder, seed) for seed in (7, 7, 8))
    assert [source_samples.record_as_json(row) for row in one if isinstance(row, Record)] == [
        source_samples.record_as_json(row) for row in again if isinstance(row, Record)
    ]
    assert [row.answer for row in written(one)] == [row.answer for row in written(other)], (
        "another seed words the questions differently and leaves what people wrote as it is"
    )


@pytest.mark.parametrize("name", WITH_TRACKS)
def test_tracks_of_the_sample(name: str, tmp_path: Path) -> None:
    folder = source_samples.prepare(name, tmp_path)
    expected = source_samples.golden(name, "tracks.jsonl")
    assert expected, f"{name}: tracks.jsonl is empty"
    read = list(registry.find("source", name).tracks(folder))
    assert source_samples.complaints(read, folder) == []
    assert [source_samples.track_as_json(one) for one in read] == expected
    assert len({track.id for track in read}) == len(read)
    for track in read:
        assert track.source == name
        assert (folder / track.path).is_file()


@pytest.mark.parametrize("name", WITH_TRACKS)
def test_records_and_tracks_speak_of_the_same_recordings(name: str, tmp_path: Path) -> None:
    folder = source_samples.prepare(name, tmp_path)
    known = {one.id: one for one in registry.find("source", name).tracks(folder) if isinstance(one, Track)}
    for record in records(name, folder):
        assert isinstance(record, Record)
        assert record.split in {known[one].split for one in record.tracks if one in known} or not record.tracks
        assert set(record.families) >= {known[one].family for one in record.tracks if one in known}


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_folder_is_told_with_the_cure(name: str, tmp_path: Path) -> None:
    about = registry.find("source", name).ABOUT
    with pytest.raises(ConfigError) as raised:
        records(name, tmp_path)
    said = str(raised.value)
    assert about.where in said
    assert any(place.strip("*/") in said for place in about.needs)


@pytest.mark.parametrize("name", [name for name in NAMES if len(source_samples.recordings(name)) > 1])
def test_a_recording_that_is_not_there_costs_its_own_rows_only(name: str, tmp_path: Path) -> None:
    folder = source_samples.prepare(name, tmp_path)
    before = records(name, folder)
    lost = source_samples.recordings(name)[0]
    (folder / lost).unlink()
    read = records(name, folder)
    left = [one for one in read if isinstance(one, Record)]
    assert [one.id for one in written(read)] == [
        one.id for one in written(before) if Path(lost) not in [audio.source for audio in heard(one)]
    ]
    whole = {one for record in before if isinstance(record, Record) for one in record.tracks}
    assert len(whole) - len({one for record in left for one in record.tracks}) == 1
    assert Path(lost) not in [audio.source for record in left for audio in heard(record)]
    assert left, "all rows of the sample need its first recording; write one that does not"
    complaints = source_samples.complaints(read, folder)
    assert complaints
    assert all(Path(lost).stem in said or lost in said for said in complaints)


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_rows_are_told_and_the_others_read(name: str, tmp_path: Path) -> None:
    folder = source_samples.prepare(name, tmp_path, bad=True)
    expected = (source_samples.sample(name) / "bad.txt").read_text(encoding="utf-8").splitlines()
    read = records(name, folder)
    assert source_samples.complaints(read, folder) == expected
    assert any(isinstance(one, Record) for one in read)
