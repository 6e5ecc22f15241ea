"""The fixed words in which the facts of one window of audio are stated inside a prompt.

In: `Facts`. Out: one word a slot, always `SLOTS` words, each a token of its own in the reference tokenizer that stands
nowhere else. The reference backbone learns to read these words in the place where soft tokens will stand, and the
`align` adapter learns to say them, each soft token a mixture of their embeddings. Every slot has words of its own, so
that a word alone, wherever it stands, says what it is about. Knows nothing of audio, tokenizers or models.
"""

from __future__ import annotations

from mllm import facts as vocabulary
from mllm.facts import Facts

_TONICS = tuple(dict.fromkeys(vocabulary.MAJOR_TONICS + vocabulary.MINOR_TONICS))
_PLACES = ("hundreds", "tens", "ones")
UNKNOWN = "unknown"
"""The value of a slot that nothing is known of."""


def _word(slot: str, value: str) -> str:
    return f"<|{slot}:{value}|>"


def _slot_words() -> tuple[tuple[str, ...], ...]:
    """For each slot, the words that can stand in it, the unknown one last."""
    slots = [(place, tuple("012" if place == "hundreds" else "0123456789")) for place in _PLACES]
    slots += [("tonic", _TONICS), ("mode", ("major", "minor")), ("meter", vocabulary.METERS)]
    slots += [(name, ("yes", "no")) for name in vocabulary.INSTRUMENTS]
    return tuple(tuple(_word(slot, value) for value in (*values, UNKNOWN)) for slot, values in slots)


SLOT_WORDS: tuple[tuple[str, ...], ...] = _slot_words()
"""For each slot, its words: three digits of the tempo, tonic, mode, meter, then each instrument."""
SLOTS = len(SLOT_WORDS)
"""Words in a block."""


def words(facts: Facts) -> tuple[str, ...]:
    """The block that states `facts`, `SLOTS` words; a field that is None is stated as unknown."""
    digits = tuple(f"{facts.tempo_bpm:03d}") if facts.tempo_bpm is not None else (UNKNOWN,) * 3
    tonic, mode = facts.key.split() if facts.key is not None else (UNKNOWN,) * 2
    stated = [_word(place, digit) for place, digit in zip(_PLACES, digits, strict=True)]
    stated += [_word("tonic", tonic), _word("mode", mode), _word("meter", facts.meter or UNKNOWN)]
    for name in vocabulary.INSTRUMENTS:
        present = UNKNOWN if facts.instruments is None else "yes" if name in facts.instruments else "no"
        stated.append(_word(name, present))
    return tuple(stated)


def meaning(word: str) -> tuple[str, str]:
    """The slot that a word of a block belongs to, and the value that it states there."""
    slot, _, value = word[2:-2].rpartition(":")
    return slot, value


def lexicon() -> tuple[str, ...]:
    """Every word that can stand in a block, slot by slot."""
    return tuple(word for slot in SLOT_WORDS for word in slot)
