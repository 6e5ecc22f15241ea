"""The fixed words in which the facts of one window of audio are stated inside a prompt.

In: `Facts`. Out: one word a slot, always `SLOTS` words, each a single token of the reference tokenizer. The reference
backbone learns to read these words in the place where soft tokens will stand, and the `align` adapter learns to say
them, each soft token a mixture of their embeddings. Knows nothing of audio, tokenizers or models.
"""

from __future__ import annotations

from mllm import facts as vocabulary
from mllm.facts import Facts

UNKNOWN = " unknown"
ABSENT = " no"
TEMPO, KEY, METER = " tempo", " key", " meter"
_NUMERATORS = {"2": "2", "3": "3", "4": "4", "6": "6", "9": "9", "12": " twelve"}
INSTRUMENT_WORDS: tuple[str, ...] = tuple(f" {name.split()[0]}" for name in vocabulary.INSTRUMENTS)
"""The word of each instrument in a block: the first word of its name."""

SLOTS = 10 + len(INSTRUMENT_WORDS)
"""Words in a block."""


def words(facts: Facts) -> tuple[str, ...]:
    """The block that states `facts`; a field that is None is stated as unknown.

    Returns:
        `SLOTS` words: tempo with its three digits, key with tonic and mode, meter with numerator and denominator, then
        one word an instrument, its name where it plays and `ABSENT` where not.
    """
    tempo = list(f"{facts.tempo_bpm:03d}") if facts.tempo_bpm is not None else [UNKNOWN] * 3
    key = [f" {word}" for word in facts.key.split()] if facts.key is not None else [UNKNOWN] * 2
    if facts.meter is not None:
        numerator, denominator = facts.meter.split("/")
        meter = [_NUMERATORS[numerator], denominator]
    else:
        meter = [UNKNOWN] * 2
    if facts.instruments is None:
        instruments = [UNKNOWN] * len(INSTRUMENT_WORDS)
    else:
        instruments = [
            word if name in facts.instruments else ABSENT
            for name, word in zip(vocabulary.INSTRUMENTS, INSTRUMENT_WORDS, strict=True)
        ]
    return (TEMPO, *tempo, KEY, *key, METER, *meter, *instruments)


def lexicon() -> tuple[str, ...]:
    """Every word that can stand in a block, without repetition, in a fixed order."""
    tonics = sorted({f" {t}" for t in vocabulary.MAJOR_TONICS + vocabulary.MINOR_TONICS})
    listed = [TEMPO, KEY, METER, UNKNOWN, ABSENT, *"0123456789", " twelve", " major", " minor", *tonics]
    return tuple(dict.fromkeys([*listed, *INSTRUMENT_WORDS]))
