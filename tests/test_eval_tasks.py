"""Tasks, questions, conditions and reports: with stand-ins that answer in known ways, and with a tiny model."""

from __future__ import annotations

import collections
import dataclasses
import json
import re
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from transformers import PreTrainedTokenizerFast

from mllm import audio, describe, facts, registry
from mllm.answer import Answer, Token
from mllm.errors import ConfigError
from mllm.eval import baselines, conditions, questions, report, run
from mllm.eval.clips import Clip, ClipSet
from mllm.eval.conditions import Conversation
from mllm.eval.metrics import Question, Said, Truth
from mllm.eval.tasks import catalogue
from mllm.instruct_data.wordings import QUESTIONS
from mllm.messages import Audio, Text
from scripts import evaluate as evaluate_script
from tests.tiny_checkpoint import write_checkpoint

CLIPS = (
    {"tempo_bpm": 120.4, "key": "C major", "meter": "4/4", "instruments": ["piano", "bass", "drums"]},
    {"tempo_bpm": 80.0, "key": "F# minor", "meter": "3/4", "instruments": ["strings", "flute"]},
    {"tempo_bpm": 160.0, "key": "Bb major", "meter": "6/8", "instruments": ["accordion", "piano"]},
    {"tempo_bpm": 60.0, "key": "E minor", "meter": "2/4", "instruments": ["choir", "organ"]},
)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four short clips of different tones, labelled as rendered clips are."""
    directory = tmp_path_factory.mktemp("rendered")
    lines = []
    for index, label in enumerate(CLIPS):
        time = np.arange(round(24000 * 1.5)) / 24000
        sound = 0.3 * np.sin(2 * np.pi * 220 * (index + 1) * time)
        soundfile.write(directory / f"{index}.flac", sound, 24000)
        lines.append(json.dumps({"id": f"clip-{index}", "path": f"{index}.flac", "sound_font": "tiny", **label}))
    path = directory / "labels.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def spoken(text: str) -> Answer:
    sure = Token(start=0, end=len(text), probability=1.0)
    return Answer(text=text, seconds_heard=1.5, total_seconds=1.5, tokens=(sure,), complete=True)


@dataclasses.dataclass
class Listening:
    """Describes the clip it is given without error, and denies everything else it is asked."""

    truths: dict[Path, Truth]
    asked: int = 0

    def __call__(self, conversations: Sequence[Conversation], max_new_tokens: int) -> list[Answer]:
        self.asked += len(conversations)
        return [spoken(self._one(conversation)) for conversation in conversations]

    def _one(self, conversation: Conversation) -> str:
        first, *rest = conversation[0].parts
        if not isinstance(first, Audio) or not isinstance(first.source, Path):
            return "I cannot tell."
        assert isinstance(rest[0], Text)
        true = self.truths[first.source]
        if rest[0].text != describe.QUESTION:
            return "No, I hear nothing of the kind."
        return json.dumps({"key": true.key, "tempo_bpm": true.tempo_bpm, "instruments": sorted(true.named)})


@pytest.fixture
def settings(labels: Path, tmp_path: Path) -> run.Settings:
    return run.Settings(labels=labels, out=tmp_path / "report", resamples=200)


def evaluate(settings: run.Settings) -> tuple[report.Results, Listening]:
    clip_set = run.load_clips(settings)
    listening = Listening({clip.audio: clip.truth for clip in clip_set.clips})
    subject = run.Subject(answer=listening, probe=None, description={"model": "stand-in", "model_sha256": "0"})
    return run.evaluate(settings, clip_set, subject, command="python scripts/evaluate.py"), listening


def test_hearing_blind_and_told_are_told_apart(settings: run.Settings) -> None:
    results, listening = evaluate(settings)
    value = {name: {f: e.value for f, e in figures.items()} for name, figures in results.figures.items()}
    assert value["heard"]["key_exact"] == value["heard"]["tempo_acc1"] == value["heard"]["instruments_f1"] == 1.0
    assert value["heard"]["meter"] == value["heard"]["answered_meter"] == 0.0  # it never says one
    assert value["heard"]["yes_no"] == value["heard"]["yes_no_plain"] == value["heard"]["yes_no_negated"] == 0.5
    for blind in ("silence", "another clip", "told as text"):
        assert value[blind]["key_exact"] == 0.0
        assert value[blind]["tempo_acc1"] == 0.0
    assert value["another clip"]["answered_key"] == 1.0
    assert value["silence"]["answered_key"] == 0.0
    assert value["silence"]["yes_no"] == 0.0
    assert results.differences["silence"]["key_exact"].value == 1.0
    assert results.differences["another clip"]["key_exact"].value == 1.0
    assert results.counts["questions"] == 8
    # 12 about the clips, 8 about other clips (whose descriptions are known), 8 and one description of silence, 12 told.
    assert listening.asked == 12 + 8 + 9 + 12


def test_results_are_the_same_when_measured_again(settings: run.Settings) -> None:
    first, second = evaluate(settings)[0], evaluate(settings)[0]
    assert first.figures == second.figures
    assert first.answers == second.answers


def test_report_holds_every_figure_and_answer(settings: run.Settings) -> None:
    results, _ = evaluate(settings)
    report.write(results, settings.out)
    summary = json.loads((settings.out / "report.json").read_text())
    assert summary["figures"]["heard"]["key_exact"]["value"] == 1.0
    assert summary["run"]["command"] == "python scripts/evaluate.py"
    assert set(summary["figures"]["heard"]) == set(report.ROWS)
    table = (settings.out / "report.md").read_text()
    assert "| 4 clips (rendered) | heard | silence | another clip | told as text | commonest answer |" in table
    assert "| key, exact | 1.00 [1.00, 1.00] | 0.00 [0.00, 0.00] |" in table
    answers = [json.loads(line) for line in (settings.out / "answers.jsonl").read_text().splitlines()]
    assert len(answers) == 4 * 3 * len(conditions.ASKED)
    assert {answer["right"] for answer in answers if "right" in answer} == {True, False}


def test_silence_is_as_long_as_the_clip(labels: Path) -> None:
    clips = registry.find("task", "rendered").load(labels).clips
    heard: list[bytes | Path] = []

    def deaf(conversations: Sequence[Conversation], max_new_tokens: int) -> list[Answer]:
        heard.extend(part.source for (message,) in conversations for part in message.parts if isinstance(part, Audio))
        return [spoken("") for _ in conversations]

    conditions.put("silence", clips, [()] * len(clips), deaf, seed=0)
    assert len(heard) == len(clips)
    assert set(heard) == {conditions.silent_file(1.5)}


@pytest.mark.parametrize("count", [2, 3, 7, 300])
def test_every_clip_is_replaced_by_another(count: int) -> None:
    other = conditions.derangement(count, seed=0)
    assert sorted(other) == list(range(count))
    assert all(index != replaced for index, replaced in enumerate(other))
    assert other == conditions.derangement(count, seed=0)


def test_one_clip_has_no_other() -> None:
    with pytest.raises(ConfigError, match="at least 2 clips"):
        conditions.derangement(1, seed=0)


def many_clips(count: int, *, synonyms_hold: bool = True) -> ClipSet:
    """Clips in which piano and drums are common."""
    rng = np.random.default_rng(0)
    clips = []
    for index in range(count):
        rare = rng.choice(facts.INSTRUMENTS[1:16], size=int(rng.integers(1, 4)), replace=False)
        names = {str(name) for name in rare} | {name for name in ("piano", "drums") if rng.random() < 0.8}
        truth = Truth(instruments=tuple(frozenset({name}) for name in sorted(names)))
        clips.append(Clip(id=str(index), audio=Path("none"), truth=truth))
    return ClipSet(clips=tuple(clips), synonyms_hold=synonyms_hold)


@pytest.mark.parametrize("absent", ["matched", "uniform"])
def test_questions_are_balanced_and_true(absent: questions.Absent) -> None:
    clip_set = many_clips(200)
    asked = questions.ask(clip_set, seed=0, absent=absent)
    flat = [question for of_clip in asked for question in of_clip]
    counts = collections.Counter((question.negated, question.yes) for question in flat)
    assert set(counts.values()) == {100}
    for clip, of_clip in zip(clip_set.clips, asked, strict=True):
        assert [question.negated for question in of_clip] == [False, True]
        for question in of_clip:
            plays = question.instrument in clip.truth.named
            assert question.yes == (plays != question.negated)
    assert asked == questions.ask(clip_set, seed=0, absent=absent)
    assert asked != questions.ask(clip_set, seed=1, absent=absent)


def test_knowing_which_instruments_are_common_does_not_help() -> None:
    """The best answer from the instrument alone, known afterwards, is right little more often than a coin."""

    def best(absent: questions.Absent) -> float:
        flat = [q for of_clip in questions.ask(many_clips(400), seed=0, absent=absent) for q in of_clip]
        by_name: dict[str, list[bool]] = collections.defaultdict(list)
        for question in flat:
            by_name[question.instrument].append(question.yes != question.negated)
        return sum(max(sum(plays), len(plays) - sum(plays)) for plays in by_name.values()) / len(flat)

    assert best("matched") < 0.6  # measured: 0.51
    assert best("uniform") > 0.65  # measured: 0.69


@pytest.mark.parametrize("synonyms_hold", [True, False])
def test_wordings_were_kept_from_training(synonyms_hold: bool) -> None:
    asked = questions.ask(many_clips(100, synonyms_hold=synonyms_hold), seed=0)
    for question in (q for of_clip in asked for q in of_clip):
        kept = QUESTIONS["lacks" if question.negated else "has"].held_out
        gaps = (re.sub(r"\\\{\w+\\\}", ".+", re.escape(pattern[0].upper() + pattern[1:])) for pattern in kept)
        assert any(re.fullmatch(gap, question.text, re.IGNORECASE) for gap in gaps), question.text
        if not synonyms_hold:
            assert question.instrument in question.text.lower()


def test_clips_of_which_nothing_can_be_asked() -> None:
    guitar = Truth(instruments=(frozenset({"acoustic guitar", "electric guitar"}),))
    clips = [Clip(id="a", audio=Path("a"), truth=Truth()), Clip(id="b", audio=Path("b"), truth=guitar)]
    assert questions.ask(ClipSet(clips=tuple(clips), synonyms_hold=False), seed=0) == [(), ()]
    assert "electric guitar" not in questions.absent_names(guitar)


def test_facts_are_told_whole() -> None:
    truth = Truth(tempo_bpm=87.6, key="Eb minor", meter="9/8", instruments=(frozenset({"harp"}), frozenset({"organ"})))
    text = questions.stated(truth, seed=0)
    assert all(part in text for part in ("88", "Eb minor", "9/8", "an organ and a harp"))
    assert questions.stated(Truth(), seed=0) == ""


def test_commonest_answer() -> None:
    truths = [
        Truth(tempo_bpm=120.0, key="C major", meter="4/4", instruments=(frozenset({"piano"}), frozenset({"drums"}))),
        Truth(tempo_bpm=120.5, key="C major", meter="3/4", instruments=(frozenset({"piano"}),)),
        Truth(tempo_bpm=70.0, key="A minor", meter="3/4", instruments=(frozenset({"piano"}),)),
    ]
    asked = Question(text="?", instrument="harp", negated=True, yes=True)
    said = baselines.commonest(truths, [(asked,), (), ()])
    assert said[0] == Said(
        tempo_bpm=float(facts.TEMPO_CLASSES_BPM[facts.nearest_tempo_class(120)]),
        key="C major",
        meter="3/4",
        instruments=("piano",),
        yes_no=(True,),
    )
    assert said[1] == dataclasses.replace(said[0], yes_no=())
    assert baselines.commonest([Truth()], [()]) == [Said()]


@pytest.mark.parametrize(
    ("words", "names", "unscored", "unknown"),
    [
        (["violins", "cellos", "pizzicato strings"], ["strings"], [], []),
        (["tuba", "Trumpet", "french horns"], ["brass"], [], []),
        (["celesta", "glock", "marimba", "bells"], ["mallets"], [], []),
        (["kit", "percussion", "synth drums"], ["drums"], [], []),
        (["ep", "electric piano", "clav"], ["harpsichord", "piano"], [], []),
        (["guitar"], ["acoustic guitar|electric guitar"], [], []),
        (["guitar", "wah guitar"], ["electric guitar"], ["acoustic guitar"], []),
        (["clarinet. percussion"], ["drums", "woodwind"], [], []),
        (["piano", "orchestra", "kalimba"], ["piano"], sorted(catalogue.ENSEMBLES["orchestra"]), ["kalimba"]),
    ],
)
def test_catalogue_words(words: list[str], names: list[str], unscored: list[str], unknown: list[str]) -> None:
    found = catalogue.map_words(words)
    assert sorted("|".join(sorted(group)) for group in found[0]) == names
    assert sorted(found[1]) == unscored
    assert found[2] == unknown


def test_catalogue_table_speaks_the_vocabulary() -> None:
    assert {name for names in catalogue.WORDS.values() for name in names.split("|")} <= set(facts.INSTRUMENTS)
    words = [word for words in catalogue.WORDS for word in words]
    assert len(words) == len(set(words))


def test_catalogue_labels(tmp_path: Path) -> None:
    rows = [
        {"file": "audio/one.ogg", "tempo": 80, "instruments": ["choirs", "kalimba"]},
        {"file": "audio/two.ogg", "tempo": None, "instruments": None},
        {"file": "audio/three.ogg", "instruments": ["kalimba"]},
    ]
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    clip_set = catalogue.load(path)
    assert [clip.id for clip in clip_set.clips] == ["one", "two", "three"]
    assert clip_set.clips[0].truth == Truth(tempo_bpm=80.0, instruments=(frozenset({"choir"}),))
    assert clip_set.clips[1].truth == clip_set.clips[2].truth == Truth()
    assert any("kalimba (2)" in note for note in clip_set.notes)
    assert any("Key and meter are not labelled" in note for note in clip_set.notes)
    assert len(catalogue.load(path, 2).clips) == 2


@pytest.mark.parametrize("task", registry.names("task"))
def test_every_task_refuses_what_is_no_labels_file(task: str, tmp_path: Path) -> None:
    load = registry.find("task", task).load
    path = tmp_path / "labels.jsonl"
    with pytest.raises(ConfigError, match="cannot be read"):
        load(path)
    path.write_text("")
    with pytest.raises(ConfigError, match="is empty"):
        load(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="line 1 is not JSON"):
        load(path)
    path.write_text('{"a": 1}')
    with pytest.raises(ConfigError, match="line 1 has no"):
        load(path)
    with pytest.raises(ConfigError, match="limit is 0"):
        load(path, 0)


def test_missing_recordings_are_told_before_anything_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps({"id": "a", "path": "a.flac", **CLIPS[0]}))
    with pytest.raises(ConfigError, match="1 of 1 recordings"):
        run.load_clips(run.Settings(labels=path, out=tmp_path))


def test_labels_of_another_vocabulary_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps({"id": "a", "path": "a.flac", **CLIPS[0], "instruments": ["theremin"]}))
    with pytest.raises(ConfigError, match="theremin"):
        registry.find("task", "rendered").load(path)


def test_a_whole_tiny_model_is_evaluated(
    labels: Path, tmp_path: Path, reference_tokenizer: PreTrainedTokenizerFast
) -> None:
    """Random weights: what is asserted is that everything was asked, scored and written, and measured alike twice."""
    model = write_checkpoint(tmp_path, reference_tokenizer)
    settings = run.Settings(labels=labels, out=tmp_path / "report", model=str(model), limit=2, resamples=20)
    subject = run.open_subject(settings.model)
    assert subject.probe is None  # MERT names no facts
    results = run.evaluate(settings, run.load_clips(settings), subject, command="python scripts/evaluate.py")
    report.write(results, settings.out)
    summary = json.loads((settings.out / "report.json").read_text())
    assert list(summary["figures"]) == ["heard", "silence", "another clip", "told as text", "commonest answer"]
    assert len(summary["run"]["model_sha256"]) == 64
    assert summary["figures"]["heard"]["key_exact"]["value"] == 0.0
    assert len(results.answers) == 2 * 3 * len(conditions.ASKED)
    assert all(answer["answer"] for answer in results.answers if answer["condition"] == "heard")
    shown = report.examples(results, 2)
    assert shown.count("question: ") == 2
    assert f"answer:   {results.answers[0]['answer']}" in shown
    blind = [answer["answer"] for answer in results.answers if answer["condition"] == "another clip"]
    heard = [answer["answer"] for answer in results.answers if answer["condition"] == "heard"]
    assert blind[:2] == [heard[1], heard[0]]


def test_probe_reads_what_the_encoder_names(labels: Path) -> None:
    """A stand-in for the compact encoder that names one thing in every clip."""

    class Naming(torch.nn.Module):
        config = types.SimpleNamespace(instrument_thresholds=(0.5,) * 16 + (0.9,))

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def features(self, waveform: torch.Tensor) -> torch.Tensor:
            return waveform

        def readout(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
            assert features.shape == (1, 36000)
            piano_and_doubtful_drums = torch.zeros(1, 17)
            piano_and_doubtful_drums[0, 0], piano_and_doubtful_drums[0, 16] = 0.6, 0.8
            return {
                "tempo": torch.eye(len(facts.TEMPO_CLASSES_BPM))[None, 3],
                "key": torch.eye(24)[None, 18],
                "meter": torch.eye(6)[None, 1],
                "instruments": piano_and_doubtful_drums,
            }

    model: Any = types.SimpleNamespace(audio_encoder=Naming())
    windows: Any = types.SimpleNamespace(
        listen=lambda recording, require_sound: types.SimpleNamespace(
            waveforms=(torch.from_numpy(audio.load(recording.source, sample_rate_hz=24000).samples),)
        )
    )
    clips = registry.find("task", "rendered").load(labels, 1).clips
    asked = (
        Question(text="?", instrument="piano", negated=False, yes=True),
        Question(text="?", instrument="drums", negated=True, yes=False),
    )
    assert baselines.has_readout(model)
    assert baselines.probe(model, windows, clips, [asked]) == [
        Said(
            tempo_bpm=float(facts.TEMPO_CLASSES_BPM[3]),
            key="F# minor",
            meter="3/4",
            instruments=("piano",),
            yes_no=(True, True),
        )
    ]


def test_the_script_says_what_is_wrong_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "--labels",
        str(tmp_path / "none.jsonl"),
        "--out",
        str(tmp_path),
        "--limit",
        "3",
        "--absent",
        "uniform",
    ]
    monkeypatch.setattr("sys.argv", ["scripts/evaluate.py", *arguments])
    assert evaluate_script.main() == 2
    assert capsys.readouterr().err.startswith(f"evaluate: the labels {tmp_path / 'none.jsonl'} cannot be read")


def test_the_script_prints_the_table_and_examples(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    truths = {clip.audio: clip.truth for clip in registry.find("task", "rendered").load(labels).clips}
    listening = run.Subject(answer=Listening(truths), probe=None, description={"model": "stand-in"})
    monkeypatch.setattr(run, "open_subject", lambda model: listening)
    arguments = ["--labels", str(labels), "--out", str(tmp_path / "report"), "--examples", "3", "--resamples", "50"]
    monkeypatch.setattr("sys.argv", ["scripts/evaluate.py", *arguments])
    assert evaluate_script.main() == 0
    printed = capsys.readouterr()
    assert "| key, exact | 1.00 [1.00, 1.00] |" in printed.out
    assert printed.out.count("question: ") == 3
    assert "heard: 12 answers in" in printed.err
    assert (tmp_path / "report" / "report.json").is_file()
