"""Builds of data sets: what is in them, that others can open them, and what is refused."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest

import mllm
from mllm import facts
from mllm.errors import ConfigError
from mllm.instruct_data import balance, build, build_asking, build_config, build_finish, build_parts, data_set
from mllm.instruct_data.build import Finished
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import SPLITS, Track
from mllm.instruct_data.wordings import QUESTIONS
from mllm.messages import Audio, Text
from tests import building

SPLIT = {"validation": 0.2, "test": 0.3}


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return building.write_music(tmp_path_factory.mktemp("music"), count=40)


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return building.write_fonts(tmp_path_factory.mktemp("fonts"))


@pytest.fixture(scope="module")
def built(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A data set of forty recordings of one's own."""
    out = tmp_path_factory.mktemp("built") / "set"
    return building.make(out, {"sources": [building.own(music)], "split": SPLIT})


@pytest.fixture(scope="module")
def rendered(fonts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A data set of rendered pieces, ten for training, one each for validation and testing."""
    out = tmp_path_factory.mktemp("rendered") / "set"
    return building.make(out, {"render": building.render(fonts, pieces=12)})


def records(finished: Finished, split: str | None = None) -> list[Record]:
    return list(data_set.read_records(finished.out, split))


def tracks(finished: Finished, split: str | None = None) -> list[Track]:
    return list(data_set.read_tracks(finished.out, split))


def heard(record: Record) -> list[str]:
    """Paths of a record's recordings."""
    parts = [part for message in record.messages for part in message.parts if isinstance(part, Audio)]
    return [str(part.source) for part in parts]


def question(record: Record) -> str:
    return "".join(part.text for part in record.messages[0].parts if isinstance(part, Text))


def test_everything_that_was_known_is_in_the_data_set(built: Finished, music: Path) -> None:
    known = {track.title or track.path: track for track in tracks(built)}
    assert len(known) == 40
    one = known["audio/folder/song 7.wav"]
    assert (one.tempo_bpm, one.key, one.licence) == (67.0, "G major", "CC0-1.0")
    assert one.seconds == pytest.approx(1.2)
    written = [record for record in records(built) if record.task == "caption" and record.template == "free"]
    assert sorted(record.answer for record in written) == sorted(f"Recording number {number}." for number in range(40))
    asked = Counter(track for record in records(built) for track in record.tracks)
    assert min(asked.values()) >= 2
    for track in known.values():
        assert (built.out / track.path).read_bytes() == (music / Path(track.path).name).read_bytes()


def test_families_stay_on_one_side(built: Finished) -> None:
    sides: dict[str, set[str]] = {}
    for record in records(built):
        for family in record.families:
            sides.setdefault(family, set()).add(record.split)
    assert all(len(splits) == 1 for splits in sides.values())
    assert {split for splits in sides.values() for split in splits} == set(SPLITS)
    assert all({track.split} == sides[track.family] for track in tracks(built))


def test_what_people_wrote_is_asked_for_in_words_kept_from_training(built: Finished) -> None:
    for split in SPLITS:
        asked = [question(record) for record in records(built, split) if record.template == "free"]
        assert asked
        assert all((one in QUESTIONS["caption"].held_out) == (split == "test") for one in asked)


def test_answers_are_equally_common_within_a_template(built: Finished, rendered: Finished) -> None:
    counted: dict[tuple[Path, str], Counter[str]] = {}
    for finished in (built, rendered):
        for record in records(finished):
            if (row := balance.row(record)) is not None:
                counted.setdefault((finished.out, row[1]), Counter())[row[2]] += 1
    assert counted
    assert all(len(count) > 1 and len(set(count.values())) == 1 for count in counted.values())


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_datasets_opens_it(built: Finished, streaming: bool, tmp_path: Path) -> None:
    def opened(name: str) -> Any:
        return datasets.load_dataset(str(built.out), name, streaming=streaming, cache_dir=str(tmp_path))

    everything = opened("default")
    assert set(everything) == set(SPLITS)
    for split in SPLITS:
        rows = [row["id"] for row in everything[split]]
        assert rows == [record.id for record in records(built, split)]
    assert [row["id"] for row in opened("tracks")["test"]] == [track.id for track in tracks(built, "test")]


def test_the_manifest_says_what_is_there(built: Finished, music: Path) -> None:
    manifest = json.loads((built.out / data_set.MANIFEST).read_text(encoding="utf-8"))
    assert manifest == built.manifest
    for split in SPLITS:
        counted = manifest["splits"][split]
        assert counted["records"] == len(records(built, split)) == sum(one[split] for one in manifest["tasks"].values())
        assert counted["tracks"] == len(tracks(built, split))
        assert counted["hours"] == pytest.approx(counted["tracks"] * 1.2 / 3600, abs=1e-4)
    assert manifest["licences"] == {"CC0-1.0": {"records": len(records(built)), "tracks": 40, "hours": 0.0133}}
    assert manifest["sources"]["folder"]["title"] == "A folder of your own"
    assert manifest["made_by"]["pyarrow"]
    files = {path: digest for path, digest in building.contents(built.out).items() if path.endswith(".parquet")}
    assert manifest["files"] == files
    assert manifest["audio"] == {
        "files": 40,
        "bytes": sum(path.stat().st_size for path in music.glob("*.wav")),
        "sha256": build_parts.sha256(built.out / build.AUDIO_HASHES),
    }
    lines = [line.split("  ") for line in (built.out / build.AUDIO_HASHES).read_text().splitlines()]
    listed = {path: digest for digest, path in lines}
    assert listed == {path: one for path, one in building.contents(built.out).items() if path.endswith(".wav")}
    assert not (built.out / build_parts.PARTS).exists()


def test_pieces_are_rendered_with_their_facts(rendered: Finished) -> None:
    by_split = {split: tracks(rendered, split) for split in SPLITS}
    assert {split: len(found) for split, found in by_split.items()} == {"train": 10, "validation": 1, "test": 1}
    for track in tracks(rendered):
        assert track.key is not None
        assert track.activity is not None
        assert set(track.activity) <= set(facts.INSTRUMENTS)
        assert (rendered.out / track.path).is_file()
    assert {path for record in records(rendered) for path in heard(record)} == {one.path for one in tracks(rendered)}
    assert all(record.families for record in records(rendered))


def test_there_are_at_least_the_hours_that_were_asked_for(fonts: list[str], tmp_path: Path) -> None:
    settings = {"render": building.render(fonts, pieces=None, hours=0.03, seconds=[14, 18], validation=0, test=0)}
    finished = building.make(tmp_path / "set", settings)
    seconds = [track.seconds or 0 for track in tracks(finished)]
    assert 0.03 * 3600 <= sum(seconds) < 0.03 * 3600 + 2 * max(seconds)


def test_the_same_settings_give_the_same_files(built: Finished, music: Path, tmp_path: Path) -> None:
    settings = {"sources": [building.own(music)], "split": SPLIT}
    again = building.make(tmp_path / "set", settings)
    assert building.contents(again.out) == building.contents(built.out)
    other = building.make(tmp_path / "other", settings | {"seed": 1})
    assert {one.id for one in records(other)} != {one.id for one in records(built)} or [
        question(one) for one in records(other)
    ] != [question(one) for one in records(built)]


def test_a_finished_data_set_is_found(built: Finished, music: Path) -> None:
    before = building.contents(built.out)
    found = building.make(built.out, {"sources": [building.own(music)], "split": SPLIT})
    assert found.found
    assert found.manifest == built.manifest
    assert building.contents(built.out) == before
    with pytest.raises(ConfigError, match="holds a finished data set of other settings: seed is 5 now and was 0; give"):
        building.make(built.out, {"sources": [building.own(music)], "split": SPLIT, "seed": 5})


def test_an_unfinished_data_set_of_other_settings_is_refused(music: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    bad = building.write_rows(tmp_path / "bad", [{"file_name": "lost.wav", "caption": "Lost."}])
    with pytest.raises(ConfigError, match="nothing is left to be written"):
        building.make(out, {"sources": [building.own(bad)]})
    with pytest.raises(ConfigError, match=r"an unfinished data set of other settings: .*split.test is 0.1 now and was"):
        building.make(out, {"sources": [building.own(bad)], "split": {"test": 0.1}})
    with pytest.raises(ConfigError, match="no finished data set"):
        list(data_set.read_records(out))


def test_what_is_no_data_set_is_left_alone(music: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear")
    with pytest.raises(ConfigError, match="holds something that no build has begun; give another out"):
        building.make(tmp_path, {"sources": [building.own(music)]})
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_two_builds_at_once_are_kept_apart(music: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    settings = {"sources": [building.own(music)]}
    seen: list[str] = []

    def build_again(sentence: str) -> None:
        if not seen:
            seen.append(sentence)
            with pytest.raises(ConfigError, match="another build writes into"):
                building.make(out, settings)

    config = build_config.read(None, given={"workers": 1, **settings, "out": str(out)})
    build.build(config, seen.append, build_again)
    assert seen


def test_a_benchmark_is_not_trained_on(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"sources\[0\]: MuChoMusic is a benchmark.*evaluation: true.*; sources\[1\]: "
    ):
        building.make(
            tmp_path / "set",
            {
                "sources": [
                    {"name": "muchomusic", "path": str(tmp_path)},
                    {"name": "musiccaps", "path": str(tmp_path / "nowhere")},
                ]
            },
        )


@pytest.mark.parametrize(("kind", "same_file"), [("link", True), ("copy", False)])
def test_recordings_are_linked_or_copied(kind: str, same_file: bool, music: Path, tmp_path: Path) -> None:
    finished = building.make(tmp_path / "set", {"sources": [building.own(music, audio=kind, most=3)]})
    for track in tracks(finished):
        placed, own = finished.out / track.path, music / Path(track.path).name
        assert placed.samefile(own) == same_file
        assert placed.read_bytes() == own.read_bytes()


def test_recordings_may_stay_where_they_are(music: Path, tmp_path: Path) -> None:
    finished = building.make(tmp_path / "set", {"sources": [building.own(music, audio="reference", most=3)]})
    assert not (finished.out / data_set.AUDIO).exists()
    assert {track.path for track in tracks(finished)} == {str(music / f"song {number}.wav") for number in range(3)}
    assert {path for record in records(finished) for path in heard(record)} == {one.path for one in tracks(finished)}


# music21 leaves a MIDI file open that it cannot read.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_cannot_be_used_is_named_and_counted(fonts: list[str], tmp_path: Path) -> None:
    rows = [{"file_name": f"{number}.wav", "caption": "A tone.", "key": "C major"} for number in range(30)]
    folder = building.write_rows(tmp_path / "music", rows)
    for number in range(5):
        building.write_tone(folder / f"{number}.wav", 200)
    (folder / "4.wav").write_bytes(b"RIFF no sound")
    scores = tmp_path / "scores"
    scores.mkdir()
    (scores / "broken.mid").write_bytes(b"MThd no notes")
    (scores / "broken.musicxml").write_text("<score-partwise><part>")
    finished = building.make(
        tmp_path / "set",
        {
            "sources": [building.own(folder)],
            "render": building.render(
                fonts,
                pieces=1,
                scores={
                    "music21": False,
                    "folders": [str(scores)],
                    "licence": "CC0-1.0",
                    "cache": str(tmp_path / "cache"),
                },
            ),
        },
    )
    skipped = finished.manifest["skipped"]
    assert skipped["folder"]["count"] == 26
    assert len(skipped["folder"]["first"]) == build_parts.MOST_NAMED
    assert "row 5" in skipped["folder"]["first"][0]
    assert "4.wav" in skipped["folder"]["first"][0]
    assert skipped["scores"]["count"] == 2
    assert [
        name for one in skipped["scores"]["first"] for name in ("broken.mid", "broken.musicxml") if name in one
    ] == [
        "broken.mid",
        "broken.musicxml",
    ]
    assert len([track for track in tracks(finished) if track.source == "folder"]) == 4


class _Writer(http.server.BaseHTTPRequestHandler):
    """A language model that answers every request with the same sentence."""

    asked = 0

    def do_POST(self) -> None:
        type(self).asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = {"choices": [{"message": {"role": "assistant", "content": "Music, written down by a model."}}]}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_a_language_model_writes_captions_and_is_not_asked_twice(music: Path, tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Writer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        writer = {"base": f"http://127.0.0.1:{server.server_address[1]}/v1", "model": "any"}
        settings = {"sources": [building.own(music)], "split": SPLIT, "writer": writer}
        finished = building.make(tmp_path / "set", settings)
        asked = _Writer.asked
        assert asked > 20
        (finished.out / data_set.MANIFEST).unlink()
        shutil.rmtree(finished.out / data_set.AUDIO)
        logs = shutil.copytree(finished.out / build_asking.LOGS, tmp_path / "again" / build_asking.LOGS)
        (logs.parent / build_parts.PARTS).mkdir()
        (logs.parent / build_parts.PARTS / "settings.json").write_text(
            json.dumps({**build_config.read(None, given={**settings, "out": "x"}).plain(), "made_by": mllm.__version__})
        )
        again = building.make(logs.parent, settings)
        server.shutdown()
    assert _Writer.asked == asked
    written = [one for one in records(again) if one.task in build_asking.WRITTEN]
    assert {one.answer for one in written} == {"Music, written down by a model."}
    assert len(written) > 20
    with pytest.raises(ConfigError, match="writer: base is 'nowhere', expected an address"):
        building.make(tmp_path / "other", {**settings, "writer": {"base": "nowhere", "model": "any"}})


def test_a_family_on_two_sides_and_ids_that_occur_twice(tmp_path: Path) -> None:
    sides = {"one": ("train", "train", "validation"), "two": ("test", "train", "train")}
    for name, splits in sides.items():
        rows: list[dict[str, Any]] = []
        for number, split in enumerate(splits):
            building.write_tone(tmp_path / name / f"{number}.wav", 200 + number)
            family = f"song {number}" if number < 2 else f"{name} alone"
            text = f"From {name}: {number}."
            rows.append({"file_name": f"{number}.wav", "caption": text, "split": split, "family": family})
        building.write_rows(tmp_path / name, rows)
    sources = [building.own(tmp_path / "one"), building.own(tmp_path / "two")]
    finished = building.make(tmp_path / "set", {"sources": sources})
    kept = {record.answer: record.split for record in records(finished) if record.template == "free"}
    assert kept == {
        "From two: 0.": "test",
        "From one: 1.": "train",
        "From two: 1.": "train",
        "From one: 2.": "validation",
        "From two: 2.": "train",
    }
    assert finished.manifest["left_out"][build_finish.OTHER_SIDE] >= 1
    paths = {track.path for track in tracks(finished)}
    assert paths == {
        *("audio/folder/1.wav", "audio/folder/2.wav"),
        *("audio/folder-2/0.wav", "audio/folder-2/1.wav", "audio/folder-2/2.wav"),
    }
    assert {path for path in building.contents(finished.out) if path.endswith(".wav")} == paths


def test_large_data_sets_have_several_files(music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "RECORDS_PER_FILE", 30)
    settings = {"sources": [building.own(music)], "split": {"validation": 0, "test": 0}}
    finished = building.make(tmp_path / "set", settings)
    paths = data_set.files(finished.out, data_set.RECORDS)
    counts = [pq.read_metadata(path).num_rows for path in paths]
    assert len(paths) > 3
    assert [path.name for path in paths] == [
        data_set.file_name("train", number, len(paths)) for number in range(len(paths))
    ]
    assert counts[:-1] == [30] * (len(paths) - 1)
    assert sum(counts) == finished.manifest["splits"]["train"]["records"]


def test_a_full_disk_is_told_and_the_build_goes_on_later(music: Path, tmp_path: Path) -> None:
    big = building.write_tone(tmp_path / "music" / "long.wav", 300, seconds=20).parent
    building.write_rows(big, [{"file_name": "long.wav", "caption": "A long tone."}])
    words = ["data", "build", "--folder", str(big), "--licence", "CC0-1.0", "--out", str(tmp_path / "set"), "workers=1"]
    code = (
        "import resource, sys; from mllm import cli;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        f"sys.exit(cli.main({words}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=building.environment()
    )
    assert done.returncode == 2
    assert "cannot be read or written (File too large); make room" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "set" / data_set.MANIFEST).exists()
    finished = building.make(tmp_path / "set", {"sources": [building.own(big)]})
    assert [record.answer for record in records(finished) if record.template == "free"] == ["A long tone."]
