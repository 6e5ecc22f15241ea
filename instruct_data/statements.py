"""What is known of a recording, stated in English or in audio blocks, for a backbone to read.

In: a random generator. Out: `Context`: the text put before the questions, and `Known`, what a reader of that text knows
for certain. Knows nothing of audio or models.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from mllm import facts as vocabulary
from mllm.facts import Facts
from mllm.instruct_data import blocks
from mllm.instruct_data.phrases import with_article
from mllm.instruct_data.wordings import STATEMENTS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Known:
    """What the context tells: `Facts`, and which instruments are known to be absent."""

    facts: Facts
    """Fields that are not stated are None."""
    absent: frozenset[str]
    """Instruments known not to play."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """Text that states facts, and what it tells."""

    text: str
    """Goes into a user's message, before the question."""
    known: tuple[Known, ...]
    """One entry a recording that the text speaks of."""


_OPENINGS = (
    "",
    "",
    "Facts: ",
    "About a recording: ",
    "Here is what is known. ",
    "Notes on a song: ",
    "A piece of music. ",
)


def join(names: Sequence[str]) -> str:
    """Names as English: "piano", "piano and drums", "piano, bass and drums"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def random_facts(rng: random.Random, *, unknown: float = 0.0) -> Facts:
    """Facts drawn uniformly (instruments: one to six of them); each field unknown with probability `unknown`."""
    instruments = rng.sample(vocabulary.INSTRUMENTS, rng.choice((1, 1, 2, 2, 3, 3, 4, 5, 6)))

    def keep() -> bool:
        return rng.random() >= unknown

    return Facts(
        tempo_bpm=rng.choice(vocabulary.TEMPO_CLASSES_BPM) if keep() else None,
        key=rng.choice(vocabulary.KEYS) if keep() else None,
        meter=rng.choice(vocabulary.METERS) if keep() else None,
        instruments=tuple(i for i in vocabulary.INSTRUMENTS if i in instruments) if keep() else None,
    )


def known_from_facts(facts: Facts) -> Known:
    """Facts whose instrument list is complete: what is not in it is absent."""
    present = facts.instruments
    return Known(
        facts=facts, absent=frozenset(vocabulary.INSTRUMENTS) - set(present) if present is not None else frozenset()
    )


def audio_context(rng: random.Random, *, windows: int, recordings: int = 1) -> Context:
    """Blocks in audio markers: `recordings` audios of `windows` windows each.

    With several windows the key, tempo and meter of most windows count, and every instrument that plays in any.
    """
    text, known = "", []
    for _ in range(recordings):
        facts = random_facts(rng, unknown=rng.choice((0.0, 0.0, 0.12)))
        heard = [_vary(rng, facts, stray=i >= (windows + 2) // 2) for i in range(windows)]
        rng.shuffle(heard)
        if facts.instruments is not None:
            union = {name for window in heard for name in window.instruments or ()}
            facts = dataclasses.replace(facts, instruments=tuple(i for i in vocabulary.INSTRUMENTS if i in union))
        text += "<|audio|>" + "".join("".join(blocks.words(window)) for window in heard) + "<|/audio|>"
        known.append(known_from_facts(facts))
    return Context(text=text, known=tuple(known))


def _vary(rng: random.Random, facts: Facts, *, stray: bool) -> Facts:
    """One window of a recording: some instruments may pause; a stray window may also name another key or tempo."""
    instruments = facts.instruments
    if instruments is not None and len(instruments) > 1 and rng.random() < 0.4:
        pausing = rng.choice(instruments)
        instruments = tuple(i for i in instruments if i != pausing)
    other = random_facts(rng)
    swap = rng.random() if stray else 1.0
    return Facts(
        tempo_bpm=other.tempo_bpm if swap < 0.3 and facts.tempo_bpm else facts.tempo_bpm,
        key=other.key if 0.2 < swap < 0.5 and facts.key else facts.key,
        meter=facts.meter,
        instruments=instruments,
    )


def text_context(rng: random.Random, *, held_out: bool = False) -> Context:
    """English sentences that state some facts in any order, in wordings of training or, if asked, in held-out ones.

    `known` lists the instruments in the order in which the text names them.
    """

    def state(field: str, value: object) -> str:
        sentence = STATEMENTS[field].choose(rng, held_out=held_out).format(x=value)
        return sentence[0].upper() + sentence[1:]

    facts = random_facts(rng, unknown=rng.choice((0.0, 0.3, 0.5)))
    values = {"tempo": facts.tempo_bpm, "key": facts.key, "meter": facts.meter}
    about: list[tuple[str, str | None]] = [(state(f, value), None) for f, value in values.items() if value is not None]
    if facts.instruments is not None:
        present = rng.sample(facts.instruments, len(facts.instruments))
        listed = [with_article(name) for name in present] if rng.random() < 0.5 else present
        about.append((state("instruments", join(listed)), None))
        absent = frozenset(vocabulary.INSTRUMENTS) - set(present)
        rng.shuffle(about)
    else:
        named = rng.sample(vocabulary.INSTRUMENTS, rng.choice((0, 1, 2, 3)))
        absent = frozenset(name for name in named if rng.random() < 0.6)
        about += [(state("absent", n) if n in absent else state("present", with_article(n)), n) for n in named]
        rng.shuffle(about)
        present = [name for _, name in about if name is not None and name not in absent]
    known = Known(facts=dataclasses.replace(facts, instruments=tuple(present) or None), absent=absent)
    sentences = [sentence for sentence, _ in about]
    text = rng.choice(_OPENINGS) + " ".join(sentences or ["A recording."])
    return Context(text=text + rng.choice((" ", "\n")), known=(known,))
