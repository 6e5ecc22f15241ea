"""Tests of `mllm data check`: every check is silent on a clean set and finds the defect that is planted for it."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from mllm import cli, registry
from mllm.errors import ConfigError
from mllm.instruct_data import checking, data_set, rows
from mllm.instruct_data.checking import Seen, Settings
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import Track
from tests import instruction_sets
from tests.instruction_sets import RATE_HZ, melody, record

QUIET = Settings(listen=False)


def found(folder: Path, settings: Settings = QUIET, source: str | None = None) -> list[Finding]:
    return list(checking.check(rows.open_rows(folder, source), settings))


def kinds(findings: Sequence[Finding]) -> set[tuple[str, str]]:
    return {(one.check, one.kind) for one in findings}


class Draft:
    """A clean data set that is not written yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tracks: list[Track] = instruction_sets.tracks()
        self.records: list[Record] = instruction_sets.records(self.tracks)

    def change_track(self, number: int, **fields: Any) -> None:
        self.tracks[number] = dataclasses.replace(self.tracks[number], **fields)

    def change_record(self, number: int, **fields: Any) -> None:
        self.records[number] = dataclasses.replace(self.records[number], **fields)

    def ask(self, track: int, question: str, answer: str, **fields: Any) -> None:
        name = f"planted-{len(self.records)}"
        self.records.append(record(self.tracks[track], name, [(question, answer)], **fields))

    def write(self, *, with_audio: bool = False) -> Path:
        instruction_sets.write(self.folder, self.tracks, self.records, with_audio=with_audio)
        return self.folder


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    return Draft(tmp_path / "set")


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean data set with its recordings."""
    return Draft(tmp_path_factory.mktemp("clean") / "set").write(with_audio=True)


@pytest.fixture
def copied(heard: Path, tmp_path: Path) -> Path:
    shutil.copytree(heard, tmp_path / "copied")
    return tmp_path / "copied"


def ask(track: int, question: str, answer: str, **fields: Any) -> Callable[[Draft], None]:
    return lambda draft: draft.ask(track, question, answer, **fields)


def track(number: int, **fields: Any) -> Callable[[Draft], None]:
    return lambda draft: draft.change_track(number, **fields)


def answer_first(draft: Draft) -> None:
    for number, one in enumerate(draft.records):
        if one.choices:
            options = " ".join(f"{letter}) {option}" for letter, option in zip("ABCD", one.choices, strict=True))
            turn = (f"Which of these plays in {one.id}? {options}", f"A) {one.choices[0]}")
            planted = instruction_sets.record(
                next(track for track in draft.tracks if track.id == one.tracks[0]),
                one.id.partition("/")[2],
                [turn],
                template=one.template,
                choices=one.choices,
                correct=0,
            )
            draft.records[number] = planted


def answer_longest(draft: Draft) -> None:
    for number, one in enumerate(draft.records):
        if one.choices and one.correct is not None:
            options = [option.strip(".") for option in one.choices]
            options[one.correct] += ", played with much feeling"
            listed = " ".join(f"{letter}) {option}" for letter, option in zip("ABCD", options, strict=True))
            draft.records[number] = instruction_sets.record(
                next(track for track in draft.tracks if track.id == one.tracks[0]),
                one.id.partition("/")[2],
                [(f"Which of these plays in {one.id}? {listed}", options[one.correct])],
                template=one.template,
                choices=tuple(options),
                correct=one.correct,
            )


def say_yes(draft: Draft) -> None:
    for number in range(60):
        draft.ask(0, f"Is number {number} of the bars loud?", "Yes.", template="loud", label="yes")
    for number in range(20):
        draft.ask(0, f"Is number {number} of the bars soft?", "No.", template="loud", label="no")


def split_tune(draft: Draft) -> None:
    draft.change_track(11, family="tune-0")
    for number, one in enumerate(draft.records):
        if one.tracks == ("piece-11",):
            draft.change_record(number, families=("tune-0",))


def split_caption(draft: Draft) -> None:
    text = "A lone {} tells of a long journey over wet hills, and nobody knows whether it will come home this year."
    draft.ask(0, "What is it like?", text.format("fiddler"))
    draft.ask(11, "What is it about?", text.format("fiddler"))


def split_near_caption(draft: Draft) -> None:
    text = (
        "A lone wanderer tells of a long journey over wet hills, of the inns where he slept and of the people whom he "
        "met there, and nobody knows whether he will come home {}"
    )
    draft.ask(0, "What is it like?", text.format("this year."))
    draft.ask(11, "What is it about?", text.format("next year."))


def same_wordings(draft: Draft) -> None:
    for number in range(40):
        for piece in (0, 11):
            draft.ask(piece, f"What is the {number}. word?", f"{number + piece}", template="word")


def say_sorry(draft: Draft) -> None:
    for number in range(60):
        draft.ask(number % 8, f"What about bar {number}?", "I am sorry, but I cannot say anything about that.")


CASES: tuple[tuple[str, str, Callable[[Draft], None]], ...] = (
    ("answers", "empty answer", ask(0, "What is this?", "…")),
    ("answers", "empty question", ask(0, " ", "A tune.")),
    ("answers", "over-long answer", ask(0, "What is this?", "A tune. " * 1000)),
    ("answers", "unfilled field", ask(0, "Which style is it?", "It is in {style}.")),
    ("answers", "unfilled field", ask(0, "What style has <it>?", "A waltz.")),
    ("answers", "answer that repeats the question", ask(0, "Which style is this piece?", "Which style is this piece")),
    ("choices", "place that gives the answer away", answer_first),
    ("choices", "length that gives the answer away", answer_longest),
    (
        "choices",
        "option given twice",
        ask(0, "Which plays? A) piano B) Piano C) harp", "A) piano", choices=("piano", "Piano", "harp"), correct=0),
    ),
    (
        "choices",
        "answer that is not the right option",
        ask(0, "Which plays? A) piano B) harp", "B) harp", choices=("piano", "harp"), correct=0),
    ),
    (
        "choices",
        "option that is not asked",
        ask(0, "Which plays? A) piano", "A) piano", choices=("piano", "harp"), correct=0),
    ),
    ("contradictions", "absent instrument named", ask(0, "Describe it.", "A violin sings over a soft piano.")),
    (
        "contradictions",
        "absent instrument named",
        track(0, captions=("A tune for drums.",)),
    ),
    ("contradictions", "playing instrument denied", ask(0, "Describe it.", "A calm tune without any piano.")),
    ("contradictions", "wrong tempo", ask(0, "How fast is it?", "It runs at 97 BPM.")),
    ("contradictions", "wrong key", ask(0, "Which key?", "It is in F# minor.")),
    ("contradictions", "wrong key", ask(0, "Which mode?", "The piece is in a minor key.")),
    ("contradictions", "wrong meter", ask(0, "Which meter?", "It is in 3/4.")),
    ("contradictions", "wrong yes or no", ask(0, "Is there a saxophone in this recording?", "Yes.")),
    ("contradictions", "wrong yes or no", ask(0, "Can you hear the piano?", "No, I can't.")),
    ("encodings", "UTF-8 read as Latin letters", ask(0, "Who wrote it?", "It is by FaurÃ©.")),
    ("encodings", "UTF-8 read as Latin letters", ask(0, "Who wrote it?", "It isnâ€™t known.")),
    ("encodings", "lost character", track(0, title="Caf\N{REPLACEMENT CHARACTER} au lait")),
    ("encodings", "HTML", ask(0, "Who plays?", "Simon &amp; Garfunkel.")),
    ("encodings", "control character", ask(0, "Who plays?", "Simon\x07.")),
    ("facts", "unknown key", track(0, key="H major", keys=((0.0, "H major"),))),
    ("facts", "unknown meter", track(0, meter="4/5")),
    ("facts", "unknown instrument", track(0, absent=("kazoo",))),
    ("facts", "tempo that the beats contradict", track(0, tempo_bpm=131.0)),
    ("facts", "time after the end", track(0, activity={"piano": ((0.0, 9.0),), "bass": ((0.0, 2.0),)})),
    ("facts", "span that ends before it begins", track(0, sections=((3.0, 1.0, "A"),))),
    ("facts", "times out of order", track(0, downbeats=(2.0, 1.0))),
    ("facts", "instrument that plays and is absent", track(0, absent=("piano",))),
    ("facts", "instruments unlike the activity", track(0, instruments=("piano",))),
    ("guessing", "template that can be guessed", say_yes),
    ("leakage", "family on both sides of a split", split_tune),
    ("leakage", "recording on both sides of a split", track(11, path="audio/piece-0.wav")),
    ("leakage", "text on both sides of a split", split_caption),
    ("leakage", "near text on both sides of a split", split_near_caption),
    ("leakage", "test wordings that are trained on", same_wordings),
    ("licences", "no licence", track(0, licence="not stated")),
    ("licences", "non-commercial licence", track(0, licence="CC-BY-NC-SA-4.0")),
    ("licences", "mixed licences", track(0, licence="CC0-1.0")),
    ("references", "id of two tracks", track(1, id="piece-0")),
    ("references", "path that leads out", track(0, path="../piece-0.wav")),
    ("references", "record about an unknown track", lambda draft: draft.change_record(0, tracks=("piece-99",))),
    ("references", "record in another split than its track", lambda draft: draft.change_record(0, split="test")),
    ("references", "record without the family of its track", lambda draft: draft.change_record(0, families=())),
    ("references", "id of two records", lambda draft: draft.change_record(1, id=draft.records[0].id)),
    ("references", "record that plays another recording", lambda draft: draft.change_record(0, tracks=("piece-1",))),
    (
        "repeats",
        "record given twice",
        lambda draft: draft.records.append(dataclasses.replace(draft.records[0], id="x")),
    ),
    (
        "repeats",
        "answer in excess",
        say_sorry,
    ),
)


def identity(case: Any) -> str:
    return re.sub(r"\W+", "-", case) if isinstance(case, str) else ""


@pytest.mark.parametrize(("check", "kind", "plant"), CASES, ids=identity)
def test_a_planted_defect_is_found(check: str, kind: str, plant: Callable[[Draft], None], draft: Draft) -> None:
    plant(draft)
    findings = found(draft.write())
    assert (check, kind) in kinds(findings)
    for one in findings:
        assert one.where
        assert one.what
        assert one.cure
        assert one.severity in ("error", "warning", "note")


def test_nothing_is_found_in_a_clean_set(heard: Path) -> None:
    seen = Seen()
    settings = Settings(workers=2)
    assert list(checking.check(rows.open_rows(heard), settings, seen=seen)) == []
    assert (seen.tracks, seen.recordings, seen.records) == (12, 12, 12 * 17)


def test_every_check_keeps_the_contract_and_has_a_planted_defect(heard: Path) -> None:
    planted = {check for check, *_ in CASES} | {"benchmarks", "files", "recordings", "same_audio"}
    assert planted == set(registry.names("check"))
    for name in registry.names("check"):
        module = registry.find("check", name)
        assert re.fullmatch(r"[^.]+", module.SUMMARY)
        made = module.Check(name, rows.open_rows(heard), QUIET)
        assert isinstance(made, checking.Check)
        assert [*made.at_start(), *made.at_end()] == []


TRUE_ANSWERS = (
    ("Describe it.", "There are no drums, and nothing but a piano and a bass guitar."),
    ("Describe it.", "Everything but a saxophone: piano and bass."),
    ("Describe it.", "It sounds like a harp, but it is a piano."),
    ("Describe it.", "A piano piece at 160 BPM, or 80 beats per minute."),
    ("Describe it.", "The piano plays a G major chord in C major."),
    ("Describe it.", "A tune in a major key with no strings attached."),
    ("Which instrument is missing here, piano or drums?", "The drums."),
    ("Which instrument does not play?", "The violin."),
    ("Is there no piano?", "No, there is a piano."),
    ("Is it true that there is no saxophone?", "Yes."),
    ("Is there a piano solo before the drums enter?", "No."),
    ("Is there a violin?", "No."),
    ("Who would like it?", "Friends of the string quartet would like it."),
    ("Is it 3/4?", "It is not in 3/4."),
    ("Describe it.", "A tune in C major. It sets out on C major, F major and D minor."),
    ("What are the first chords?", "D major."),
    ("Harmony at 0:02, please. A) D major B) G minor", "A) D major"),
    ("Which of these would you listen for in vain? (A) violin (B) piano", "(A) violin."),
    ("What enters late?", "The bass enters at 0:02. There is no bass before."),
    ("Which key?", "C major, without a doubt; not A minor."),
)


@pytest.mark.parametrize(("question", "answer"), TRUE_ANSWERS)
def test_what_is_true_or_unclear_is_no_contradiction(question: str, answer: str, draft: Draft) -> None:
    draft.ask(0, question, answer)
    assert kinds(found(draft.write())) == set()


def test_enharmonic_keys_and_modes_are_no_contradiction(draft: Draft) -> None:
    draft.change_track(0, key="Eb dorian", keys=((0.0, "Eb dorian"), (3.0, "Bb major")))
    draft.records = [one for one in draft.records if one.tracks != ("piece-0",)]
    for answer in ("It is in D# dorian.", "E-flat minor.", "It moves to A# major.", "A sharp major."):
        draft.ask(0, f"Which key, or {answer}", answer)
    assert kinds(found(draft.write())) == set()


class TestRecordings:
    """Defects of sound, each in one file."""

    @pytest.mark.parametrize(
        ("kind", "samples"),
        [
            ("silent recording", np.zeros(6 * RATE_HZ)),
            ("clipped recording", np.clip(8 * melody(0), -1, 1)),
            ("very short recording", melody(0)[: RATE_HZ // 2]),
            ("recording that ends before its labels", melody(0)[: 4 * RATE_HZ]),
            ("constant offset", 0.5 * melody(0) + 0.1),
            ("dead channel", np.stack([melody(0), 0 * melody(0)], axis=1)),
        ],
    )
    def test_levels(self, copied: Path, kind: str, samples: np.ndarray[Any, Any]) -> None:
        soundfile.write(copied / "audio" / "piece-0.wav", samples, RATE_HZ)
        findings = found(copied, Settings())
        assert ("recordings", kind) in kinds(findings)
        assert {one.check for one in findings} == {"recordings"}
        assert all("audio/piece-0.wav (tracks/train-00000-of-00001.parquet row 1)" in one.where for one in findings)

    def test_missing_unreadable_and_cut_off(self, copied: Path) -> None:
        (copied / "audio" / "piece-0.wav").unlink()
        (copied / "audio" / "piece-1.wav").write_bytes(b"no sound at all")
        whole = (copied / "audio" / "piece-2.wav").read_bytes()
        (copied / "audio" / "piece-2.wav").write_bytes(whole[: len(whole) // 2])
        findings = found(copied, Settings(workers=2))
        assert [(one.kind, one.where.split()[0]) for one in findings] == [
            ("missing recording", "audio/piece-0.wav"),
            ("unreadable recording", "audio/piece-1.wav"),
            ("unreadable recording", "audio/piece-2.wav"),
        ]
        assert "was cut off" in findings[2].what

    def test_rates(self, copied: Path) -> None:
        soundfile.write(copied / "audio" / "piece-3.wav", melody(3, rate_hz=16_000), 16_000)
        (other,) = found(copied, Settings())
        assert (other.severity, other.kind) == ("note", "other sample rate")
        assert "audio/piece-3.wav" in other.where
        expected = found(copied, Settings(expected_rate_hz=16_000))
        assert [one.kind for one in expected] == ["other sample rate"] * 11

    def test_the_same_recording_twice(self, copied: Path) -> None:
        audio = copied / "audio"
        shutil.copy(audio / "piece-0.wav", audio / "piece-1.wav")
        soundfile.write(audio / "piece-3.wav", 0.3 * melody(2), RATE_HZ)
        soundfile.write(audio / "piece-11.wav", melody(4), RATE_HZ, format="FLAC", subtype="PCM_16")
        findings = {one.where: one for one in found(copied, Settings())}
        assert findings["audio/piece-1.wav"].kind == "same bytes twice"
        assert findings["audio/piece-3.wav"].kind == "same sound twice"
        assert findings["audio/piece-11.wav"].kind == "same recording on both sides of a split"
        assert findings["audio/piece-11.wav"].severity == "error"
        assert len(findings) == 3


class TestFiles:
    """Data sets that are not whole."""

    def test_unfinished(self, draft: Draft) -> None:
        folder = draft.write()
        (folder / data_set.MANIFEST).unlink()
        (folder / "data" / "train-00001-of-00002.parquet.half").write_bytes(b"PAR1")
        findings = found(folder)
        assert kinds(findings) == {("files", "unfinished data set"), ("files", "half-written file")}

    def test_only_half_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "train-00000-of-00001.parquet.half").write_bytes(b"PAR1")
        assert rows.open_rows(tmp_path).kind == "an unfinished data set"

    def test_altered_missing_and_added(self, draft: Draft) -> None:
        folder = draft.write()
        altered = folder / "data" / "validation-00000-of-00001.parquet"
        data_set.write_records(altered, data_set.read_part(folder / "data" / "test-00000-of-00001.parquet"))
        (folder / "data" / "test-00000-of-00001.parquet").rename(folder / "data" / "test-00000-of-00002.parquet")
        files = {(one.kind, one.where) for one in found(folder) if one.check == "files"}
        assert files == {
            ("altered file", "data/validation-00000-of-00001.parquet"),
            ("missing file", "data/test-00000-of-00001.parquet"),
            ("file that the manifest does not list", "data/test-00000-of-00002.parquet"),
        }

    @pytest.mark.parametrize("manifest", ["", "[]", '{"files": 3}', '{"files": {"data/x.parquet": 3}}', "[" * 100_000])
    def test_a_manifest_that_is_none(self, draft: Draft, manifest: str) -> None:
        folder = draft.write()
        (folder / data_set.MANIFEST).write_text(manifest)
        assert ("files", "manifest that cannot be read") in kinds(found(folder))

    def test_a_damaged_file_is_told_and_the_others_are_read(self, draft: Draft) -> None:
        folder = draft.write()
        path = folder / "data" / "train-00000-of-00001.parquet"
        whole = path.read_bytes()
        path.write_bytes(whole[:200] + bytes(len(whole) - 400) + whole[-200:])
        seen = Seen()
        findings = list(checking.check(rows.open_rows(folder), QUIET, seen=seen))
        assert ("rows", "file that cannot be read") in kinds(findings)
        assert seen.records == 4 * 17

    def test_rows_that_are_none_are_named_and_the_others_read(self, draft: Draft) -> None:
        folder = draft.write()
        path = folder / "data" / "train-00000-of-00001.parquet"
        table = pq.read_table(path).to_pylist()
        table[2]["messages"] = None
        table[4]["split"] = "training"
        table[5]["messages"] = table[5]["messages"][:1]
        table[6]["messages"][0]["content"][0]["type"] = "sound"
        pq.write_table(pa.Table.from_pylist(table, schema=data_set.SCHEMA), path)
        known = folder / "tracks" / "train-00000-of-00001.parquet"
        tracks = pq.read_table(known).to_pylist()
        tracks[0]["known"] = "{"
        tracks[1]["known"] = tracks[1]["known"].replace('"licence":"CC-BY-4.0"', '"licence":""')
        tracks[2]["known"] = '{"id": "x"}'
        pq.write_table(pa.Table.from_pylist(tracks, schema=data_set.TRACK_SCHEMA), known)
        instruction_sets.finish(folder)
        findings = [one for one in found(folder) if one.check == "rows"]
        assert [one.where for one in findings] == [
            *(f"tracks/train-00000-of-00001.parquet row {number}" for number in (1, 2, 3)),
            *(f"data/train-00000-of-00001.parquet row {number}" for number in (3, 5, 6, 7)),
        ]
        assert all(one.severity == "error" and one.what for one in findings)

    def test_columns_that_are_missing(self, draft: Draft) -> None:
        folder = draft.write()
        path = folder / "data" / "train-00000-of-00001.parquet"
        pq.write_table(pq.read_table(path).drop_columns(["licence"]), path)
        (finding,) = (one for one in found(folder) if one.check == "rows")
        assert finding.what == "the file lacks the columns licence"


BENCHMARK = '''"""A benchmark of three questions, for tests."""

from mllm.errors import ConfigError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources._files import About
from mllm.messages import parse

ABOUT = About(title="Three Questions", licence="CC0-1.0", citation="", where="", needs={}, evaluation_only=True)


def records(folder, *, seed=0):
    yield ConfigError("row 0: unreadable")
    for number, line in enumerate((folder / "questions.txt").read_text().splitlines()):
        family, question, answer = line.split("|")
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        yield Record(id=str(number), messages=parse(turns), task="question", template="free", source="three",
                     licence="CC0-1.0", split="test", families=(family,))
'''


@pytest.fixture
def benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a benchmark whose source is named three_questions."""
    from mllm.instruct_data import sources

    (tmp_path / "plug").mkdir()
    (tmp_path / "plug" / "three_questions.py").write_text(BENCHMARK)
    places = [*sources.__path__, str(tmp_path / "plug")]
    monkeypatch.setattr(sources, "__path__", places)
    monkeypatch.setattr(sources.__spec__, "submodule_search_locations", places)
    folder = tmp_path / "three"
    folder.mkdir()
    (folder / "questions.txt").write_text(
        "youtube/abc|What is it?|A waltz.\n"
        "jamendo/7|What does it tell of?|A long walk through the rain to a house in which nobody lives any more.\n"
    )
    yield folder
    sys.modules.pop("mllm.instruct_data.sources.three_questions", None)


