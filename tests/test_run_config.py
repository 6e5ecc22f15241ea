"""Settings of a training: what is read from YAML and words, and that every mistake is told at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mllm.errors import ConfigError
from mllm.train.run_config import PLUG_INS, SECTIONS, RunConfig, read

LEAST = {"out": "made", "data": {"train": ["songs.jsonl"]}}


def write(path: Path, content: Any) -> Path:
    text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    return path


def told(content: Any, tmp_path: Path, *words: str) -> str:
    """What is said of settings that are wrong."""
    with pytest.raises(ConfigError) as error:
        read(write(tmp_path / "run.yaml", content), words)
    return str(error.value)


def test_the_least_that_is_needed_and_what_is_taken_for_the_rest(tmp_path: Path) -> None:
    config = read(write(tmp_path / "run.yaml", LEAST))
    assert (config.stage, config.out, config.work) == ("instruct", "made", "made.training")
    assert config.data.train == ("songs.jsonl",)
    assert (config.train.learning_rate, config.train.epochs, config.lora.rank) == (1e-3, None, 8)
    assert read(None, ["out=made", "data.train=songs.jsonl"]) == config
    assert read(None, given=LEAST) == config


def test_mistakes_of_all_sections_are_told_in_one_sentence(tmp_path: Path) -> None:
    wrong = {
        "out": "made",
        "modell": {},
        "epochs": 3,
        "model": {"max_windows": 0, "start": "one", "backbone": "two", "audio_encoder": "three"},
        "data": {"train": "songs.jsonl", "worker": 2, "validation_share": 0.9},
        "train": {"learning_rate": "fast", "keep": 1},
    }
    sentence = told(wrong, tmp_path, "train.epochs=0", "nonsense")
    for mistake in (
        f"{tmp_path / 'run.yaml'}: ",
        "'nonsense' is no setting; expected key.sub=value",
        "modell is not a setting (did you mean 'model'?)",
        "epochs is not a setting (did you mean 'train.epochs'?)",
        "model.start and backbone were both given; go on from a checkpoint or begin with a backbone",
        "data.worker is not a setting (did you mean 'workers'?)",
        "data.validation_share is 0.9; expected 0 to 0.5",
        "train.learning_rate is 'fast'; expected a number",
        "train.epochs is 0.0; expected more than 0",
        "train.keep is 1; expected 2 or more",
    ):
        assert mistake in sentence
    assert "model.go on" not in sentence
    assert "train.expected" not in sentence


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"out": None}, "out is missing"),
        ({"out": ["made"]}, r"out is \['made'\]; expected a directory"),
        ({"work": ""}, "work is ''; expected a directory"),
        ({"stage": "allign"}, "stage is 'allign'; expected one of align, instruct, lora, items .did you mean 'align'"),
        ({"stage": ["align"]}, r"stage is \['align'\]; expected one of"),
        ({"data": None}, "data.train is missing"),
        ({"data": 5}, "data is 5; expected settings"),
        ({"train": False}, "train is False; expected settings"),
        ({"stage": "items"}, "data.catalog is missing"),
        ({"adapter": "mlp"}, "adapter is 'mlp'; expected its name and settings"),
        ({"item_adapter": {"hidden_width": 3}}, "item_adapter is .*expected its name and settings"),
        ({"model": {"backbone": "llama"}}, "model.backbone and audio_encoder go together; give both, or start"),
        ({"model": {"backbone": "llama", "audio_encoder": "mert"}}, "adapter is missing; a new backbone needs one"),
        ({"model": {"quantisation": "int4"}}, "model.quantisation is 'int4'; expected one of 'int8', 'nf4'"),
        ({"train": {"steps": 1.5}}, "train.steps is 1.5; expected a whole number"),
        ({"train": {"gradient_checkpointing": "maybe"}}, "gradient_checkpointing is 'maybe'; expected true or false"),
        ({"train": {"report_to": ["wandbb"]}}, "train.report_to is .*expected one of 'tensorboard', 'wandb'"),
        ({"train": {"max_grad_norm": float("nan")}}, "train.max_grad_norm is nan; expected a number"),
        ({"lora": {"rank": 0, "dropout": 1}}, "lora.rank is 0; expected 1 or more; lora.dropout is 1.0; expected at"),
        ({"data": {"train": ["songs.jsonl"], "max_tokens": 0}}, "data.max_tokens is 0; expected 1 or more"),
    ],
)
def test_a_mistake_is_told_by_the_key_that_was_typed(change: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=expected):
        read(write(tmp_path / "run.yaml", {**LEAST, **change}))


@pytest.mark.parametrize(
    ("written", "rate"),
    [("1e-3", 1e-3), ("2.5E-4", 2.5e-4), (".5e-2", 5e-3), ("1", 1.0), ("1e+0", 1.0), ("3.e-4", 3e-4)],
)
def test_numbers_are_read_as_people_write_them(written: str, rate: float, tmp_path: Path) -> None:
    path = write(tmp_path / "run.yaml", f"out: made\ndata: {{train: songs.jsonl}}\ntrain: {{learning_rate: {written}}}")
    assert read(path).train.learning_rate == rate
    assert (
        read(None, ["out=made", "data.train=songs.jsonl", f"train.learning_rate={written}"]).train == read(path).train
    )


def test_a_text_that_looks_like_a_date_stays_a_text(tmp_path: Path) -> None:
    assert read(write(tmp_path / "run.yaml", LEAST), ["out=2026-01-31", "work=2026-13-45"]).out == "2026-01-31"


def test_words_win_over_the_file_and_what_is_given_over_both(tmp_path: Path) -> None:
    path = write(tmp_path / "run.yaml", {**LEAST, "train": {"epochs": 1, "keep": 5, "seed": 2}})
    words = [
        "train.epochs=2",
        "train.epochs=4",
        "train.keep=3",
        "data.train=[a.jsonl, b.jsonl]",
        "model={dtype: float16}",
    ]
    config = read(path, words, given={"train": {"keep": 7}})
    assert (config.train.epochs, config.train.keep, config.train.seed) == (4.0, 7, 2)
    assert config.data.train == ("a.jsonl", "b.jsonl")
    assert config.model.dtype == "float16"


def test_lists_may_be_one_text() -> None:
    config = read(
        None, ["out=made", "data.train=a", "data.validation=b", "lora.targets=q_proj", "train.report_to=wandb"]
    )
    assert (config.data.train, config.data.validation) == (("a",), ("b",))
    assert (config.lora.targets, config.train.report_to) == (("q_proj",), ("wandb",))


def test_included_files_are_read_first_from_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "bases").mkdir()
    write(tmp_path / "bases" / "deepest.yaml", {"train": {"seed": 11, "epochs": 1, "keep": 9}})
    write(tmp_path / "bases" / "size.yaml", {"include": "deepest.yaml", "train": {"epochs": 2}})
    write(tmp_path / "bases" / "other.yaml", {"train": {"keep": 4}, "data": {"workers": 3}})
    path = write(tmp_path / "run.yaml", {"include": ["bases/size.yaml", "bases/other.yaml"], **LEAST})
    config = read(path)
    assert (config.train.seed, config.train.epochs, config.train.keep) == (11, 2.0, 4)
    assert (config.data.workers, config.data.train) == (3, ("songs.jsonl",))


def test_a_plug_in_of_another_name_takes_the_place_of_all_its_settings(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", {**LEAST, "adapter": {"name": "mlp", "tokens_per_second": 5, "hidden_width": 32}})
    path = write(tmp_path / "run.yaml", {"include": "base.yaml", "adapter": {"tokens_per_second": 2}})
    assert read(path).adapter == {"name": "mlp", "tokens_per_second": 2, "hidden_width": 32}
    assert read(path, ["adapter.name=mlp", "adapter.hidden_width=8"]).adapter == {
        "name": "mlp",
        "tokens_per_second": 2,
        "hidden_width": 8,
    }
    assert read(path, ["adapter={name: linear}"]).adapter == {"name": "linear"}
    assert read(path, ["adapter=null"]).adapter is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"run.yaml": {"include": "run.yaml"}}, "run.yaml is included 8 files deep"),
        ({"run.yaml": {"include": "b.yaml"}, "b.yaml": {"include": ["run.yaml"]}}, "is included 8 files deep"),
        ({"run.yaml": {"include": "absent.yaml"}}, "there is no .*absent.yaml"),
        ({"run.yaml": {"include": "."}}, "cannot be read"),
        ({"run.yaml": {"include": "a\0b"}}, "cannot be read"),
        ({"run.yaml": {"include": 5}}, "include is 5; expected a YAML file"),
        ({"run.yaml": {"include": {"a": "b"}}}, "include is .*; expected a YAML file"),
        ({"run.yaml": {"include": "b.yaml"}, "b.yaml": ["no settings"]}, "b.yaml holds a list; expected settings"),
    ],
)
def test_what_cannot_be_included_is_said(files: dict[str, Any], expected: str, tmp_path: Path) -> None:
    for name, content in files.items():
        write(tmp_path / name, content)
    with pytest.raises(ConfigError, match=expected):
        read(tmp_path / "run.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch MARK']",
        "out: !!python/object/apply:os.system ['touch MARK']",
        "out: !!python/name:os.system",
        "out: !!python/tuple [1, 2]",
        "out: !!set {a, b}",
        "out: !!binary aGVsbG8=",
        "out: !!timestamp 2026-01-31",
        "out: !!timestamp tomorrow",
        "out: !!int many",
        "out: !!bool perhaps",
        f"out: {'9' * 5000}",
        "out: &a [*a]",
        "adapter: &a {name: mlp, more: *a}",
        "on: 3",
        "train: {1: 2}",
        "1: 2",
        "? [a]\n: b",
        "out: [",
        "[" * 4000,
        "out: a\n out: b",
        "\0",
        "--- a\n--- b",
    ],
)
def test_a_file_that_holds_more_than_settings_is_refused_and_builds_nothing(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        read(write(tmp_path / "run.yaml", text))
    assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_bytes(b"out: caf\xe9")
    with pytest.raises(ConfigError, match=r"run\.yaml.* cannot be read \(.*utf-8"):
        read(tmp_path / "run.yaml")
    with pytest.raises(ConfigError, match=r"there is no .*absent\.yaml; give a YAML file of settings"):
        read(tmp_path / "absent.yaml")


@pytest.mark.parametrize("word", ["=3", "train.=3", ".epochs=3", "train epochs=3", "train.epochs=[", "a b=1", "out"])
def test_words_that_are_no_settings(word: str) -> None:
    with pytest.raises(ConfigError, match=r"expected key\.sub=value|is not YAML"):
        read(None, [word], given=LEAST)


def test_settings_are_kept_as_yaml_and_read_again(tmp_path: Path) -> None:
    config = read(None, ["lora.targets=[q_proj]", "adapter={name: mlp}", "train.report_to=[]"], given=LEAST)
    again = read(write(tmp_path / "again.yaml", yaml.safe_dump(config.plain())))
    assert again == config
    assert again.plain() == config.plain()


_keys = st.sampled_from(
    [*SECTIONS, *PLUG_INS, "include", "stage", "out", "work", "name", "epochs", "train", "rank", "targets"]
) | st.text(max_size=5)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.binary(max_size=3) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys | st.integers(), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=70, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.dictionaries(_keys, _values, max_size=5), words=st.lists(st.text(max_size=12), max_size=2))
def test_anything_that_yaml_can_hold_gives_settings_or_a_sentence(
    content: dict[Any, Any], words: list[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "run.yaml", yaml.safe_dump({"out": "made", "data": {"train": "songs.jsonl"}, **content}))
    try:
        assert isinstance(read(path, words), RunConfig)
    except ConfigError as error:
        assert str(error)  # noqa: PT017 (either is well)


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_give_settings_or_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_bytes(content)
    with pytest.raises(ConfigError):
        read(tmp_path / "run.yaml")
