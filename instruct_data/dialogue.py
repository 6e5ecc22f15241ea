"""Questions about what is known of a recording, with their true answers.

In: `Known` (from statements, or from the labels of a rendered clip) and a random generator. Out: (question, answer,
intent) triples; the same truth always gives answers that agree. Knows nothing of audio or models.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Sequence

from mllm import describe
from mllm import facts as vocabulary
from mllm.facts import Facts
from mllm.instruct_data.phrases import SYNONYMS, Phrasings, with_article
from mllm.instruct_data.statements import Known, join
from mllm.instruct_data.wordings import CANNOT_TELL, QUESTIONS

SLOW_BELOW_BPM = 80
FAST_FROM_BPM = 130
_THINNED = 0.15
"""Share of the questions of training that lose some of their filler words."""
_PRODUCT_QUESTIONS = {"json": describe.QUESTION, "caption": describe.CAPTION_QUESTION}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turn:
    """One question with its answer."""

    question: str
    answer: str
    intent: str


def _worded(rng: random.Random, phrasings: Phrasings, *, held_out: bool) -> str:
    """A question with its fields unfilled; some of those of training have lost some of their filler words."""
    return phrasings.choose(rng, held_out=held_out, thin=_THINNED)


def named(instruments: tuple[str, ...]) -> str:
    """Instruments in a sentence, with their articles."""
    return join([with_article(name) for name in instruments])


def cannot_tell(what: str) -> str:
    """The one way of saying that something is not known."""
    return f"I cannot tell {what}."


def json_answer(facts: Facts) -> str:
    """The facts as the JSON object that `mllm describe` reads; fields nobody knows are null."""
    return json.dumps(
        {
            "tempo_bpm": facts.tempo_bpm,
            "key": facts.key,
            "meter": facts.meter,
            "instruments": list(facts.instruments) if facts.instruments is not None else None,
        }
    )


def speed_word(tempo_bpm: int) -> str:
    """One of slow (under 80 BPM), moderate, or fast (from 130 BPM)."""
    return "slow" if tempo_bpm < SLOW_BELOW_BPM else "fast" if tempo_bpm >= FAST_FROM_BPM else "moderate"


def caption(facts: Facts) -> str:
    """Two sentences that state everything that is known, nothing else."""
    speed = f"{speed_word(facts.tempo_bpm)} " if facts.tempo_bpm is not None else ""
    first = f"A {speed}piece"
    first += f" in {facts.key}" if facts.key is not None else ""
    first += f", in {facts.meter} time" if facts.meter is not None else ""
    first += f", at about {facts.tempo_bpm} BPM" if facts.tempo_bpm is not None else ""
    second = f" It is played by {named(facts.instruments)}." if facts.instruments else ""
    return f"{first}.{second}"


def tags(facts: Facts) -> str:
    """Comma-separated words for everything that is known."""
    words = [speed_word(facts.tempo_bpm)] if facts.tempo_bpm is not None else []
    words += [facts.key] if facts.key is not None else []
    words += [facts.meter] if facts.meter is not None else []
    words += list(facts.instruments or ())
    return ", ".join(words) or cannot_tell("that")


def _tempo(facts: Facts) -> str:
    return f"The tempo is about {facts.tempo_bpm} BPM." if facts.tempo_bpm is not None else cannot_tell("the tempo")


def _key(facts: Facts) -> str:
    return f"The key is {facts.key}." if facts.key is not None else cannot_tell("the key")


def _open_answer(intent: str, facts: Facts) -> str:
    """Answers that need nothing but the facts."""
    if intent == "tempo":
        return _tempo(facts)
    if intent == "key":
        return _key(facts)
    if intent == "mode":
        return f"It is in a {facts.key.split()[1]} key." if facts.key is not None else cannot_tell("the key")
    if intent == "meter":
        return f"The time signature is {facts.meter}." if facts.meter is not None else cannot_tell("the meter")
    if intent == "instruments":
        return f"I hear {named(facts.instruments)}." if facts.instruments else cannot_tell("the instruments")
    if intent == "speed":
        return f"It is {speed_word(facts.tempo_bpm)}." if facts.tempo_bpm is not None else cannot_tell("the tempo")
    if intent == "key_and_tempo":
        return f"{_key(facts)} {_tempo(facts)}"
    if intent == "caption":
        return caption(facts)
    if intent == "tags":
        return tags(facts)
    return json_answer(facts)


_OPEN_WEIGHTS = {
    "tempo": 5,
    "key": 4,
    "mode": 2,
    "meter": 3,
    "instruments": 4,
    "speed": 2,
    "key_and_tempo": 1,
    "caption": 2,
    "tags": 2,
    "json": 5,
}
OPEN_INTENTS = tuple(_OPEN_WEIGHTS)
_SUMMARIES = ("key_and_tempo", "caption", "tags")


def instrument_turn(
    rng: random.Random, known: Known, *, negated: bool, held_out: bool, name: str | None = None
) -> Turn:
    """A yes/no question about one instrument; half of them about one that plays, where any is known to.

    Args:
        rng: chooses instrument and wording.
        known: the truth.
        negated: ask whether the instrument is absent.
        held_out: use the wordings kept for the gate.
        name: ask about this member of `INSTRUMENTS` instead of a random one.
    """
    present = known.facts.instruments or ()
    if name is None:
        absent = tuple(name for name in vocabulary.INSTRUMENTS if name in known.absent)
        pool = [present, absent, vocabulary.INSTRUMENTS]
        pools = [pool[0] or pool[2], pool[1] or pool[2], pool[2]]
        name = rng.choice(rng.choices(pools, weights=(5, 5, 1))[0])
    said = rng.choice(SYNONYMS[name])
    pattern = _worded(rng, QUESTIONS["lacks" if negated else "has"], held_out=held_out)
    question = pattern.format(name=said, a_name=with_article(said))
    question = question[0].upper() + question[1:]
    if name in present:
        answer = f"{'No' if negated else 'Yes'}, I hear {with_article(name)}."
    elif name in known.absent:
        answer = f"{'Yes' if negated else 'No'}, I hear no {name}."
    else:
        answer = cannot_tell("the instruments")
    return Turn(question=question, answer=answer, intent="lacks" if negated else "has")


def roll_call_turn(rng: random.Random, known: Known, *, held_out: bool) -> Turn:
    """Which of two to four instruments play? The answer says it of each, in the order of the question."""
    present = known.facts.instruments or ()
    told = [name for name in vocabulary.INSTRUMENTS if name in present or name in known.absent]
    heard = rng.sample(present, min(len(present), rng.choice((1, 2))))
    asked = list(dict.fromkeys([*heard, *rng.sample(told, min(len(told), 3))]))[: rng.choice((2, 3, 4))]
    asked = asked or rng.sample(vocabulary.INSTRUMENTS, rng.choice((2, 3)))
    rng.shuffle(asked)
    said = [rng.choice(SYNONYMS[name]) if rng.random() < 0.4 else name for name in asked]
    question = _worded(rng, QUESTIONS["roll_call"], held_out=held_out).format(names=join(said))
    verdicts = ", ".join(f"{name} {'yes' if name in present else 'no'}" for name in asked)
    answer = f"I checked: {verdicts}." if told else cannot_tell("the instruments")
    return Turn(question=question[0].upper() + question[1:], answer=answer, intent="roll_call")


def _check_turn(rng: random.Random, facts: Facts, *, held_out: bool, mix: Mix) -> Turn:
    """Is the key, the mode or the meter so? Asked of the true value in half of the questions.

    The answer names what was asked before its verdict, as those to choices and roll calls do: a backbone of 1.2 M
    parameters whose answers began with the verdict had not learnt to compare meters after 100,000 questions to compare.
    """
    intent = "choices" if rng.random() < mix.choices else rng.choice(("is_key", "is_mode", "is_meter"))
    of_meter = intent == "is_meter" or (intent == "choices" and rng.random() < 0.5)
    truth, pool, what = (
        (facts.meter, vocabulary.METERS, "the meter") if of_meter else (facts.key, vocabulary.KEYS, "the key")
    )
    if intent == "choices":
        return _choices_turn(rng, truth, pool, what, held_out=held_out)
    asked = truth if truth is not None and rng.random() < 0.5 else rng.choice(pool)
    mode = asked.split()[-1]
    question = _worded(rng, QUESTIONS[intent], held_out=held_out).format(key=asked, mode=mode, meter=asked)
    if truth is None:
        answer = cannot_tell(what)
    else:
        agree = truth.split()[-1] == mode if intent == "is_mode" else asked == truth
        named_so = mode if intent == "is_mode" else asked
        said = f"The time signature is {truth}" if of_meter else f"The key is {truth}"
        answer = f"I checked: {named_so} {'yes' if agree else 'no'}. {said}."
    return Turn(question=question[0].upper() + question[1:], answer=answer, intent=intent)


def _choices_turn(rng: random.Random, truth: str | None, pool: Sequence[str], what: str, *, held_out: bool) -> Turn:
    """Which of two or three keys or meters is it? The answer says it of each, in the order of the question."""
    asked = rng.sample(pool, rng.choice((2, 3)))
    if truth is not None and truth not in asked and rng.random() < 0.8:
        asked[rng.randrange(len(asked))] = truth
    names = f"{', '.join(asked[:-1])} {rng.choice(('or', 'or', 'and'))} {asked[-1]}"
    question = _worded(rng, QUESTIONS["choices"], held_out=held_out).format(names=names)
    verdicts = ", ".join(f"{name} {'yes' if name == truth else 'no'}" for name in asked)
    answer = f"I checked: {verdicts}." if truth is not None else cannot_tell(what)
    return Turn(question=question[0].upper() + question[1:], answer=answer, intent="choices")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mix:
    """Shares of what is asked, in [0, 1], and one factor."""

    negated: float = 0.5
    """Negated ones among the questions about one instrument."""
    roll_call: float = 0.06
    """Questions about several instruments at once."""
    instrument: float = 0.32
    """Questions about one instrument."""
    check: float = 0.18
    """Questions whether key, mode or meter are as named, among the others."""
    choices: float = 0.25
    """Those about several keys or meters, among these."""
    unanswerable: float = 0.2
    """Questions that no recording answers, among those that are neither about instruments nor comparisons."""
    summaries: float = 1.0
    """Factor, not a share: how many times as often as the gate a caption, tags or key and tempo are asked for."""


MIX = Mix()
"""What the gate asks."""


def random_turn(rng: random.Random, known: Known, *, held_out: bool = False, mix: Mix = MIX) -> Turn:
    """Any question about one recording.

    Args:
        rng: chooses the question and its wording.
        known: the truth.
        held_out: use the wordings kept for the gate.
        mix: how often some of the questions are asked.
    """
    kind = rng.random()
    if kind < mix.roll_call:
        return roll_call_turn(rng, known, held_out=held_out)
    if kind < mix.roll_call + mix.instrument:
        return instrument_turn(rng, known, negated=rng.random() < mix.negated, held_out=held_out)
    kind = rng.random()
    if kind < mix.check:
        return _check_turn(rng, known.facts, held_out=held_out, mix=mix)
    if kind < mix.check + (1.0 - mix.unanswerable) * (1.0 - mix.check):
        weights = [w * (mix.summaries if name in _SUMMARIES else 1.0) for name, w in _OPEN_WEIGHTS.items()]
        intent = rng.choices(OPEN_INTENTS, weights=weights)[0]
        question = _worded(rng, QUESTIONS[intent], held_out=held_out)
        if not held_out and intent in _PRODUCT_QUESTIONS and rng.random() < 0.3:
            question = _PRODUCT_QUESTIONS[intent]
        return Turn(question=question, answer=_open_answer(intent, known.facts), intent=intent)
    what = rng.choice(tuple(CANNOT_TELL))
    question = _worded(rng, CANNOT_TELL[what], held_out=held_out)
    return Turn(question=question, answer=cannot_tell(what), intent="cannot_tell")


_ORDINALS = ("first", "second")


def two_recordings_turn(rng: random.Random, known: tuple[Known, ...], *, mix: Mix = MIX) -> Turn:
    """A question about one of two recordings, or about which is the faster; `mix` as in `random_turn`."""
    tempi = [k.facts.tempo_bpm for k in known]
    if rng.random() < 0.2 and tempi[0] is not None and tempi[1] is not None and abs(tempi[0] - tempi[1]) > 15:
        question = rng.choice(("Which one is faster?", "Which recording is faster?", "Which of the two is faster?"))
        faster = _ORDINALS[0 if tempi[0] > tempi[1] else 1]
        return Turn(question=question, answer=f"The {faster} one is faster.", intent="faster")
    which = rng.randrange(2)
    turn = random_turn(rng, known[which], mix=mix)
    lead = rng.choice(("In the {} recording: ", "About the {} one: ", "The {} recording. ", "For the {} audio: "))
    return dataclasses.replace(turn, question=lead.format(_ORDINALS[which]) + turn.question, intent="two")