def test_overlap_with_a_benchmark(draft: Draft, benchmark: Path) -> None:
    settings = Settings(listen=False, benchmarks={"three_questions": benchmark})
    instruction_sets.write(draft.folder, draft.tracks, draft.records, with_audio=False)
    assert found(draft.folder, settings) == []
    draft.change_track(0, family="youtube/abc")
    for number, one in enumerate(draft.records):
        if one.tracks == ("piece-0",):
            draft.change_record(number, families=("youtube/abc",))
    draft.ask(1, "And what is this?", "A long walk, through the rain to a house in which nobody lives any more!")
    draft.ask(10, "And this?", "A long walk through the rain to a house in which nobody lives any more, at night.")
    draft.ask(2, "And this?", "A long walk through the rain to a house in which nobody lives any more, says she.")
    findings = [one for one in found(draft.write(), settings) if one.check == "benchmarks"]
    assert [(one.kind, one.where.rpartition("(")[2]) for one in findings] == [
        ("recording of three_questions", "track 'piece-0')"),
        ("text of three_questions", "record 'piece-1/planted-204')"),
        ("text near a benchmark's", "record 'piece-2/planted-206')"),
    ]
    (benchmark / "questions.txt").write_text("")
    assert ("benchmarks", "benchmark without rows") in kinds(found(draft.folder, settings))


