"""What the sources of captions share: tables that are nothing of the kind, families, wordings, facts in our words."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mllm import messages, registry
from mllm.describe import CAPTION_QUESTION
from mllm.errors import ConfigError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _musical, _tables
from mllm.instruct_data.wordings import QUESTIONS
from tests import source_samples

FROM_YOUTUBE = ("audioset_music", "lp_musiccaps", "muchomusic", "musicbench", "musiccaps", "musicinstruct")
BENCHMARKS = ("mmau_music", "muchomusic", "song_describer")
TABLES = {
    "audioset_music": "balanced_train_segments.csv",
    "muchomusic": "muchomusic.csv",
    "musiccaps": "musiccaps-public.csv",
    "song_describer": "song_describer.csv",
}
JSON_FILES = {
    "mmau_music": "mmau-test-mini.json",
    "musicinstruct": "MusicInstruct/music_instruct_short.json",
    "musicqa": "EvalMusicQA.json",
}


def records(name: str, folder: Path, seed: int = 0) -> list[Record | MllmError]:
    rows: Iterator[Record | MllmError] = registry.find("source", name).records(folder, seed=seed)
    return list(rows)


def question(record: Record) -> str:
    return "".join(part.text for part in record.messages[0].parts if isinstance(part, messages.Text))


@pytest.mark.parametrize("name", [name for name in TABLES if name != "audioset_music"])
def test_a_missing_column_is_named_with_those_that_are_there(name: str, tmp_path: Path) -> None:
    table = source_samples.prepare(name, tmp_path) / TABLES[name]
    with table.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    about = registry.find("source", name)
    for column in about.COLUMNS:
        with table.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([[one if one != column else f"not {one}" for one in header], *rows])
        with pytest.raises(ConfigError) as raised:
            records(name, tmp_path)
        assert f"lacks the column {column}; there are: " in str(raised.value)
        assert f"not {column}" in str(raised.value)
        assert about.ABOUT.where in str(raised.value)


@pytest.mark.parametrize("name", FROM_YOUTUBE + BENCHMARKS + ("midicaps", "musicqa"))
def test_each_needed_file_is_asked_for(name: str, tmp_path: Path) -> None:
    about = registry.find("source", name).ABOUT
    for number, (needed, what) in enumerate(about.needs.items()):
        folder = source_samples.prepare(name, tmp_path / str(number))
        for path in sorted(folder.glob(needed.rstrip("/"))):
            path.rename(path.with_name("elsewhere"))
        for path in sorted(folder.glob("audioset_*_strong.tsv")):
            path.unlink()
        with pytest.raises(ConfigError) as raised:
            records(name, folder)
        assert f"({what}) is missing" in str(raised.value)
        assert about.where in str(raised.value)


@pytest.mark.parametrize("name", JSON_FILES)
@pytest.mark.parametrize("content", [b"", b'{"QA": ', b'"text"', b'{"other": []}', b"[" * 100_000], ids=repr)
def test_json_that_is_nothing_of_the_kind(name: str, content: bytes, tmp_path: Path) -> None:
    folder = source_samples.prepare(name, tmp_path)
    (folder / JSON_FILES[name]).write_bytes(content)
    with pytest.raises(ConfigError, match=r"expected (a list of objects|an object whose 'QA' is a list)"):
        records(name, folder)


def test_parquet_that_is_none_or_lacks_a_column(tmp_path: Path) -> None:
    folder = source_samples.prepare("lp_musiccaps", tmp_path)
    (table,) = folder.glob("LP-MusicCaps-MTT/data/*.parquet")
    other = next(iter(folder.glob("LP-MusicCaps-MC/data/train-*.parquet"))).read_bytes()
    table.write_bytes(other)
    with pytest.raises(ConfigError, match=r"lacks the column track_id and path; there are: fname, ytid"):
        records("lp_musiccaps", folder)
    table.write_bytes(other[:200])
    with pytest.raises(ConfigError, match="is not Parquet"):
        records("lp_musiccaps", folder)


def test_a_quote_that_is_never_closed_costs_what_follows_and_is_told(tmp_path: Path) -> None:
    folder = source_samples.prepare("musiccaps", tmp_path)
    table = folder / "musiccaps-public.csv"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text(lines[0] + lines[1] + '"never closed, ' + "and much more, " * 20_000, encoding="utf-8")
    read = records("musiccaps", folder)
    assert isinstance(read[0], Record)
    (complaint,) = source_samples.complaints(read, folder)
    assert complaint.startswith("musiccaps-public.csv row 2: not CSV (field larger than field limit")


def test_a_line_without_an_end_costs_itself_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = source_samples.prepare("midicaps", tmp_path)
    table = folder / "train.json"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text(lines[0] + '{"caption": "' + "x" * 10_000 + '"}\n' + lines[1], encoding="utf-8")
    monkeypatch.setattr(_tables, "LONGEST_LINE_BYTES", 3000)
    read = records("midicaps", folder)
    assert [type(one).__name__ for one in read] == ["Record", "MessageError", "Record"]
    assert "train.json row 2: longer than 3,000 bytes" in str(read[1])


def test_a_json_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = source_samples.prepare("mmau_music", tmp_path)
    monkeypatch.setattr(_tables, "LARGEST_JSON_BYTES", 100)
    with pytest.raises(ConfigError, match="at most 100 are read at once"):
        records("mmau_music", folder)


def test_the_same_clip_has_the_same_family_and_split_in_all_sources(tmp_path: Path) -> None:
    splits: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in FROM_YOUTUBE:
        for record in records(name, source_samples.prepare(name, tmp_path / name)):
            assert isinstance(record, Record)
            for family in record.families:
                splits[family][name].add(record.split)
    child, polka = splits["youtube/-aB3_dE-fG1"], splits["youtube/Zy9xW8_vU-7"]
    assert set(polka) == set(FROM_YOUTUBE)
    assert set(child) == set(FROM_YOUTUBE) - {"muchomusic"}
    assert set.union(*child.values()) == {"train"}
    assert set.union(*polka.values()) == {"test"}


def test_jamendo_is_the_same_in_muchomusic_and_song_describer(tmp_path: Path) -> None:
    families = [
        {family for row in records(name, source_samples.prepare(name, tmp_path / name)) for family in row.families}  # type: ignore[union-attr] # the samples have no errors
        for name in ("muchomusic", "song_describer")
    ]
    assert families[0] & families[1] == {"jamendo/9000134", "jamendo/9000207"}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmarks_are_for_evaluation_only(name: str) -> None:
    assert registry.find("source", name).ABOUT.evaluation_only


def test_the_options_of_a_benchmark_are_the_same_for_everybody(tmp_path: Path) -> None:
    folder = source_samples.prepare("muchomusic", tmp_path)
    with (folder / "muchomusic.csv").open("a", encoding="utf-8") as table:
        table.writelines(f"{n},Who?,right,one,two,three,Folk,sdd,9000207.json,,\n" for n in range(100, 500))
    one, other = ([row for row in records("muchomusic", folder, seed) if isinstance(row, Record)] for seed in (1, 2))
    assert [row.choices for row in one] == [row.choices for row in other]
    places = [row.correct for row in one[3:]]
    assert all(70 <= places.count(place) <= 130 for place in range(4)), "each letter is right about as often"


def many_captions(folder: Path, *, is_test: bool) -> list[Record]:
    (folder / "audio").mkdir(parents=True)
    names = [f"clip_{number:06d}" for number in range(300)]
    with (folder / "musiccaps-public.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(registry.find("source", "musiccaps").COLUMNS)
        writer.writerows([name, 0, 10, "[]", f"Caption of {name}.", is_test] for name in names)
    for name in names:
        (folder / "audio" / f"{name}.wav").touch()
    return [row for row in records("musiccaps", folder) if isinstance(row, Record)]


def test_captions_are_asked_for_in_many_wordings_and_as_the_product_asks(tmp_path: Path) -> None:
    asked = [question(record) for record in many_captions(tmp_path, is_test=False)]
    assert len(asked) == 300
    assert 0.15 < asked.count(CAPTION_QUESTION) / len(asked) < 0.35
    assert len(set(asked)) > 100
    assert not set(asked) & set(QUESTIONS["caption"].held_out)


def test_captions_of_the_test_split_are_asked_for_in_wordings_kept_from_training(tmp_path: Path) -> None:
    asked = {question(record) for record in many_captions(tmp_path, is_test=True)}
    assert len(asked) > 10
    assert asked <= set(QUESTIONS["caption"].held_out)


@pytest.mark.parametrize(
    ("published", "ours"),
    [
        ("C", "C:maj"),
        ("F#m7/B", "F#:min7/4"),
        ("Bm7b5", "B:hdim7"),
        ("G7/B", "G:7/3"),
        ("Bb6", "Bb:maj6"),
        ("Abmaj7", "Ab:maj7"),
        ("Gaug", "G:aug"),
        ("F#dim", "F#:dim"),
        ("C/C", "C:maj"),
        ("N", "N"),
        ("Gbmaj7#11", None),
        ("H", None),
        ("", None),
    ],
)
def test_chords_in_hartes_notation(published: str, ours: str | None) -> None:
    assert _musical.chord(published) == ours


@pytest.mark.parametrize(
    ("names", "begins", "end", "spans"),
    [
        (["C", "G"], [0.0, 2.0], 4.0, ((0.0, 2.0, "C:maj"), (2.0, 4.0, "G:maj"))),
        (["C", "G"], [0.0, 2.0], None, ((0.0, 2.0, "C:maj"),)),
        (["C", "G"], [0.0, 2.0], 1.0, ((0.0, 2.0, "C:maj"),)),
        (["C", "?"], [0.0, 2.0], 4.0, None),
        (["C", "G"], [2.0, 0.0], 4.0, None),
        (["C", "G"], [0.0], 4.0, None),
        (["C"], [0.0], None, None),
        ([], [], 4.0, None),
    ],
)
def test_chords_with_their_times(
    names: list[str], begins: list[float], end: float | None, spans: tuple[tuple[float, float, str], ...] | None
) -> None:
    assert _musical.chords(names, begins, end) == spans


@pytest.mark.parametrize(
    ("published", "ours"),
    [("A# major", "Bb major"), ("Db minor", "C# minor"), ("D dorian", None), ("", None), ("H minor", None)],
)
def test_keys_in_our_spelling(published: str, ours: str | None) -> None:
    assert _musical.key(published) == ours


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("['a', 'b c']", ("a", "b c")),
        ("""["it's", 'say "so"', 'don\\'t']""", ("it's", 'say "so"', "don't")),
        ("[]", ()),
        ("['a', ]", ("a",)),
    ],
)
def test_lists_as_python_writes_them(written: str, read: tuple[str, ...]) -> None:
    assert _tables.Row(place="here", number=1, fields={"tags": written}).texts("tags") == read


@pytest.mark.parametrize(
    "written", ["", "a, b", "['a' 'b'", "['a' 'b']", "[__import__('os')]", "['a'" + ", 'a'" * 20_000 + "]"]
)
def test_what_is_no_list_is_refused_and_nothing_in_it_is_executed(written: str) -> None:
    with pytest.raises(MllmError, match="expected a list of texts"):
        _tables.Row(place="here", number=1, fields={"tags": written}).texts("tags")


@pytest.mark.parametrize("value", [None, True, "many", [], {}, float("nan"), 10**400, "1e999", json.loads("Infinity")])
def test_numbers_are_finite_numbers(value: object) -> None:
    ask: Callable[[str], float] = _tables.Row(place="here", number=1, fields={"bpm": value}).number_at
    with pytest.raises(MllmError, match=r"bpm is .*, expected a number"):
        ask("bpm")
