"""`mllm data build` from the command line, and training on what it made."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from mllm import cli
from mllm.errors import ConfigError
from mllm.instruct_data import data_set
from mllm.messages import Audio
from mllm.train import conversations, held_out, recordings
from mllm.train.conversations import Conversation
from mllm.train.run_config import DataSection
from tests import building, tiny_training
from tests.tiny_checkpoint import write_checkpoint


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return building.write_music(tmp_path_factory.mktemp("music"), count=14)


@pytest.fixture(scope="module")
def built(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set with all splits."""
    settings = {"sources": [building.own(music)], "split": {"validation": 0.3, "test": 0.3}}
    finished = building.make(tmp_path_factory.mktemp("built") / "set", settings)
    assert set(finished.manifest["splits"]) == {"train", "validation", "test"}
    return finished.out


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `mllm` with these words."""
    status = cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_newcomers_folder(music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "my_data"
    words = ("data", "build", "--folder", music, "--licence", "CC-BY-4.0", "--out", out, "--workers", 1)
    status, printed, err = run(capsys, *words)
    assert status == 0
    count = len(list(data_set.read_records(out)))
    assert printed.startswith(f"{out} is finished: {count} records (train ")
    assert printed.endswith("about 14 recordings, 0.00 hours\n")
    assert all(line.startswith("mllm: ") for line in err.splitlines())
    assert {track.licence for track in data_set.read_tracks(out)} == {"CC-BY-4.0"}
    assert run(capsys, *words)[1].startswith(f"{out} was finished before with these settings: {count} records")


def test_hours_of_rendered_music_with_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fonts = building.write_fonts(tmp_path / "fonts")
    out = tmp_path / "hours"
    given = [word for font in fonts for word in ("--fonts", font)]
    settings = ("render.seconds=[5, 6]", "render.scores.music21=false", "render.test=0.5", "workers=1")
    status, printed, err = run(capsys, "data", "build", "--hours", 0.01, *given, "--out", out, *settings)
    assert status == 0, err
    assert "mllm: kept.sf2 is kept for testing: training never hears it" in err
    assert printed.startswith(f"{out} is finished: ")
    assert sum(track.seconds or 0 for track in data_set.read_tracks(out)) >= 36


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the settings: out is missing"),
        (("--out", "x"), "nothing to build was given; give render.hours, render.pieces or sources"),
        (("--licence", "CC0", "--out", "x"), "--licence goes with --folder"),
        (("a.yaml", "b.yaml"), "'a.yaml' and 'b.yaml' were given; expected one YAML file"),
        (("nowhere.yaml",), "there is no nowhere.yaml"),
        (("--folder", "nowhere", "--licence", "CC0", "--out", "x"), "there is no folder nowhere"),
        (("--folder", ".", "--out", "x"), "says nothing of its recordings"),
        (("--hours", "-1", "--out", "x"), "hours"),
        (("--hours", "1", "--fonts", "one.sf2", "--out", "x"), "render.fonts names one.sf2 only; give two or more"),
        (
            ("--hours", "1", "--fonts", "one.sf2", "--fonts", "two.sf2", "--out", "x"),
            "sound font one.sf2 does not exist",
        ),
        (("--engine", "cloud", "--hours", "1", "--out", "x"), "engine"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, tuple) else "",
)
def test_bad_arguments(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, "data", "build", *words, *(["workers=1"] if words else []))
    assert (status, out) == (2, "")
    assert said in err
    assert err.startswith("mllm: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "x" / data_set.MANIFEST).exists()


def test_training_reads_its_splits_and_no_other(built: Path) -> None:
    train, validation = held_out.divide(DataSection(train=(str(built),)))
    assert validation is not None
    for split, found in (("train", train), ("validation", validation)):
        expected = list(data_set.read_records(built, split))
        read = [one for one in found if isinstance(one, Conversation)]
        assert len(read) == len(found) == len(expected)
        for one, record in zip(read, expected, strict=True):
            placed = [part for message in record.messages for part in message.parts if isinstance(part, Audio)]
            assert [audio.source for audio in one.recordings] == [built / str(part.source) for part in placed]
            assert one.messages[-1] == record.messages[-1]
    assert "train-00000-of-00001.parquet row 1" in train[0].place if isinstance(train[0], Conversation) else False


def test_a_data_set_that_is_not_finished_is_refused(built: Path, tmp_path: Path) -> None:
    (tmp_path / ".parts").mkdir()
    with pytest.raises(ConfigError, match="is a data set that is not finished; run its mllm data build again"):
        conversations.read([tmp_path])
    with pytest.raises(ConfigError, match="is not finished"):
        recordings.mentions([tmp_path])
    broken = tmp_path / "broken"
    (broken / "data").mkdir(parents=True)
    (broken / "manifest.json").write_text("{}")
    (broken / "data" / "train-00000-of-00001.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(ConfigError, match=r"cannot be read .*; build the data set again"):
        list(conversations.read([broken]))


def test_train_and_encode(built: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    status, printed, err = run(capsys, "data", "encode", built, "--store", store, "--model", model)
    assert status == 0, err
    heard = {path for split in ("train", "validation") for path in _paths(built, split)}
    assert printed.startswith(f"windows: {len(heard)} made, 0 found; recordings failed: 0;")
    words = tiny_training.command_words(model, built, tmp_path / "made")
    more = ("train.steps=2", f"data.store={store}", "train.samples=1", "train.report_to=[]", "data.max_tokens=400")
    status, printed, err = run(capsys, "train", *words, *more)
    assert status == 0, err
    assert "steps 2" in printed
    assert "loss" in printed
    assert f"validation: {len(list(data_set.read_records(built, 'validation')))} conversations" in err


def _paths(built: Path, split: str) -> set[str]:
    parts = [
        part for record in data_set.read_records(built, split) for message in record.messages for part in message.parts
    ]
    return {str(part.source) for part in parts if isinstance(part, Audio)}