class TestOwnFiles:
    """Folders that no build made."""

    def test_conversations_with_defects(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "one.wav", melody(1), RATE_HZ)
        heard = {"type": "audio", "path": "one.wav"}
        gone = {"type": "audio", "path": "gone.wav"}
        ask = {"type": "text", "text": "What is it?"}
        lines = [
            json.dumps(
                {"messages": [{"role": "user", "content": [heard, ask]}, {"role": "assistant", "content": "-"}]}
            ),
            "{",
            json.dumps({"messages": [{"role": "user", "content": [gone, ask]}, {"role": "assistant", "content": "A"}]}),
        ]
        (tmp_path / "train.jsonl").write_text("\n".join(lines))
        findings = found(tmp_path / "train.jsonl", Settings())
        assert {
            (one.check, one.kind, one.where.partition(" (")[0].removeprefix(f"{tmp_path}/"))
            for one in findings
            if one.severity == "error"
        } == {
            ("answers", "empty answer", "train.jsonl line 1"),
            ("rows", "row that cannot be read", "train.jsonl line 2"),
            ("recordings", "missing recording", "gone.wav"),
        }
        assert ("licences", "no licence") in kinds(findings)

    def test_one_recording_in_train_and_validation(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "one.wav", melody(1), RATE_HZ)
        for name in ("train", "validation"):
            content = [{"type": "audio", "path": "one.wav"}, {"type": "text", "text": f"What is {name}?"}]
            messages = [{"role": "user", "content": content}, {"role": "assistant", "content": name}]
            (tmp_path / f"{name}.jsonl").write_text(json.dumps({"messages": messages}))
        assert ("leakage", "track on both sides of a split") in kinds(found(tmp_path, Settings()))

    def test_a_table_with_wrong_facts_and_wrong_rows(self, tmp_path: Path) -> None:
        for number in range(3):
            soundfile.write(tmp_path / f"{number}.wav", melody(number), RATE_HZ)
        (tmp_path / "music.csv").write_text(
            "file_name,caption,bpm,key,licence\n"
            "0.wav,A quick tune in C major at 97 BPM.,120,C major,CC0-1.0\n"
            "1.wav,A quick tune.,fast,C major,CC0-1.0\n"
            "9.wav,A slow tune.,60,C major,CC0-1.0\n"
            "2.wav,A song in A minor.,120,C major,CC0-1.0\n"
        )
        findings = found(tmp_path, Settings())
        told = {(one.check, one.kind, one.where.partition(" (")[0]) for one in findings}
        assert ("rows", "row that cannot be read", "music.csv row 3") in told
        assert ("contradictions", "wrong tempo", "folder/0.wav") in told
        assert sum(one.kind == "row that cannot be read" for one in findings) == 2
        assert {one.kind for one in findings if one.check == "contradictions"} == {"wrong tempo", "wrong key"}

    def test_texts_beside_recordings(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "one.wav", np.zeros(3 * RATE_HZ), RATE_HZ)
        (tmp_path / "one.txt").write_text("A calm tune for harp.")
        assert ("recordings", "silent recording") in kinds(found(tmp_path, Settings()))

    def test_nothing_is_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="does not exist; give a folder"):
            rows.open_rows(tmp_path / "none")


