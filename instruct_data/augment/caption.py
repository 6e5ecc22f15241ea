"""Captions of three lengths: a sentence, a paragraph, and tags.

In: one track. Out: requests for a caption with captions that state only what is known, and never what does not play.
Tags stand in the order in which the dialogues of the reference backbone give them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mllm.instruct_data import in_words, track_facts
from mllm.instruct_data.asked import ask, phrasings
from mllm.instruct_data.augment import _paragraph
from mllm.instruct_data.dialogue import speed_word
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.phrases import say
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS

SUMMARY = "A caption in one sentence, as a paragraph with times and form, or as tags."
TRACKS = 1

_MOST_NAMED = 6


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """A caption of each length for which enough is known, in random order."""
    (track,) = tracks
    for form in draw.rng.sample(("short", "long", "tags"), 3):
        if form == "short":
            wordings = draw.rng.choice((QUESTIONS["caption"], phrasings("caption")["sentence"]))
            text = short(track, draw)
        elif form == "long":
            wordings, text = phrasings("caption")["long"], _paragraph.paragraph(track, draw.rng)
        else:
            wordings, text = QUESTIONS["tags"], tags(track)
        if text is not None:
            yield Exchange(turns=((ask(draw, wordings), text),), template=f"caption/{form}")


def short(track: Track, draw: Draw) -> str | None:
    """One sentence with some of what is known; None where too little is known."""
    rng = draw.rng
    clauses = []
    if track.key is not None:
        mostly = "mostly " if track_facts.key_changes(track) else ""
        clauses.append(f"{mostly}in {track.key}")
    if track.meter is not None:
        clauses.append(f"in {track.meter} time")
    if track.tempo_bpm is not None and not track_facts.tempo_changes(track):
        clauses.append(f"at about {round(track.tempo_bpm)} BPM")
    if len(clauses) > 1 and rng.random() < 0.5:
        clauses.remove(rng.choice(clauses))
    subject = _paragraph.subject(track, rng)
    played = None
    if track.playing and len(track.playing) <= _MOST_NAMED:
        played = say(rng, "[played by|with|performed by|for]")
        played = f"{played[0].lower()}{played[1:]} {in_words.named(track.playing)}"
    if subject == "piece" and not clauses and played is None:
        return None
    first = f"{in_words.a(subject)}{f' {played}' if played else ''}"
    if clauses and (played is None or rng.random() < 0.6):
        text = f"{in_words.a(subject)} {', '.join(clauses)}{f', {played}' if played else ''}"
    else:
        text = ", ".join([first, *clauses])
    return f"{in_words.sentence(text)}."


def tags(track: Track) -> str | None:
    """Everything that a word or two can say, with commas; None where nothing is known."""
    words = [speed_word(round(track.tempo_bpm))] if track.tempo_bpm is not None else []
    words += [word for word in (track.key, track.meter) if word is not None]
    words += list(track.playing or ())
    words += [track.style] if track.style is not None else []
    words += list(track.moods or ())
    words += [track.drum_pattern] if track.drum_pattern not in (None, "none") and track.drum_pattern else []
    words += [] if track.vocals is None else ["vocals" if track.vocals else "instrumental"]
    return ", ".join(dict.fromkeys(words)) or None
