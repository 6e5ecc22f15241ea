"""The same questions about the same pieces after what happens to recordings: noise, mp3, telephone, pitch, speed.

In: rendered pieces, and recordings made of them. Out: a question about the tempo, the key or one instrument of each
piece, in the same words about the clean recording and about each changed one. Where a change moves key or tempo the
truth moves with it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mllm import facts
from mllm.eval import statistic
from mllm.eval.metrics import key as key_metrics
from mllm.eval.metrics import tempo as tempo_metrics
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.reading import key as key_reading
from mllm.eval.reading import tempo as tempo_reading
from mllm.eval.statistic import Ratio, Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _made, _matched
from mllm.eval.tasks._changes import CHANGES, CLEAN, Change
from mllm.eval.tasks._matched import Asked
from mllm.instruct_data import track_facts
from mllm.instruct_data.asked import ask
from mllm.instruct_data.augment import _known
from mllm.instruct_data.exchanges import Draw
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS
from mllm.messages import Audio

ABOUT = About(
    title="Robustness",
    version="1",
    summary="Tempo (within 4 %), key and one instrument of the same pieces, clean and after nine changes of the "
    "recording; kept is the share of right answers that stay right.",
    figures={
        "accuracy": Figure(title="right, clean and changed", headline=True),
        "clean": Figure(title="right, clean"),
        "changed": Figure(title="right, changed"),
        "kept": Figure(title="right before, and still right"),
        "tempo": Figure(title="tempo, changed"),
        "key": Figure(title="key, changed"),
        "presence": Figure(title="does it play?, changed", chance=0.5),
    },
)

_PIECES = 8
"""That are asked about each fact."""


def load(music: Music) -> Sequence[Question]:
    """Every question ten times: clean, then changed."""
    folder = music.made(f"robustness-{ABOUT.version}")
    pieces = [track for track in music.short() if _is_steady(track)]
    count = music.count(_PIECES)
    rng = random.Random(f"{music.seed}/robustness")
    found: list[Question] = []
    for track in pieces[:count]:
        found += _of_tempo(track, folder, rng)
    for track in (pieces[count:] or pieces)[:count]:
        found += _of_key(track, folder, rng)
    for one in _matched.in_twos(music.short(), rng, _matched.instruments, count):
        found += _of_presence(one, folder, rng)
    return found


def _is_steady(track: Track) -> bool:
    """Whether it has one tempo and one key, in major or minor."""
    return track_facts.steady_tempo(track) is not None and track_facts.steady_key(track) in facts.KEYS


def _recordings(track: Track, folder: Path) -> Iterator[tuple[str, Change | None, Path]]:
    """Each change with the changed recording, made where it is absent; the clean one first."""
    yield CLEAN, None, Path(track.path)
    for name, change in CHANGES.items():
        yield name, change, _changed(track, name, change, folder)


def _changed(track: Track, name: str, change: Change, folder: Path) -> Path:
    seed = int.from_bytes(hashlib.sha256(f"{track.id}/{name}".encode()).digest()[:8], "big")
    return _made.keep(
        folder / f"{track.id}-{name}.flac",
        lambda: change.make(_made.samples_of(track), np.random.default_rng(seed)),
        rate_hz=change.rate_hz,
    )


def _of_tempo(track: Track, folder: Path, rng: random.Random) -> list[Question]:
    text = ask(Draw(rng=rng, held_out=True), QUESTIONS["tempo"])
    found = []
    for name, change, path in _recordings(track, folder):
        bpm = (track.tempo_bpm or 0.0) * (change.faster if change else 1.0)
        found.append(_question(track, "tempo", name, text, path, bpm, f"The tempo is about {bpm:.0f} BPM."))
    return found


def _of_key(track: Track, folder: Path, rng: random.Random) -> list[Question]:
    text = ask(Draw(rng=rng, held_out=True), QUESTIONS["key"])
    found = []
    for name, change, path in _recordings(track, folder):
        key = change.key(str(track.key)) if change else str(track.key)
        found.append(_question(track, "key", name, text, path, key, f"The key is {key}.", label=key))
    return found


def _of_presence(one: Asked[Track, str], folder: Path, rng: random.Random) -> list[Question]:
    said = _known.said(rng, one.thing)
    text = ask(Draw(rng=rng, held_out=True), QUESTIONS["has"], name=said, a_name=_known.with_article(said))
    label = "yes" if one.true else "no"
    heard = _known.heard([said], []) if one.true else _known.heard([], [said])
    answer = f"{label.capitalize()}, {heard}."
    return [
        _question(one.about, "presence", name, text, path, one.true, answer, label=label)
        for name, _, path in _recordings(one.about, folder)
    ]


def _question(
    track: Track,
    fact: str,
    change: str,
    text: str,
    path: Path,
    truth: str | float | bool,
    answer: str,
    *,
    label: str | None = None,
) -> Question:
    title = CLEAN if change == CLEAN else CHANGES[change].title
    return Question(
        id=f"{fact}/{track.id}/{change}",
        messages=asked(text, [Audio(source=path)]),
        truth=truth,
        references=(answer,),
        unit=track.id,
        template=f"robustness/{fact}",
        label=label,
        field={"tempo": "tempo_bpm", "key": "key"}.get(fact),
        groups={"change": title, "fact": fact},
    )


def credit(question: Question, said: Said) -> float | None:
    """1 for the right tempo, key or verdict."""
    fact = question.groups["fact"]
    if fact == "tempo":
        return float(tempo_metrics.acc1(question.truth, tempo_reading.read(said.text)))
    if fact == "key":
        return float(key_metrics.exact(question.truth, key_reading.read(said.text)))
    return _matched.credit(question, said)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """All, clean, changed, kept, and each fact changed."""
    earned = [credit(question, one) or 0.0 for question, one in zip(questions, said, strict=True)]
    is_clean = [question.groups["change"] == CLEAN for question in questions]
    found: dict[str, Statistic] = {
        "accuracy": statistic.share(earned),
        "clean": statistic.share([one if clean else None for one, clean in zip(earned, is_clean, strict=True)]),
        "changed": statistic.share([None if clean else one for one, clean in zip(earned, is_clean, strict=True)]),
        "kept": _kept(questions, earned),
    }
    for fact in ("tempo", "key", "presence"):
        counted = [
            question.groups["fact"] == fact and not clean for question, clean in zip(questions, is_clean, strict=True)
        ]
        found[fact] = statistic.share([one if of else None for one, of in zip(earned, counted, strict=True)])
    return found


def _kept(questions: Sequence[Question], earned: Sequence[float]) -> Ratio:
    """Of the changed recordings whose clean one was answered right: the share that is."""
    clean = {
        question.id.rpartition("/")[0]: one
        for question, one in zip(questions, earned, strict=True)
        if question.groups["change"] == CLEAN
    }
    before = np.array(
        [
            0.0 if question.groups["change"] == CLEAN else clean.get(question.id.rpartition("/")[0], 0.0)
            for question in questions
        ]
    )
    return Ratio(numerators=before * np.array(earned), denominators=before)