class TestCommand:
    """`mllm data check`."""

    def test_clean(self, heard: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["data", "check", str(heard), "--workers", "1"]) == 0
        told = capsys.readouterr()
        assert told.out == "Nothing is wrong.\n"
        assert "12 tracks, 12 recordings heard, 204 records" in told.err

    def test_table_and_json(self, draft: Draft, capsys: pytest.CaptureFixture[str]) -> None:
        for number in range(5):
            draft.ask(number, f"What is piece {number}?", "\x1b[31m\udc80"[:5] + " {field}")
        folder = draft.write()
        assert cli.main(["data", "check", str(folder), "--no-audio", "--examples", "2"]) == 1
        told = capsys.readouterr().out
        assert re.search(r"error +answers +unfilled field +5\n", told)
        assert told.count("the answer holds '{field}'") == 2
        assert "… and 3 more" in told
        assert "\x1b" not in told
        assert cli.main(["data", "check", str(folder), "--no-audio", "--json"]) == 1
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert sum(line["kind"] == "unfilled field" for line in lines) == 5
        assert set(lines[0]) == {"check", "severity", "kind", "where", "what", "cure"}

    def test_warnings_alone_do_not_fail(self, draft: Draft) -> None:
        draft.change_track(0, licence="unknown")
        assert cli.main(["data", "check", str(draft.write()), "--no-audio"]) == 0

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["--benchmark", "muchomusic"], "expected NAME=DIR"),
            (["--benchmark", "muchomusic=/nowhere"], "is no folder"),
            (["--benchmark", "muchomusik=."], "did you mean 'muchomusic'"),
            (["--source", "musiccap"], "did you mean 'musiccaps'"),
            (["--workers", "0"], "workers"),
        ],
    )
    def test_wrong_use(self, heard: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["data", "check", str(heard), "--no-audio", *words]) == 2
        assert sentence in capsys.readouterr().err

    def test_a_folder_of_nothing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["data", "check", str(tmp_path)]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
