"""Real recordings with the catalogue entry of their composer: tempo and instruments in free words.

In: a labels.jsonl whose objects have `file`, and where known `tempo` and `instruments` (a list of free words). Out: its
clips, the words mapped to `facts.INSTRUMENTS` by the table below. A catalogue entry speaks of the whole piece and need
not be complete; key and meter stand in none.
"""

from __future__ import annotations

import collections
import re
from pathlib import Path
from typing import Any

from mllm.eval.clips import Clip, ClipSet, read_rows
from mllm.eval.metrics import Truth

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


def load(labels: Path, limit: int | None = None) -> ClipSet:
    """The recordings of a catalogue, in the order of the file.

    Raises:
        ConfigError: if the file cannot be read.
    """
    rows = read_rows(labels, required=("file",), limit=limit)
    unmapped: collections.Counter[str] = collections.Counter()
    clips = []
    for row in rows:
        truth, unknown = _truth(row)
        unmapped.update(unknown)
        clips.append(Clip(id=Path(row["file"]).stem, audio=labels.parent / row["file"], truth=truth))
    words = ", ".join(f"{word} ({count})" for word, count in sorted(unmapped.items())) or "none"
    return ClipSet(
        clips=tuple(clips),
        synonyms_hold=False,
        notes=(
            "Key and meter are not labelled there.",
            "The labels are catalogue entries of whole pieces and need not be complete; the clips are excerpts.",
            f"Catalogue words that name no instrument of the vocabulary, left out: {words}.",
        ),
    )


def map_words(words: list[str]) -> tuple[tuple[frozenset[str], ...], frozenset[str], list[str]]:
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


def _truth(row: dict[str, Any]) -> tuple[Truth, list[str]]:
    tempo = float(row["tempo"]) if row.get("tempo") else None
    words = row.get("instruments")
    if not words:
        return Truth(tempo_bpm=tempo), []
    groups, unscored, unknown = map_words(words)
    if not groups and not unscored:
        return Truth(tempo_bpm=tempo), unknown
    return Truth(tempo_bpm=tempo, instruments=groups, unscored=unscored), unknown
