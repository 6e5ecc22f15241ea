"""What all multiple choices share: how options are shuffled and laid out, and the figures.

In: a question, its options and which is right. Out: a `Question`; of answers the credit and the figures. The order of
the options is drawn from the seed of the run and the id of the question, so that each letter is right as often as any
other, whoever wrote the options and in whatever order. They stand below the question, a line each: "A) ...".

An answer in words is read by `eval.reading.letter`; one that cannot be read is wrong. Likelihoods count where a model
gives them: the likeliest option, also by logarithm over characters, because long options are unlikely as a whole.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from mllm.errors import MessageError, MllmError
from mllm.eval import statistic
from mllm.eval.music import Music
from mllm.eval.questions import Question, Said, asked
from mllm.eval.reading import letter
from mllm.eval.statistic import Statistic
from mllm.eval.task_about import Figure
from mllm.eval.tasks import _rows
from mllm.instruct_data.records import Record
from mllm.messages import Audio

LETTERS = letter.LETTERS


def table(chance: float | None = None) -> dict[str, Figure]:
    """The figures of a multiple choice; `chance` where all questions have equally many options."""
    return {
        "accuracy": Figure(title="right, by the letter or text that is said", headline=True, chance=chance),
        "answered": Figure(title="answers that name one option", better="neither"),
        "likelihood_accuracy": Figure(title="right, by the likeliest option", chance=chance),
        "likelihood_accuracy_per_character": Figure(
            title="right, by the likeliest option per character", chance=chance
        ),
        "guessing": Figure(title="what guessing evenly gives", better="neither"),
    }


def make(
    identity: str,
    recordings: Sequence[Audio],
    question: str,
    options: Sequence[str],
    right: int,
    *,
    seed: int,
    unit: str,
    template: str,
    groups: Mapping[str, str] | None = None,
    field: str | None = None,
) -> Question:
    """A question with its options in drawn order.

    Args:
        identity: of the question in its task.
        recordings: what is heard.
        question: without the options.
        options: two to ten, in any order.
        right: which of them is true.
        seed: of the run; the order follows from it and `identity`.
        unit: as in `Question`.
        template: as in `Question`.
        groups: as in `Question`.
        field: as in `Question`.

    Raises:
        MessageError: there are too few or too many options, or two that are the same.
    """
    if not 2 <= len(options) <= len(LETTERS):
        raise MessageError(f"{len(options)} options, expected 2 to {len(LETTERS)}")
    if len({letter.fold(option) for option in options}) < len(options):
        raise MessageError(f"two of the options are the same: {'; '.join(options)[:200]}")
    order = random.Random(f"{seed}/{identity}").sample(range(len(options)), len(options))
    shown = tuple(" ".join(options[place].split()) for place in order)
    lettered = lines(shown)
    correct = order.index(right)
    return Question(
        id=identity,
        messages=asked("\n".join([question.strip(), *lettered]), recordings),
        kind="choice",
        truth=shown[correct],
        references=(shown[correct], lettered[correct]),
        unit=unit,
        template=template,
        choices=shown,
        correct=correct,
        groups=dict(groups or {}),
        field=field,
    )


def lines(options: Sequence[str]) -> list[str]:
    """The options with their letters, as they stand below a question."""
    return [f"{LETTERS[place]}) {option}" for place, option in enumerate(options)]


def of_record(record: Record, *, seed: int, groups: Mapping[str, str] | None = None) -> Question:
    """The multiple choice of a record of a source, in an order of our own.

    Raises:
        MessageError: as `make`.
    """
    assert record.correct is not None
    listed = "\n" + "\n".join(lines(record.choices))
    return make(
        record.id,
        _rows.heard(record),
        _rows.last_question(record).removesuffix(listed),
        record.choices,
        record.correct,
        seed=seed,
        unit=" + ".join(record.tracks) or record.id,
        template=record.template,
        groups=groups,
    )


def of_source(music: Music, key: str, where: str) -> list[Question]:
    """The questions of a source of instruct_data; those that are none are left out, and told.

    Raises:
        AbsentError: its files, or all of its recordings, are not there.
    """

    def questions() -> Iterator[Question | MllmError]:
        for record in music.source_records(key):
            try:
                yield of_record(record, seed=music.seed)
            except MessageError as error:
                yield MessageError(f"{record.id}: {error}")

    return _rows.usable(music, key, questions(), where)


def credit(question: Question, said: Said) -> float:
    """1 for the right option, by the letter or the text that is said."""
    return float(letter.read(said.text, question.choices) == question.correct)


def figures(questions: Sequence[Question], said: Sequence[Said]) -> Mapping[str, Statistic]:
    """The figures of `table`."""
    pairs = list(zip(questions, said, strict=True))
    weighed = any(one.likelihoods is not None for one in said)
    return {
        "accuracy": statistic.share([credit(question, one) for question, one in pairs]),
        "answered": statistic.share(
            [float(letter.read(one.text, question.choices) is not None) for question, one in pairs]
        ),
        "likelihood_accuracy": statistic.share(
            [_likeliest(question, one, per_character=False) if weighed else None for question, one in pairs]
        ),
        "likelihood_accuracy_per_character": statistic.share(
            [_likeliest(question, one, per_character=True) if weighed else None for question, one in pairs]
        ),
        "guessing": statistic.share([1 / len(question.choices) for question in questions]),
    }


def _likeliest(question: Question, said: Said, *, per_character: bool) -> float:
    """1 where the right option is the likeliest; 0 where none was weighed. Of equal ones each earns its share."""
    if said.likelihoods is None or len(said.likelihoods) != len(question.choices):
        return 0.0
    weights = [
        weight / len(option) if per_character else weight
        for weight, option in zip(said.likelihoods, question.choices, strict=True)
    ]
    best = [place for place, weight in enumerate(weights) if weight == max(weights)]
    return 1 / len(best) if question.correct in best else 0.0
