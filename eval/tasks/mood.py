"""How much energy is there: is it slow or fast, does it grow louder or softer? And the mood, where it is known.

In: rendered pieces, of whose moods nobody knows anything: they are asked about their pace and their loudness, as often
about each answer. MTG-Jamendo and MagnaTagATune where they are given: they are asked for the moods that listeners gave,
of a closed list. Out: questions. Tempi and levels near a border are not asked about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from mllm.eval import statistic
from mllm.eval.metrics import classification
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.reading import words
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import About, Figure
from mllm.eval.tasks import _about
from mllm.instruct_data import track_facts
from mllm.instruct_data.asked import ask
from mllm.instruct_data.augment import single_fact
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.statements import join
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="Energy and mood",
    version="1",
    summary="Of rendered pieces, whose moods nobody knows: whether they are slow, moderate or fast, and whether they "
    "grow louder, softer or stay as loud. Of recordings with moods by listeners: which of a list.",
    figures={
        "pace": Figure(title="slow, moderate or fast", headline=True, chance=1 / 3),
        "loudness": Figure(title="growing louder, softer, or neither", headline=True, chance=1 / 3),
        "mood_f1": Figure(title="moods of a closed list, micro-F1", headline=True),
    },
    also=("mtg_jamendo", "magnatagatune"),
)
QUESTIONS = 60

PACES: Mapping[str, tuple[str, ...]] = {
    "slow": ("slowly", "leisurely", "downtempo", "slow-paced", "slow-moving", "slow-tempo"),
    "moderate": ("moderately", "medium", "mid-tempo", "midtempo", "in the middle", "in between", "somewhere between"),
    "fast": ("quick", "quickly", "brisk", "rapid", "rapidly", "uptempo", "up-tempo", "fast-paced", "lively"),
}
LOUDNESS: Mapping[str, tuple[str, ...]] = {
    "louder": ("crescendo", "increases in volume", "grows in volume", "increasing in volume"),
    "softer": ("quieter", "decrescendo", "diminuendo", "decreases in volume", "fades", "less loud"),
    "steady": (
        "as loud",
        "the same",
        "constant",
        "equally loud",
        "does not change",
        "consistent",
        "unchanged",
        "neither",
    ),
}
MOST_MOODS = 30
"""Moods of a list; the rarer ones are not asked for."""
_CLEARLY = {"slow": (0.0, 72.0), "moderate": (88.0, 118.0), "fast": (140.0, 1000.0)}
"""Tempi in beats a minute that everybody calls so."""
_CLEARLY_CHANGED_DB, _CLEARLY_STEADY_DB = 2.5, 1.0
_PACE_WORDINGS = Phrasings(
    train=(),
    held_out=tuple(
        wording
        for wording in single_fact.wordings("speed").held_out
        if any(word in wording for word in ("moderate", "medium", "middle", "between", "midtempo"))
    ),
)
"""Those that offer all three answers."""
_LOUDNESS_WORDINGS = Phrasings(
    train=(),
    held_out=(
        "Comparing its end with its beginning, is the music louder, softer, or about the same?",
        "Does it grow louder, grow softer, or stay about as loud from beginning to end?",
        "How does the volume develop: louder, softer, or steady?",
        "is the last part louder or softer than the first or the same",
        "Over its whole length, does the recording get louder, get softer, or keep one level?",
        "If I set my volume at the start, will the end be louder, softer, or as loud?",
        "Tell me how the loudness changes towards the end: louder, softer, or steady.",
        "Judge the dynamics from start to finish: is the trend louder, softer, or neither?",
    ),
)
_LOUDNESS_ANSWERS = {"louder": "It gets louder.", "softer": "It gets softer.", "steady": "It stays about as loud."}
_MOOD_LISTS = ("Choose from these: {list}.", "The words to choose from are {list}.", "Name those that fit of {list}.")


def load(music: Music) -> Sequence[Question]:
    """Questions about pace and loudness, and about moods where they are known."""
    each = max(1, music.count(QUESTIONS) // 6)
    pieces = music.short()
    return [
        *(_pace(music, track, label) for track, label in _about.balanced(pieces, _clear_pace, each)),
        *(_loudness(music, track, label) for track, label in _about.balanced(pieces, _clear_loudness, each)),
        *_moods(music),
    ]


def credit(question: Question, said: Said) -> float | None:
    """1 for the right word; of moods the F1 of those that are named."""
    if question.label is not None:
        return float(_named(question, said) == {question.label})
    true, named = frozenset(question.truth["moods"]), _named(question, said)
    return 2 * len(true & named) / (len(true) + len(named))


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """The share right of each kind, and micro-F1 of moods."""
    pairs = list(zip(questions, said, strict=True))

    def share(asked: str) -> Statistic:
        return statistic.share([credit(*pair) if pair[0].groups["asked"] == asked else None for pair in pairs])

    is_mood = [question.label is None for question in questions]
    return {
        "pace": share("pace"),
        "loudness": share("loudness"),
        "mood_f1": classification.micro_f1(
            [question.truth["moods"] if mood else () for question, mood in zip(questions, is_mood, strict=True)],
            [_named(*pair) if mood else frozenset() for pair, mood in zip(pairs, is_mood, strict=True)],
        ),
    }


def _named(question: Question, said: Said) -> frozenset[str]:
    vocabulary: words.Vocabulary = (
        question.truth["among"] if question.label is None else PACES if question.label in PACES else LOUDNESS
    )
    return words.read(said.text, vocabulary)


def _clear_pace(track: Track) -> str | None:
    tempo = track_facts.steady_tempo(track)
    within = [] if tempo is None else [name for name, (low, high) in _CLEARLY.items() if low <= tempo <= high]
    return within[0] if within else None


def _clear_loudness(track: Track) -> str | None:
    trend = track_facts.loudness_trend(track)
    if trend is None or _CLEARLY_STEADY_DB < abs(trend) < _CLEARLY_CHANGED_DB:
        return None
    return "steady" if abs(trend) <= _CLEARLY_STEADY_DB else "louder" if trend > 0 else "softer"


def _pace(music: Music, track: Track, label: str) -> Question:
    draw = _about.chance(music, "mood", "pace", track.id)
    return _asked(track, "pace", ask(draw, _PACE_WORDINGS), label, f"It is {label}.")


def _loudness(music: Music, track: Track, label: str) -> Question:
    draw = _about.chance(music, "mood", "loudness", track.id)
    return _asked(track, "loudness", ask(draw, _LOUDNESS_WORDINGS), label, _LOUDNESS_ANSWERS[label])


def _asked(track: Track, kind: str, text: str, label: str, reference: str) -> Question:
    return _about.question(
        track,
        kind,
        text,
        truth=label,
        references=(reference,),
        template=f"mood/{kind}",
        label=label,
        groups={"asked": kind},
    )


def _moods(music: Music) -> list[Question]:
    """Questions about recordings to which listeners gave moods."""
    found = []
    for source in ABOUT.also:
        tracks = _about.given(music, (source,), lambda track: bool(track.moods))
        counts = Counter(mood for track in tracks for mood in track.moods or ())
        among = sorted(sorted(counts, key=lambda mood: (-counts[mood], mood))[:MOST_MOODS])
        for track in tracks:
            true = [mood for mood in track.moods or () if mood in among]
            if true:
                found.append(_mood(music, track, true, among))
    return found


def _mood(music: Music, track: Track, true: Sequence[str], among: Sequence[str]) -> Question:
    draw = _about.chance(music, "mood", track.id)
    offered = draw.rng.choice(_MOOD_LISTS).format(list=join(draw.rng.sample(among, len(among))))
    return _about.question(
        track,
        "mood",
        _about.with_more(ask(draw, single_fact.wordings("mood")), offered),
        truth={"moods": list(true), "among": list(among)},
        references=(f"The mood is {join(list(true))}.",),
        template=f"mood/{track.source}",
        field="moods",
        groups={"asked": "mood"},
    )
