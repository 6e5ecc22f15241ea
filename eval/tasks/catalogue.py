"""Real recordings with the catalogue entry of their composer: tempo and instruments in free words.

In: a folder with labels.jsonl, whose objects have `file`, and where known `tempo` and `instruments` (a list of free
words). Out: questions about tempo and line-up, and whether an instrument plays, asked plainly and with a negation, as
often rightly answered with yes as with no. The words are mapped to `facts.INSTRUMENTS` by the table below; an entry
speaks of the whole piece and need not be complete; key and meter stand in none.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mllm import facts
from mllm.errors import ConfigError
from mllm.eval import blind as blind_answers
from mllm.eval import statistic
from mllm.eval.metrics import tempo as tempo_metrics
from mllm.eval.music import AbsentError, Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.reading import instruments as reading
from mllm.eval.reading import tempo, yes_no
from mllm.eval.statistic import Ratio, Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _about
from mllm.instruct_data import in_words
from mllm.instruct_data.asked import ask
from mllm.instruct_data.exchanges import Draw
from mllm.instruct_data.phrases import with_article
from mllm.instruct_data.wordings import QUESTIONS
from mllm.messages import Audio

ABOUT = About(
    title="Catalogue of a composer",
    version="1",
    summary="Real recordings against the catalogue entry of their composer: tempo, instruments, and whether one plays.",
    figures={
        "tempo_acc1": Figure(title="tempo within 4 %", headline=True),
        "tempo_acc2": Figure(title="tempo within 4 %, octave errors allowed", headline=True),
        "instruments_f1": Figure(title="instruments, micro-F1", headline=True),
        "instruments_precision": Figure(title="instruments, precision"),
        "instruments_recall": Figure(title="instruments, recall"),
        "yes_no": Figure(title="yes/no questions about instruments", headline=True, chance=0.5),
        "yes_no_plain": Figure(title="… asked plainly", chance=0.5),
        "yes_no_negated": Figure(title="… asked with a negation", chance=0.5),
    },
    source="catalogue",
    where="A folder with labels.jsonl, objects with file (a path from there), and tempo and instruments where known; "
    "ours has excerpts of Kevin MacLeod's pieces (incompetech.com, CC BY), labelled with his own catalogue.",
    licence="that of the recordings",
)
LABELS = "labels.jsonl"

WORDS: dict[tuple[str, ...], str] = {
    ("piano", "pianos", "electric piano", "ep", "rhodes"): "piano",
    ("clav", "clavinet", "harpsichord"): "harpsichord",
    ("organ", "organs", "pipe organ", "church organ"): "organ",
    ("accordion", "accordions", "harmonica"): "accordion",
    ("guitar", "guitars"): "acoustic guitar|electric guitar",
    ("acoustic guitar", "nylon guitar", "ukulele"): "acoustic guitar",
    ("electric guitar", "wah guitar", "distorted guitar"): "electric guitar",
    ("bass", "electric bass", "bass guitar", "upright bass"): "bass",
    ("basses", "double bass"): "bass|strings",
    ("synth bass",): "bass|synthesizer",
    ("violin", "violins", "viola", "violas", "cello", "cellos", "fiddle"): "strings",
    ("strings", "string section", "pizzicato strings"): "strings",
    ("harp", "harps"): "harp",
    ("choir", "choirs", "chorus"): "choir",
    ("trumpet", "trumpets", "trombone", "trombones", "tuba", "tubas", "horn", "horns"): "brass",
    ("french horn", "french horns", "brass", "low brass"): "brass",
    ("sax", "saxes", "saxophone", "saxophones", "tenor sax", "alto sax", "baritone sax"): "saxophone",
    ("clarinet", "clarinets", "bass clarinet", "oboe", "oboes", "english horn"): "woodwind",
    ("bassoon", "bassoons", "contrabassoon"): "woodwind",
    ("woodwinds", "woodwind"): "woodwind|flute",
    ("flute", "flutes", "piccolo", "recorder", "whistle"): "flute",
    ("celesta", "glock", "glockenspiel", "xylophone", "vibraphone", "vibes"): "mallets",
    ("marimba", "marimbas", "bells", "tubular bells", "chimes", "music box"): "mallets",
    ("synth", "synths", "synth keys", "synthesizer", "electronics"): "synthesizer",
    ("kit", "drum kit", "drums", "percussion", "synth drums", "synth percussion"): "drums",
    ("shakers", "triangle", "cowbells", "tympani", "timpani"): "drums",
}
"""Catalogue words and the names of the vocabulary; behind "|" stand further names that are right too."""

ENSEMBLES: dict[str, frozenset[str]] = {
    "orchestra": frozenset({"strings", "brass", "woodwind", "flute", "harp", "mallets", "drums"}),
}
"""Words that name no instrument but say that some of these may play; naming them is neither right nor wrong."""

_NAMES = {word: frozenset(names.split("|")) for words, names in WORDS.items() for word in words}
_TEMPO, _LINE_UP, _PLAIN, _NEGATED = "tempo", "instruments", "yes_no/plain", "yes_no/negated"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A recording with what its catalogue entry tells."""

    id: str
    path: Path
    tempo_bpm: float | None
    playing: tuple[frozenset[str], ...]
    """For each instrument the names of which any is right; empty where none is known."""
    unscored: frozenset[str]
    """Instruments that may or may not play."""

    @property
    def sure(self) -> list[str]:
        """Instruments that certainly play, in the order of the vocabulary."""
        return [name for name in facts.INSTRUMENTS if frozenset({name}) in self.playing]

    @property
    def absent(self) -> list[str]:
        """Instruments that the entry does not name, in the order of the vocabulary; none where it names nothing."""
        named = frozenset().union(*self.playing) | self.unscored
        return [name for name in facts.INSTRUMENTS if name not in named] if self.playing else []


