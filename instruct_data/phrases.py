"""How sentences are varied: patterns with alternatives, what a pattern can say, and the names of instruments.

In: patterns. Out: sentences. In a pattern `[a|b|]` stands for any one of its alternatives, `<it>` for one of the
alternatives listed under that name in `PARTS`; both may be nested. `{x}` fields are left for `str.format`. Knows no
facts.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import re

_NOUN = "piece|song|track|recording|music|tune|clip|audio|excerpt|sample|file|performance|number|composition"
PARTS: dict[str, str] = {
    "noun": _NOUN,
    "it": "it|it|it|this|the <noun>|this <noun>|that <noun>",
    "this": "this|it|the <noun>|this <noun>",
    "of_it": "|| of it| of this| here| of the <noun>| of this <noun>",
    "in_it": "||| in it| here| in this| in there| in the <noun>| in this <noun>| on this <noun>| in the mix| at all"
    "| anywhere| at any point| in the background| somewhere| in what you hear| on the recording",
    "place": "||| here| in the <noun>| in this <noun>| in this",
    "hear": "hear|hear|detect|notice|recognise|recognize|make out|pick up|find|perceive|spot",
    "has": "has|contains|includes|features|uses|involves|employs|comes with|makes use of|is played with",
    "have": "have|contain|include|feature|use|involve|employ|come with|make use of",
    "plays": "plays|is playing|is heard|can be heard|is used|is present|is audible|appears|shows up|takes part|sounds"
    "|joins in|is there|is being played|is included|is featured|is involved",
    "play": "play|appear|show up|take part|sound|join in|get played|come in|occur|feature",
    "playing": "playing|heard|used|present|audible|there|being played|included|featured|involved|in use|to be heard"
    "|in the arrangement|part of the arrangement|in the line-up|among the instruments|one of the instruments"
    "|in the band",
    "gone": "absent|missing|left out|not playing|silent|not used|not heard|not there|not present|not included|omitted"
    "|not in the arrangement|not part of it|not among the instruments|nowhere to be heard|not to be heard|excluded",
    "that": "that |that |",
    "if": "if|whether",
    "true": "true|right|correct|the case|so|a fact|accurate|fair to say",
    "say": "say|agree|think|guess|claim",
    "tell": "Tell me|Say|Name|Give|Give me|State|Find|Identify|Determine|Work out|Estimate|Report|Write down|Note"
    "|I need|I want|I would like|I'd like|Show me|Provide|Let me have",
    "know": "Do you know|Can you tell me|Could you tell me|Can you say|Please tell me|Tell me|I want to know"
    "|I'd like to know|I would like to know|I wonder|Let me know|Any idea|Do you have an idea|Can you work out"
    "|I need to know|Would you tell me|Help me find out|Can you figure out|Could you say",
}
"""Alternatives by name."""
_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_PART = re.compile(r"<(\w+)>")


def say(rng: random.Random, pattern: str) -> str:
    """One of the sentences of a pattern, each alternative as likely as its neighbours."""
    while "<" in pattern or "[" in pattern:
        pattern = _PART.sub(lambda match: rng.choice(PARTS[match[1]].split("|")), pattern)
        pattern = _INNERMOST.sub(lambda match: rng.choice(match[1].split("|")), pattern)
    pattern = pattern.strip().replace(" 's", "'s")
    return pattern[0].upper() + pattern[1:]


_FIELD = re.compile(r"\{\w+\}")
_WORDS = re.compile(r"[^a-z0-9{}/'# ]")


@functools.lru_cache(maxsize=1 << 16)
def plain(sentence: str) -> str:
    """A sentence without capitals, marks, articles and fields' names, nouns for music all alike: for comparison."""
    words = _WORDS.sub(" ", _FIELD.sub("{}", sentence).lower()).split()
    nouns = _NOUN.split("|")
    return " ".join("music" if word in nouns else word for word in words if word not in ("a", "an", "the", "please"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phrasings:
    """Ways of saying one thing."""

    train: tuple[str, ...]
    """Patterns used in training."""
    held_out: tuple[str, ...]
    """Sentences used only to test that wordings never shown are understood; training never says them."""

    @functools.cached_property
    def _kept(self) -> frozenset[str]:
        return frozenset(map(plain, self.held_out))

    def choose(self, rng: random.Random, *, held_out: bool, thin: float = 0.0) -> str:
        """A sentence with its fields unfilled: a held-out one, or one of training that is no held-out one.

        Args:
            rng: makes the choice.
            held_out: which of the two.
            thin: share of the sentences of training that lose some of their words, see `thinned`.
        """
        if held_out:
            return rng.choice(self.held_out)
        while True:
            sentence = say(rng, rng.choice(self.train))
            if thin and rng.random() < thin:
                sentence = thinned(rng, sentence)
            if plain(sentence) not in self._kept:
                return sentence


_FILLER = re.compile(
    r"(?:a|an|the|please|kindly|this|that|it|its|it's|what's|in|of|on|at|to|for|with|by|from|and|or|so|is|are|was|were|be"
    r"|been|do|does|did|have|has|can|could|would|will|shall|should|may|I|you|we|they|me|us|my|your|our|I'd|I'm|you'd|here"
    r"|there|now|just|tell|say|know|think|hear|want|like|let|give|see|get|any|some|maybe|also|really|actually|exactly)"
    r"[,.?!]?",
    re.IGNORECASE,
)
"""Words that a question can lose without meaning something else."""


def thinned(rng: random.Random, sentence: str) -> str:
    """The sentence without a third of its filler words: its meaning has to be read from what is left.

    Fields and all other words stay, negations among them.
    """
    words = sentence.split(" ")
    kept = [word for word in words if not _FILLER.fullmatch(word) or rng.random() < 0.67]
    text = " ".join(kept) or sentence
    return text[0].upper() + text[1:]


SYNONYMS: dict[str, tuple[str, ...]] = {
    "piano": ("piano", "piano", "piano", "grand piano", "electric piano", "keyboard"),
    "harpsichord": ("harpsichord", "harpsichord", "harpsichord", "clavinet", "cembalo"),
    "organ": ("organ", "organ", "church organ", "pipe organ"),
    "accordion": ("accordion", "accordion", "accordion", "harmonica"),
    "acoustic guitar": ("acoustic guitar", "acoustic guitar", "nylon guitar", "classical guitar"),
    "electric guitar": ("electric guitar", "electric guitar", "distorted guitar"),
    "bass": ("bass", "bass", "bass", "bass guitar", "double bass"),
    "strings": ("strings", "strings", "violin", "cello", "viola", "fiddle", "violins", "string section"),
    "harp": ("harp",),
    "choir": ("choir", "choir", "chorus of voices"),
    "brass": ("brass", "brass", "trumpet", "trombone", "horn", "tuba", "French horn"),
    "saxophone": ("saxophone", "saxophone", "saxophone", "sax"),
    "woodwind": ("woodwind", "clarinet", "oboe", "bassoon"),
    "flute": ("flute", "flute", "flute", "piccolo", "recorder", "whistle"),
    "mallets": ("mallets", "xylophone", "glockenspiel", "vibraphone", "marimba", "bells"),
    "synthesizer": ("synthesizer", "synthesizer", "synth"),
    "drums": ("drums", "drums", "drums", "drum kit", "percussion", "drum", "drum set"),
}
"""What people call each instrument of the vocabulary; the first is the vocabulary word."""

PLURAL: frozenset[str] = frozenset(
    {"strings", "drums", "mallets", "bells", "violins", "brass", "percussion", "woodwind"}
)
"""Names that take no article."""


def with_article(name: str) -> str:
    """The name with its indefinite article: "a piano", "an organ", "drums"."""
    if name in PLURAL:
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
