"""Captions and answers against the facts of the recording: instruments, singing, tempo, key, meter, and yes or no."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mllm import facts
from mllm.errors import ConfigError
from mllm.instruct_data import checking
from mllm.instruct_data.checking import Known, Told
from mllm.instruct_data.checks import _claims
from mllm.instruct_data.checks._claims import VOICE, Claims
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.rows import Row
from mllm.instruct_data.tracks import Track

SUMMARY = "no caption and no answer contradicts what is known of its recording"
_TEMPO_TOLERANCE = 0.08
_RATIOS = (1.0, 2.0, 0.5, 3.0, 1 / 3, 1.5, 2 / 3)
"""People count beats at other levels; none of these is a contradiction."""
_ALIKE_METERS = {"2/4": "4/4", "12/8": "6/8"}
_MINOR_LIKE = {"dorian": "minor", "mixolydian": "major"}
_SLOW_FROM_BPM, _FAST_TO_BPM = 168.0, 60.0
"""A tempo that nobody calls slow, and one that nobody calls fast, at whichever level he counts."""
_CURE = "correct the text or the labels, or take the record out"
_YES_NO = re.compile(r"\W*(yes|no|yeah|nope|correct|right|true|false)\b", re.IGNORECASE)
_ASKS_WHETHER = re.compile(
    r"\b(?:is|are|there|an?|any|the|can|could|you|we|one|hear|heard|be|do|does|did|it|in|on|of|this|that|recording|piece"
    r"|track|song|music|clip|audio|excerpt|tune|play|plays|played|playing|audible|present|feature|features|featured"
    r"|contain|contains|include|includes|included|use|used|sound|sounding|notice|detect|part|at|all|some|please|tell|me"
    r"|if|whether|yes|or|no|answer|with|anywhere|somewhere|sample|listen|to|for)\b|[^\w]",
    re.IGNORECASE,
)
"""What may stand in a question that asks for an instrument and nothing more."""
_OF_OTHER_THINGS = re.compile(r"\b(?:chords?|harmony|harmonies|in vain)\b", re.IGNORECASE)
"""In a question whose answer names chords, or what is not there."""


class Check(checking.Check):
    """Looks at texts about one recording; where two are heard, nobody knows of which a sentence speaks."""

    def of_track(self, row: Row[Track], known: Known) -> Iterator[Finding]:
        """Of the captions that people gave it."""
        for caption in row.value.captions or ():
            for severity, kind, what in _against(_claims.claims(caption), known):
                yield self._told(severity, kind, f"{row.place} (track {known.id!r})", f"the caption {what}")

    def of_record(self, told: Told) -> Iterator[Finding]:
        """Of the answers."""
        if len(told.tracks) != 1 or len(told.record.tracks) != 1:
            return
        known = told.tracks[0]
        where = f"{told.place} (record {told.record.id!r})"
        for question, answer in told.turns:
            if what := _wrong_yes_or_no(question, answer, known):
                yield self._told("error", "wrong yes or no", where, what)
                continue
            found = _claims.claims(answer)
            if found is None or _turned_round(question):
                continue
            for severity, kind, text in _against(found, known):
                yield self._told(severity, kind, where, f"the answer {text}")

    def _told(self, severity: str, kind: str, where: str, what: str) -> Finding:
        return self.found("error" if severity == "error" else "warning", kind, where, what, _CURE)


def _turned_round(question: str) -> bool:
    """Whether an answer may name what is not there, or a chord that is no key."""
    return bool(_claims.does(question) & _claims.DENIES or _OF_OTHER_THINGS.search(question))


def _against(found: Claims | None, known: Known) -> Iterator[tuple[str, str, str]]:
    """Severity, kind, and what is claimed against what is known."""
    if found is None:
        return
    yield from _instruments(found, known)
    if known.tempi:
        main, lowest, highest = known.tempi
        for tempo in found.tempi:
            if not any(_within(tempo * ratio, lowest, highest) for ratio in _RATIOS):
                yield "error", "wrong tempo", f"says {tempo:g} BPM, and the track has {main:g}"
        for pace in found.paces:
            if (pace == "slow" and lowest >= _SLOW_FROM_BPM) or (pace == "fast" and highest <= _FAST_TO_BPM):
                yield "warning", "wrong pace", f"says {pace}, and the track has {main:g} BPM"
    if known.keys:
        yield from _keys(found, known)
    if known.meter is not None:
        for meter in found.meters:
            if _ALIKE_METERS.get(meter, meter) != _ALIKE_METERS.get(known.meter, known.meter):
                yield "error", "wrong meter", f"says {meter}, and the track has {known.meter}"


def _within(tempo: float, lowest: float, highest: float) -> bool:
    return lowest * (1 - _TEMPO_TOLERANCE) <= tempo <= highest * (1 + _TEMPO_TOLERANCE)


def _instruments(found: Claims, known: Known) -> Iterator[tuple[str, str, str]]:
    for word, names in found.playing:
        if _is_silent(names, known):
            yield "error", "absent instrument named", f"names {word!r}, and the track has none"
    for word, names in found.silent:
        if _plays(names, known):
            yield "error", "playing instrument denied", f"says that there is no {word!r}, and the track has it"


def _is_silent(names: frozenset[str], known: Known) -> bool:
    """Whether surely none of these plays."""
    if VOICE in names and known.vocals is not False:
        return False
    instruments = names - {VOICE}
    playing = known.playing or frozenset()
    if names >= {VOICE} and known.vocals is False:
        return not instruments & playing
    return instruments <= known.absent and not instruments & playing


def _plays(names: frozenset[str], known: Known) -> bool:
    """Whether surely all that the word may mean is denied wrongly."""
    if VOICE in names:
        return known.vocals is True
    return bool(names & (known.playing or frozenset()))


def _keys(found: Claims, known: Known) -> Iterator[tuple[str, str, str]]:
    try:
        there = {(facts.pitch_class(key.partition(" ")[0]), key.partition(" ")[2]) for key in known.keys}
    except ConfigError:
        return  # told by the check of facts
    there |= {(tonic, _MINOR_LIKE.get(mode, mode)) for tonic, mode in there}
    listed = ", ".join(known.keys)
    for word, tonic, mode in found.keys:
        if (tonic, mode) not in there:
            yield "error", "wrong key", f"says {word}, and the track is in {listed}"
    for mode in found.modes:
        if mode not in {one for _, one in there}:
            yield "error", "wrong key", f"says that it is {mode}, and the track is in {listed}"


def _wrong_yes_or_no(question: str, answer: str, known: Known) -> str:
    """What is wrong with an answer to a question that asks for one instrument and nothing more; empty: nothing."""
    said = _YES_NO.match(answer)
    if said is None or len(question) > 200:
        return ""
    words = _claims.instruments_in(question)
    if len(words) != 1 or _ASKS_WHETHER.sub("", question.replace(words[0], " ")):
        return ""
    if re.search(r"\bno\b(?! ?[,.?]| or)", question.replace("yes or no", ""), re.IGNORECASE):
        return ""
    names = _claims.meaning(words[0])
    yes = said[1].lower() in ("yes", "yeah", "correct", "right", "true")
    if yes and _is_silent(names, known):
        return f"the answer says that there is {words[0]!r}, and the track has none"
    if not yes and _plays(_claims.denied(words[0]), known):
        return f"the answer says that there is no {words[0]!r}, and the track has it"
    return ""