def load(music: Music) -> Sequence[Question]:
    """All questions about each recording."""
    entries = read_entries(music.place("catalogue", ABOUT.where))
    asked_about = _choose(entries, music.seed)
    found: list[Question] = []
    for entry in entries:
        draw = Draw(rng=random.Random(f"{music.seed}/catalogue/{entry.id}"), held_out=True)
        if entry.tempo_bpm is not None:
            found.append(_about_tempo(entry, draw))
        if entry.playing:
            found.append(_about_line_up(entry, draw))
        for negated in (False, True):
            if (entry.id, negated) in asked_about:
                name, plays = asked_about[entry.id, negated]
                found.append(_about_one(entry, draw, name, plays=plays, negated=negated))
    return found


def credit(question: Question, said: Said) -> float | None:
    """1 for a tempo within 4 % or the right verdict; of a line-up its F1."""
    if question.template == _TEMPO:
        return float(tempo_metrics.acc1(question.truth, tempo.read(said.text)))
    if question.template == _LINE_UP:
        hits, named, true = _counts(question, said)
        return 2 * hits / (named + true) if named + true else 0.0
    return float(yes_no.read(said.text) is question.truth)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """Each figure over the questions of its kind."""
    pairs = list(zip(questions, said, strict=True))

    def share(*templates: str) -> Statistic:
        return statistic.share([credit(*pair) if pair[0].template in templates else None for pair in pairs])

    octaves = [
        float(tempo_metrics.acc2(one.truth, tempo.read(answer.text))) if one.template == _TEMPO else None
        for one, answer in pairs
    ]
    counts = np.array([_counts(*pair) if pair[0].template == _LINE_UP else (0, 0, 0) for pair in pairs], dtype=float)
    hits, named, true = counts.reshape(-1, 3).T
    return {
        "tempo_acc1": share(_TEMPO),
        "tempo_acc2": statistic.share(octaves),
        "instruments_f1": Ratio(numerators=2 * hits, denominators=named + true),
        "instruments_precision": Ratio(numerators=hits, denominators=named),
        "instruments_recall": Ratio(numerators=hits, denominators=true),
        "yes_no": share(_PLAIN, _NEGATED),
        "yes_no_plain": share(_PLAIN),
        "yes_no_negated": share(_NEGATED),
    }


def blind(questions: Sequence[Question]) -> Mapping[str, list[Said]]:
    """The one tempo that is right most often, the commonest instruments, as many as pay, and the commoner verdict."""

    def ways(known: Sequence[Question]) -> list[blind_answers.Way]:
        if known[0].template == _TEMPO:
            return _about.constants([f"{bpm} BPM" for bpm in range(60, 181, 2)])
        if known[0].template == _LINE_UP:
            named = [[" or ".join(names) for names in question.truth["playing"]] for question in known]
            return _about.constants(_about.commonest(named))
        return _about.constants(["Yes", "No"])

    return {"best single tempo, commonest instruments": blind_answers.best_way(questions, ways, credit)}


def read_entries(folder: Path) -> list[Entry]:
    """The recordings of a catalogue, in the order of its labels.

    Raises:
        AbsentError: there are no labels, or no recording that they name.
        ConfigError: a line is no JSON object with `file`, or its tempo is no number above 0.
    """
    path = folder / LABELS
    if not path.is_file():
        raise AbsentError(f"{path} is not there. {ABOUT.where}")
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            found.append(_entry(folder, row))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"{path}, line {number} is no entry of a catalogue ({error!r}); expected an object with file, and "
                "tempo (a number) and instruments (a list of words) where they are known"
            ) from error
    kept = [entry for entry in found if entry.path.is_file()]
    if not kept:
        raise AbsentError(f"none of the {len(found)} recordings that {path} names is there. {ABOUT.where}")
    return kept


