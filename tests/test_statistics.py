"""Tests of `mllm data stats` and `mllm.instruct_data.statistics`: what is counted is what is there."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from mllm import cli
from mllm.instruct_data import charts, data_set, stats_page
from mllm.instruct_data.statistics import Statistics, ordered
from mllm.instruct_data.stats_page import Sampler
from mllm.instruct_data.tracks import Track
from tests import instruction_sets


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "set"
    tracks = instruction_sets.tracks()
    instruction_sets.write(folder, tracks, instruction_sets.records(tracks), with_audio=False)
    return folder


def test_counts_of_a_known_set() -> None:
    tracks = instruction_sets.tracks()
    statistics = Statistics()
    for track in tracks:
        statistics.add_track(track)
    for record in instruction_sets.records(tracks):
        statistics.add_record(record)
    told = statistics.to_json()
    assert told["tracks"] == {"train": 8, "validation": 2, "test": 2}
    assert told["records"] == {"train": 136, "validation": 34, "test": 34}
    assert told["hours"]["train"] == pytest.approx(8 * 6 / 3600, abs=1e-4)
    assert told["tasks"]["yes_no"] == {"train": 64, "validation": 16, "test": 16}
    assert told["of_tracks"]["tempo in BPM"] == {f"{low}–{low + 10}": 2 for low in range(80, 140, 10)}
    assert told["of_tracks"]["mode"] == {"major": 6, "minor": 6}
    assert told["of_tracks"]["number of instruments"] == {"2": 12}
    assert told["of_tracks"]["entry of an instrument in seconds"] == {"0–5": 24}
    assert sum(told["of_tracks"]["instruments"].values()) == 24
    assert told["of_records"]["template"] == {"instrument": 96, "which plays": 96, "free": 12}
    assert told["of_records"]["place of the right option"] == dict.fromkeys("ABCD", 24)
    assert told["of_records"]["yes or no"] == {"no": 48, "yes": 48}


def test_what_nobody_knows_is_counted_as_that() -> None:
    statistics = Statistics()
    statistics.add_track(Track(id="a", path="a.wav", source="own", licence="mine", family="a"))
    told = statistics.to_json()
    assert told["tracks_without_length"] == 1
    assert told["of_tracks"]["tempo in BPM"] == {"not known": 1}
    assert told["of_tracks"]["instruments"] == {"not known": 1}
    assert told["hours"] == {}


def test_numbers_stand_in_their_order_and_words_by_their_counts() -> None:
    counts = {"not known": 9, "100–110": 1, "90–100": 5, "20–30": 2}
    assert [name for name, _ in ordered("tempo in BPM", counts)] == ["20–30", "90–100", "100–110", "not known"]
    assert [name for name, _ in ordered("style", {"a": 1, "b": 3, "not known": 9})] == ["b", "a", "not known"]
    assert [name for name, _ in ordered("words of an answer", {"320+": 1, "1": 1, "2–4": 1})] == ["1", "2–4", "320+"]


def test_a_sample_is_drawn_evenly_and_keeps_its_records() -> None:
    track = instruction_sets.tracks()[0]
    tracks = [dataclasses.replace(track, id=str(number)) for number in range(100)]
    drawn = []
    for seed in range(40):
        sampler = Sampler(5, seed)
        for one in tracks:
            sampler.add_track(one)
        drawn += [int(sample.track.id) for sample in sampler.samples]
    assert len(drawn) == 200
    assert 40 < sum(drawn) / len(drawn) < 60
    sampler = Sampler(1, 0)
    sampler.add_track(track)
    for record in instruction_sets.records([track]):
        sampler.add_record(record)
    assert len(sampler.samples[0].records) == stats_page.RECORDS_OF_A_TRACK


def test_charts_escape_and_tell_in_words() -> None:
    drawn = charts.bars("what <b> is", [("<script>", 3), ('"quoted"', 1)])
    assert "<script>" not in drawn
    assert 'aria-label="what &lt;b&gt; is. &lt;script&gt;: 3, &quot;quoted&quot;: 1"' in drawn
    many = charts.bars("many", [(str(number), 1) for number in range(100)])
    assert "76 more" in many
    assert charts.bars("none", []).startswith("<svg")
    line = charts.timeline(10.0, {"<i>": [(2.0, 30.0)]}, {"sections": [(0.0, 5.0, "A&B")]})
    assert "<i>" not in line
    assert "A&amp;B" in line
    assert "&lt;i&gt; 2.0 to 30.0 s" in line


class TestCommand:
    """`mllm data stats`."""

    def test_tables(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["data", "stats", str(folder)]) == 0
        told = capsys.readouterr().out
        assert "  yes_no              64          16    16    96" in told
        assert "tracks: key" in told

    def test_json(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["data", "stats", str(folder), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["records"] == {"train": 136, "validation": 34, "test": 34}

    def test_a_part_of_a_set_says_so(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        tracks = instruction_sets.tracks()
        instruction_sets.write(tmp_path, tracks, instruction_sets.records(tracks), with_audio=False)
        (tmp_path / data_set.MANIFEST).unlink()
        (tmp_path / "data" / "train-00000-of-00001.parquet").write_bytes(b"PAR1")
        assert cli.main(["data", "stats", str(tmp_path), "--html", str(tmp_path / "page.html"), "--samples", "0"]) == 1
        told = capsys.readouterr().err
        assert "is not finished: manifest.json is missing" in told
        assert "1 rows or files cannot be read" in told
        page = (tmp_path / "page.html").read_text()
        assert "This data set is not finished" in page
        assert "1 rows or files cannot be read" in page

    def test_wrong_use(self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["data", "stats", str(folder), "--html", str(tmp_path / "none" / "page.html")]) == 2
        assert "does not exist; make it first" in capsys.readouterr().err
        assert cli.main(["data", "stats", str(folder), "--html", str(tmp_path)]) == 2
        assert "cannot be written" in capsys.readouterr().err
        assert cli.main(["data", "stats", str(tmp_path)]) == 2
