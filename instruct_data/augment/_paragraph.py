"""A paragraph about a recording, as somebody would write who listened closely.

In: a track and a random generator. Out: a text of some sentences, or None where too little is known for one. A plan
puts topics in an order; each topic tells what is known of it and was not told before, in one of several wordings.
Nothing is told that is None, and no instrument is named that does not play.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterator, Mapping

from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.dialogue import speed_word
from mllm.instruct_data.phrases import say
from mllm.instruct_data.statements import join
from mllm.instruct_data.tracks import Track

_FEWEST_SENTENCES = 2
_MOST_SECTIONS = 8
_SPARSE, _BUSY = 2.5, 9.0
"""Note onsets a second below which music is sparse, and from which it is busy."""
_TREND_DB = 4.0
_NOUNS = ("ballad", "dance", "waltz", "march", "chorale", "quartet", "tune", "song", "music")
"""Last words of styles that can be counted as pieces themselves."""
_PLANS = (
    ("opening", "players", "form", "harmony", "rhythm", "dynamics", "detail"),
    ("opening", "rhythm", "harmony", "players", "form", "dynamics", "detail"),
    ("opening", "form", "players", "dynamics", "harmony", "rhythm"),
    ("opening", "harmony", "rhythm", "players", "detail", "form", "dynamics"),
    ("players", "opening", "rhythm", "form", "harmony", "dynamics", "detail"),
)
_OPTIONAL = {"form": 0.85, "dynamics": 0.8, "detail": 0.5}
"""How likely topics are told that a paragraph can do without."""


@dataclasses.dataclass
class _Told:
    """What a paragraph has told so far."""

    track: Track
    rng: random.Random
    facts: set[str] = dataclasses.field(default_factory=set)
    begun: bool = False
    """Whether something was said already."""

    def first_time(self, fact: str) -> bool:
        """Whether a fact was not told yet; from now on it is."""
        fresh = fact not in self.facts
        self.facts.add(fact)
        return fresh

    def say(self, pattern: str, **fields: object) -> str:
        """A sentence from a pattern."""
        self.begun = True
        return in_words.sentence(say(self.rng, pattern).format(**fields))


def paragraph(track: Track, rng: random.Random) -> str | None:
    """Some sentences about all that is known; None where that is less than two sentences."""
    told = _Told(track, rng)
    sentences = [
        sentence
        for topic in rng.choice(_PLANS)
        if rng.random() < _OPTIONAL.get(topic, 1.0)
        for sentence in _TOPICS[topic](told)
    ]
    return " ".join(sentences) if len(sentences) >= _FEWEST_SENTENCES else None


def subject(track: Track, rng: random.Random) -> str:
    """A noun with what describes it: "calm, slow waltz", "fast rock piece", or only "piece"."""
    adjectives = []
    if track.moods and rng.random() < 0.6:
        adjectives.append(rng.choice(track.moods))
    if track.tempo_bpm is not None:
        adjectives.append(in_words.speed_adjective(rng, speed_word(round(track.tempo_bpm))))
    if track.style is None:
        noun = "piece"
    elif track.style.split()[-1] in _NOUNS and not track.style.endswith("music"):
        noun = track.style
    else:
        noun = f"{track.style} {rng.choice(('piece', 'piece', 'track', 'recording'))}"
    return f"{', '.join(adjectives)} {noun}".strip()


def _opening(told: _Told) -> Iterator[str]:
    """What it is, with one or two of key, meter and tempo."""
    track, rng = told.track, told.rng
    clauses = {}
    if track_facts.steady_key(track) is not None:
        clauses["key"] = f"in {track.key}"
    if track.meter is not None:
        clauses["meter"] = f"in {track.meter} time"
    if track_facts.steady_tempo(track) is not None and track.tempo_bpm is not None:
        clauses["tempo"] = f"at about {round(track.tempo_bpm)} BPM"
    chosen = rng.sample(sorted(clauses), min(len(clauses), rng.choice((0, 1, 1, 2))))
    noun = subject(track, rng)
    if noun == "piece" and not chosen:
        return
    told.facts.update(chosen)
    told.facts.update({"speed", "style"})
    said = " ".join([in_words.a(noun), *(clauses[name] for name in chosen)])
    begins = "[This is|Here we have|What we hear is|The recording is]" if not told.begun else "It is"
    yield told.say(f"{begins} {{said}}.", said=said)
    rest = [mood for mood in track.moods or () if mood not in noun]
    if rest:
        yield told.say("[The mood is|Its mood is|The music feels|It feels] {moods}.", moods=join(rest))


def _players(told: _Told) -> Iterator[str]:
    """Who plays, who begins, who joins and who leaves when."""
    track = told.track
    if not track.playing:
        return
    if len(track.playing) == 1:
        alone = "[It is played by {name} alone|The only instrument is {name}]."
        known = track_facts.line_up(track) is not None
        yield told.say(alone if known else "[We hear|One hears] {name}.", name=in_words.named(track.playing))
    elif track.activity is None:
        yield told.say(
            "[It is played by|The instruments are|We hear|One hears|The line-up is] {names}.",
            names=in_words.named(track.playing),
        )
    else:
        yield from _entrances(told)
    if track.vocals and told.first_time("vocals"):
        yield told.say("[There is singing|Somebody sings|There are vocals] as well.")


def _entrances(told: _Told) -> Iterator[str]:
    """The line-up in the order in which it enters."""
    track, rng = told.track, told.rng
    enters = {name: track_facts.enters(track, name) or 0.0 for name in track.playing or ()}
    first = [name for name, at in enters.items() if at == min(enters.values())]
    later = sorted((name for name in enters if name not in first), key=lambda name: enters[name])
    if not later:
        yield told.say(
            "[It is played by {names}|The instruments are {names}|We hear {names}]"
            "[|, all of them from the start|, and all are there from the beginning].",
            names=in_words.named(first),
        )
    else:
        alone = " alone" if len(first) == 1 and rng.random() < 0.5 else ""
        yield told.say(
            "[It opens with {names}{alone}|It begins with {names}{alone}|At the start we hear {names}{alone}"
            "|The first to play {verb} {names}].",
            names=in_words.named(first),
            alone=alone,
            verb="are" if in_words.is_many(first) else "is",
        )
        yield from _joining(told, [(name, enters[name]) for name in later])
    yield from _leaving(told)


def _joining(told: _Told, later: list[tuple[str, float]]) -> Iterator[str]:
    """Those that enter later, those at once in one breath."""
    groups: list[tuple[float, list[str]]] = []
    for name, at in later:
        if groups and at - groups[-1][0] <= track_facts.BORDER_SECONDS:
            groups[-1][1].append(name)
        else:
            groups.append((at, [name]))
    said = [
        told.say(
            "{names} [enter{s}|come{s} in|join{s}] [at|at about] {at}",
            names=in_words.with_the(names),
            s="" if in_words.is_many(names) else "s",
            at=in_words.whole_stamp(at),
        )
        for at, names in groups
    ]
    said = [one[0].lower() + one[1:] for one in said]
    while said:
        count = told.rng.choice((1, 2, 2, 3))
        yield in_words.sentence(f"{join(said[:count])}.")
        said = said[count:]


def _leaving(told: _Told) -> Iterator[str]:
    """One that stops long before the end."""
    track = told.track
    if track.seconds is None:
        return
    stops = {name: track_facts.stops(track, name) for name in track.playing or ()}
    early = [name for name, at in stops.items() if at is not None and at < track.seconds - track_facts.APART_SECONDS]
    if early and len(early) < len(stops) and told.rng.random() < 0.6:
        name = told.rng.choice(early)
        yield told.say(
            "The {name} [stop{s}|drop{s} out|fall{s} silent] [at|at about] {at}.",
            name=name,
            s="" if in_words.is_many([name]) else "s",
            at=in_words.whole_stamp(stops[name] or 0.0),
        )


def _form(told: _Told) -> Iterator[str]:
    """The sections with their times."""
    sections = told.track.sections
    if not sections or len(sections) < 2:
        return
    if len(sections) > _MOST_SECTIONS:
        yield told.say(
            "[It is divided into|The form has] {count} sections[, beginning with {first}|].",
            count=in_words.number(len(sections)),
            first=in_words.section(sections[0][2]),
        )
        return
    names = [name for _, _, name in sections]
    begins = [f"{in_words.section(name)} at {in_words.whole_stamp(at)}" for at, _, name in sections[1:]]
    told_apart = all(before != after for before, after in itertools.pairwise(names))
    timed = "|It starts with {first}, followed by {rest}|{first} comes first, then {rest}" if told_apart else ""
    yield told.say(
        f"[The form is {{names}}|The sections are {{names}}{timed}].",
        names=join(names),
        first=in_words.section(names[0]),
        rest=join(begins),
    )


def _harmony(told: _Told) -> Iterator[str]:
    """The key and its changes, and how the chords begin."""
    track = told.track
    changes = track_facts.key_changes(track)
    if changes and told.first_time("key"):
        said = [f"to {one.after} at {in_words.whole_stamp(one.time)}" for one in changes[:3]]
        more = " and changes further after that" if len(changes) > len(said) else ""
        yield told.say(
            "[It|The music] [starts|begins] in {first} and [moves|changes|modulates] {said}{more}.",
            first=changes[0].before,
            said=", then ".join(said),
            more=more,
        )
    elif track.key is not None and told.first_time("key"):
        throughout = "[| throughout| from beginning to end]" if changes == () else ""
        yield told.say(f"[It is in {{key}}|The key is {{key}}|The music is in {{key}}]{throughout}.", key=track.key)
    chords = track_facts.chords_in_order(track)
    if chords is not None and len(chords) > 3 and "N" not in chords[:4] and told.rng.random() < 0.5:
        yield told.say(
            "[The harmony begins with|The first chords are|It sets out on] {chords}.",
            chords=join([in_words.chord(one) for one in chords[:4]]),
        )


def _rhythm(told: _Told) -> Iterator[str]:
    """The tempo and its changes, the meter, what the drums play."""
    track = told.track
    changes = track_facts.tempo_changes(track)
    if changes and told.first_time("tempo"):
        yield from _tempo_story(told, changes)
    elif track.tempo_bpm is not None and told.first_time("tempo"):
        steady = "[| throughout| and stays there]" if changes == () else ""
        yield told.say(
            f"[The tempo is|It runs at|The beat goes at] about {{bpm}} BPM{steady}.", bpm=round(track.tempo_bpm)
        )
    meter = track.meter if track.meter is not None and told.first_time("meter") else None
    drums = None if track.drum_pattern in (None, "none") else in_words.pattern(str(track.drum_pattern))
    if meter is not None and drums is not None:
        yield told.say(
            "[The time signature is {meter}, and the drums play {drums}|Over {meter} time the drums play {drums}].",
            meter=meter,
            drums=drums,
        )
    elif meter is not None:
        yield told.say("[The time signature is {meter}|It is counted in {meter}|The meter is {meter}].", meter=meter)
    elif drums is not None:
        yield told.say("The [drums|drums in it] play {drums}.", drums=drums)


def _tempo_story(told: _Told, changes: tuple[track_facts.TempoChange, ...]) -> Iterator[str]:
    """Up to two changes of the tempo."""
    yield told.say("[The tempo starts|It sets out|It begins] at about {bpm} BPM.", bpm=round(changes[0].before_bpm))
    for change in changes[:2]:
        faster = change.after_bpm > change.before_bpm
        if change.begin == change.end:
            pattern = "At {begin} it [turns|gets|becomes] {word}, at about {bpm} BPM."
            word = "faster" if faster else "slower"
        else:
            pattern = (
                "[Between {begin} and {end}|From {begin} to {end}] it {word} [gradually|steadily] to about {bpm} BPM."
            )
            word = "speeds up" if faster else "slows down"
        yield told.say(
            pattern,
            begin=in_words.whole_stamp(change.begin),
            end=in_words.whole_stamp(change.end),
            word=word,
            bpm=round(change.after_bpm),
        )


def _dynamics(told: _Told) -> Iterator[str]:
    """The loudest part, or whether it grows or fades."""
    track = told.track
    number = track_facts.extreme_section(track, loudest=True)
    if number is not None and track.sections is not None:
        begin, _, name = track.sections[number]
        said = in_words.section(name)
        if [one for _, _, one in track.sections].count(name) > 1:
            said = f"{said} at {'the beginning' if begin < 1 else in_words.whole_stamp(begin)}"
        yield told.say("[The loudest part is {part}|It is loudest in {part}|The peak is {part}].", part=said)
    trend = track_facts.loudness_trend(track)
    if trend is not None and abs(trend) >= _TREND_DB:
        yield told.say(
            "[On the whole it|Towards the end the music] {word}.", word="grows louder" if trend > 0 else "gets softer"
        )


def _detail(told: _Told) -> Iterator[str]:
    """How full the texture is, and where one instrument lies."""
    track = told.track
    if track.density is not None and not _SPARSE <= track.density < _BUSY:
        word = "sparse, with few notes" if track.density < _SPARSE else "busy, with many notes"
        yield told.say("The texture is {word}.", word=word)
    pitched = [
        name
        for name in track.registers or ()
        if name != "bass" and track_facts.register(track, name) in ("low", "high")
    ]
    if pitched and track.registers is not None:
        name = told.rng.choice(pitched)
        word = str(track_facts.register(track, name))
        note = track.registers[name][0 if word == "low" else 1]
        yield told.say(
            "The {name} [play{s}|move{s}] in {word} register, {way} to {note}.",
            name=name,
            s="" if in_words.is_many([name]) else "s",
            word=in_words.a(word),
            way="down" if word == "low" else "up",
            note=in_words.note(note),
        )


_TOPICS: Mapping[str, Callable[[_Told], Iterator[str]]] = {
    "opening": _opening,
    "players": _players,
    "form": _form,
    "harmony": _harmony,
    "rhythm": _rhythm,
    "dynamics": _dynamics,
    "detail": _detail,
}
