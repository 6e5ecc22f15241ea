"""`mllm serve`: what it starts, and what it says where it cannot."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from transformers import PreTrainedTokenizerFast

from mllm import checkpoint, cli
from mllm.commands import serve
from mllm.serve_settings import ServeSettings
from tests.tiny_checkpoint import write_catalogue, write_checkpoint


class Replaced(Exception):  # noqa: N818 (no error: the process is another one from here on)
    """Stands for the end of this process's program."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The program, words and environment that the process was replaced by; vLLM for a CPU counts as installed."""
    seen: list[Any] = []

    def replace(*given: Any) -> NoReturn:
        seen.extend(given)
        raise Replaced

    monkeypatch.setattr(serve, "_is_installed", lambda: True)
    monkeypatch.setattr(serve, "_is_plugged_in", lambda: True)
    monkeypatch.setattr(serve, "_is_for_cpu", lambda: True)
    monkeypatch.setattr(os, "execve", replace)
    return seen


def test_it_becomes_vllms_server(
    started: list[Any], tmp_path: Path, reference_tokenizer: PreTrainedTokenizerFast
) -> None:
    model = write_checkpoint(tmp_path, reference_tokenizer)
    with pytest.raises(Replaced):
        cli.main(["serve", str(model), "--port", "8123", "--", "--max-num-seqs", "4"])
    program, words, environment = started
    assert (program, words[:3]) == (sys.executable, [sys.executable, "-m", "mllm.serve.vllm_server"])
    options = dict(itertools.pairwise(words))
    assert options["--model"] == str(model)
    assert options["--served-model-name"] == "mllm"
    assert (options["--host"], options["--port"], options["--dtype"]) == ("127.0.0.1", "8123", "float32")
    assert words[-2:] == ["--max-num-seqs", "4"]
    assert environment["VLLM_NO_USAGE_STATS"] == "1"
    assert {"mllm", "mllm_http"} <= set(environment["VLLM_PLUGINS"].split(","))
    assert ServeSettings.from_environment(environment) == ServeSettings()


ONE_PROCESS = ["--distributed-executor-backend", "vllm.v1.executor.uniproc_executor.UniProcExecutor"]