def map_words(words: Sequence[str]) -> tuple[tuple[frozenset[str], ...], frozenset[str], list[str]]:
    """Free words for instruments in the vocabulary.

    Returns:
        For each instrument the names of which any is right (no two entries alike; where one of the names stands there
        on its own already, the entry only says that the others may play), the instruments that may play, and the words
        that were not understood.
    """
    found: list[frozenset[str]] = []
    unscored: frozenset[str] = frozenset()
    unknown = []
    for word in (part.strip().lower() for entry in words for part in re.split(r"[.,;/]", entry)):
        if word in ENSEMBLES:
            unscored |= ENSEMBLES[word]
        elif word in _NAMES:
            found.append(_NAMES[word])
        elif word:
            unknown.append(word)
    sure = {names for names in found if len(names) == 1}
    groups = set(sure)
    for names in found:
        if len(names) > 1 and any(one < names for one in sure):
            unscored |= names
        else:
            groups.add(names)
    unscored -= frozenset().union(*groups)
    return tuple(sorted(groups, key=sorted)), unscored, unknown


def _entry(folder: Path, row: Mapping[str, Any]) -> Entry:
    name, tempo_bpm = str(row["file"]), row.get("tempo")
    tempo_bpm = float(tempo_bpm) if tempo_bpm else None
    if tempo_bpm is not None and tempo_bpm <= 0:
        raise ValueError("the tempo is not above 0")
    playing, unscored, _ = map_words(row.get("instruments") or ())
    return Entry(
        id=Path(name).stem, path=(folder / name).absolute(), tempo_bpm=tempo_bpm, playing=playing, unscored=unscored
    )


def _question(entry: Entry, name: str, text: str, **fields: Any) -> Question:
    return Question(
        id=f"{entry.id}/{name}",
        messages=asked(text, [Audio(source=entry.path)]),
        unit=entry.id,
        template=name,
        groups={"asked": name},
        **fields,
    )


def _about_tempo(entry: Entry, draw: Draw) -> Question:
    return _question(
        entry,
        _TEMPO,
        ask(draw, QUESTIONS["tempo"]),
        truth=entry.tempo_bpm,
        references=(f"The tempo is about {entry.tempo_bpm:.0f} BPM.",),
        field="tempo_bpm",
    )


def _about_line_up(entry: Entry, draw: Draw) -> Question:
    # Of an instrument for which several names are right, the first of the vocabulary stands in the reference.
    names = {min(choices, key=facts.INSTRUMENTS.index) for choices in entry.playing}
    return _question(
        entry,
        _LINE_UP,
        ask(draw, QUESTIONS["instruments"]),
        truth={"playing": [sorted(names) for names in entry.playing], "unscored": sorted(entry.unscored)},
        references=(f"I hear {in_words.named([name for name in facts.INSTRUMENTS if name in names])}.",),
        field="instruments",
        max_new_tokens=96,
    )


def _about_one(entry: Entry, draw: Draw, name: str, *, plays: bool, negated: bool) -> Question:
    is_yes = plays != negated
    heard = f"I hear {with_article(name)}" if plays else f"I hear no {name}"
    return _question(
        entry,
        _NEGATED if negated else _PLAIN,
        ask(draw, QUESTIONS["lacks" if negated else "has"], name=name, a_name=with_article(name)),
        truth=is_yes,
        references=(f"{'Yes' if is_yes else 'No'}, {heard}.",),
        label="yes" if is_yes else "no",
    )


def _counts(question: Question, said: Said) -> tuple[int, int, int]:
    """Of a line-up: hits, hits and false alarms together, instruments that play."""
    groups = [frozenset(names) for names in question.truth["playing"]]
    may_play = frozenset().union(*groups)
    heard = reading.resolved(reading.named(said.text), may_play | set(question.truth["unscored"]))
    hits = sum(bool(names & heard) for names in groups)
    return hits, hits + len(heard - may_play - set(question.truth["unscored"])), len(groups)


def _choose(entries: Sequence[Entry], seed: int) -> dict[tuple[str, bool], tuple[str, bool]]:
    """For (id, negated) the instrument that is asked about and whether it plays.

    In each polarity half of the recordings are asked about one that plays, half about one that does not; each
    instrument (nearly) as often where it does not play as where it plays, so that knowing which ones are common does
    not help.
    """
    rng = random.Random(seed)
    usable = [entry for entry in entries if entry.sure and entry.absent]
    rng.shuffle(usable)
    chosen: dict[tuple[str, bool], tuple[str, bool]] = {}
    for negated in (False, True):
        plays = {entry.id: (place // 2 if negated else place) % 2 == 0 for place, entry in enumerate(usable)}
        wanted: collections.Counter[str] = collections.Counter()
        for entry in usable:
            if plays[entry.id]:
                name = rng.choice(entry.sure)
                wanted[name] += 1
                chosen[entry.id, negated] = name, True
        for entry in usable:
            if not plays[entry.id]:
                names = rng.sample(entry.absent, len(entry.absent))
                name = max(names, key=wanted.__getitem__)
                wanted[name] -= 1
                chosen[entry.id, negated] = name, False
    return chosen