def test_on_a_cpu_the_model_runs_in_the_process_that_schedules(
    started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with pytest.raises(Replaced):
        cli.main(["serve"])
    _, words, environment = started
    assert words[-2:] == ONE_PROCESS
    assert environment["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
    assert environment["OMP_NUM_THREADS"] == "1"  # the reference checkpoint is small


def test_a_large_backbone_computes_on_all_cores(
    started: list[Any], tmp_path: Path, reference_tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    model = write_checkpoint(tmp_path, reference_tokenizer)
    monkeypatch.setattr("mllm.commands._shared.SMALL_MODEL_PARAMETERS", 1000)
    with pytest.raises(Replaced):
        cli.main(["serve", str(model)])
    assert started[2]["OMP_NUM_THREADS"] == str(len(os.sched_getaffinity(0)))


def test_what_the_user_sets_stays(started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Replaced):
        cli.main(["serve"])
    assert started[2]["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "64"
    started.clear()
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "9")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with pytest.raises(Replaced):
        cli.main(["serve"])
    assert (started[2]["ONEDNN_PRIMITIVE_CACHE_CAPACITY"], started[2]["OMP_NUM_THREADS"]) == ("9", "7")


@pytest.mark.parametrize(
    "options",
    [["-tp", "2"], ["--tensor-parallel-size=2"], ["-dp", "2"], ["--distributed-executor-backend", "mp"]],
)
def test_who_asks_vllm_for_several_processes_gets_them(started: list[Any], options: list[str]) -> None:
    with pytest.raises(Replaced):
        cli.main(["serve", "--", *options])
    _, words, environment = started
    assert words[-len(options) :] == options
    assert ONE_PROCESS[1] not in words
    assert "VLLM_CPU_OMP_THREADS_BIND" not in environment


def test_who_binds_threads_to_cores_gets_vllms_own_processes(
    started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0-3")
    with pytest.raises(Replaced):
        cli.main(["serve"])
    _, words, environment = started
    assert ONE_PROCESS[1] not in words
    assert environment["VLLM_CPU_OMP_THREADS_BIND"] == "0-3"


def test_on_a_cpu_the_cache_has_room_for_32_long_requests_unless_told_otherwise(
    started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Replaced):
        cli.main(["serve"])
    options = dict(itertools.pairwise(started[1]))
    of_token = 2 * 4 * 128 * 4  # keys and values, layers, width, bytes
    assert int(options["--kv-cache-memory-bytes"]) == 32 * 2048 * of_token
    started.clear()
    with pytest.raises(Replaced):
        cli.main(["serve", "--", "--kv-cache-memory-bytes=1G"])
    assert [word for word in started[1] if "cache" in word] == ["--kv-cache-memory-bytes=1G"]
    started.clear()
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "2")
    with pytest.raises(Replaced):
        cli.main(["serve"])
    assert not [word for word in started[1] if "cache" in word]
    assert started[2]["VLLM_CPU_KVCACHE_SPACE"] == "2"


def test_where_there_are_loras_those_of_adapters_are_applied_too(started: list[Any]) -> None:
    with pytest.raises(Replaced):
        cli.main(["serve", "--", "--enable-lora", "--lora-modules", "one=somewhere"])
    assert "--enable-tower-connector-lora" in started[1]


@pytest.mark.parametrize("own", [[], ["--tool-call-parser=pythonic", "--enable-auto-tool-choice"]])
def test_calls_are_read_in_the_form_in_which_they_are_written(started: list[Any], own: list[str]) -> None:
    with pytest.raises(Replaced):
        cli.main(["serve", "--", *own])
    options = dict(itertools.pairwise(started[1]))
    if own:
        assert [word for word in started[1] if "tool" in word] == own
    else:
        assert options["--tool-call-parser"] == "mllm"
        assert Path(options["--tool-parser-plugin"]).is_file()
        assert "--enable-auto-tool-choice" in started[1]


def test_limits_and_hosts_reach_the_server(started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_PLUGINS", "somebodys")
    hosts = ["--allowed-audio-host", "music.test", "--allowed-audio-host", "other.test:8080"]
    with pytest.raises(Replaced):
        cli.main(["serve", *hosts, "--max-audios", "3", "--request-seconds", "9.5"])
    _, words, environment = started
    expected = ServeSettings(allowed_audio_hosts=("music.test", "other.test:8080"), max_audios=3, request_seconds=9.5)
    assert ServeSettings.from_environment(environment) == expected
    assert dict(itertools.pairwise(words))["--limit-mm-per-prompt"] == '{"audio": 3}'
    assert environment["VLLM_PLUGINS"] == "mllm,mllm_http,somebodys"


def test_a_catalogue_reaches_the_server(
    started: list[Any], tmp_path: Path, reference_tokenizer: PreTrainedTokenizerFast, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_checkpoint(tmp_path / "model", reference_tokenizer, takes_items=True)
    catalogue = write_catalogue(tmp_path / "songs")
    with pytest.raises(Replaced):
        cli.main(["serve", str(model), "--catalog", str(catalogue), "--max-items", "5"])
    _, words, environment = started
    assert ServeSettings.from_environment(environment).catalog == str(catalogue)
    assert dict(itertools.pairwise(words))["--limit-mm-per-prompt"] == '{"audio": 8, "item": 5}'
    assert cli.main(["serve", str(model), "--catalog", str(tmp_path / "none")]) == 2
    assert "there is no catalogue in" in capsys.readouterr().err
    assert cli.main(["serve", "--catalog", str(catalogue)]) == 2
    assert "this model takes no catalogue items" in capsys.readouterr().err


def test_the_key_of_a_file_reaches_the_server_in_its_environment_alone(
    started: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "key"
    file.write_text("of tests\nanything else\n")
    with pytest.raises(Replaced):
        cli.main(["serve", "--api-key-file", str(file)])
    _, words, environment = started
    assert environment["VLLM_API_KEY"] == "of tests"
    assert not any("of tests" in word for word in words)
    started.clear()
    file.write_text(" \nof tests\n")
    for place, sentence in ((file, "is empty; expected the API key"), (tmp_path / "none", "cannot be read")):
        assert cli.main(["serve", "--api-key-file", str(place)]) == 2
        said = capsys.readouterr().err
        assert sentence in said
        assert said.count("\n") == 1
    assert not started


def test_the_reference_checkpoint_is_served_by_default(started: list[Any]) -> None:
    with pytest.raises(Replaced):
        cli.main(["serve", "--", "--max-num-seqs", "4"])
    assert str(checkpoint.reference_directory()) in started[1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["no/such/place/at/all"], "there is no model at 'no/such/place/at/all'"),
        (["one", "two"], "'one' and 'two' were given; expected one checkpoint"),
        (["one", "--model", "two"], "'one' and 'two' were given; expected one checkpoint"),
        (["--port", "0"], "port"),
        (["--max-audios", "0"], "max_audios"),
        (["--allowed-audio-host", "http://music.test"], "expected name or name:port"),
    ],
)
def test_what_it_cannot_serve(
    words: list[str], sentence: str, started: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["serve", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mllm: ")
    assert said.count("\n") == 1
    assert sentence in said
    assert not started


def test_a_lora_inside_a_checkpoint_must_be_merged_first(
    started: list[Any],
    tmp_path: Path,
    reference_tokenizer: PreTrainedTokenizerFast,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, processor = checkpoint.load(write_checkpoint(tmp_path, reference_tokenizer))
    checkpoint.with_parts(model, lora={"rank": 2})
    place = tmp_path / "with-lora"
    checkpoint.save(model, processor, place, card="", run={})
    capsys.readouterr()  # progress of writing the checkpoint
    assert cli.main(["serve", str(place)]) == 2
    said = capsys.readouterr().err
    assert f"merge it into the backbone first: mllm export {place} --out DIR --merge\n" in said
    assert said.count("\n") == 1
    assert not started
    assert cli.main(["export", str(place), "--out", str(tmp_path / "merged"), "--merge"]) == 0
    with pytest.raises(Replaced):
        cli.main(["serve", str(tmp_path / "merged")])


def test_without_vllm_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "_is_installed", lambda: False)
    assert cli.main(["serve"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mllm: serving needs vLLM, which is not installed; ")
    assert said.count("\n") == 1


def test_an_installation_without_our_routes_is_told(
    started: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "_is_plugged_in", lambda: False)
    assert cli.main(["serve"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mllm: vLLM would serve without the routes and limits of mllm")
    assert said.count("\n") == 1
    assert not started
