"""Which option an answer names: a table of answers as models write them, and what must not be taken for one."""

from __future__ import annotations

import random
import time

import pytest

from mllm.eval.reading import letter

FOUR = ("piano", "the flute", "A jazz piece with brushes", "Drums")
KEYS = ("C major", "A minor", "D dorian", "B major")
TIMES = ("0:04", "0:12", "1:05", "0:40")
COMPOSERS = ("J. S. Bach", "W. A. Mozart", "C. Debussy", "Nobody known")
NOTES = ("G", "C", "D", "A")
LONGER = ("guitar", "electric guitar", "guitar and drums", "no guitar")

CASES: tuple[tuple[str, tuple[str, ...], int | None], ...] = (
    # A letter alone.
    ("B", FOUR, 1),
    ("b", FOUR, 1),
    ("B.", FOUR, 1),
    (" B ", FOUR, 1),
    ("(b)", FOUR, 1),
    ("(B)", FOUR, 1),
    ("[[B]]", FOUR, 1),
    ("**B**", FOUR, 1),
    ("**B.**", FOUR, 1),
    ("`B`", FOUR, 1),
    ('"B"', FOUR, 1),
    ("Ｂ", FOUR, 1),
    ("A", FOUR, 0),
    ("a)", FOUR, 0),
    ("A:", FOUR, 0),
    (r"$\boxed{B}$", FOUR, 1),
    ("B\n", FOUR, 1),
    # A letter with the text of its option.
    ("B) the flute", FOUR, 1),
    ("B) The flute.", FOUR, 1),
    ("b) the flute", FOUR, 1),
    ("B. the flute", FOUR, 1),
    ("B: the flute", FOUR, 1),
    ("B - the flute", FOUR, 1),
    ("B, the flute", FOUR, 1),
    ("B the flute", FOUR, 1),
    ("(B) the flute", FOUR, 1),
    ("B (the flute)", FOUR, 1),
    ("B (the piano)", FOUR, None),
    ("**B) the flute**", FOUR, 1),
    ("The flute (B)", FOUR, 1),
    ("C) A jazz piece with brushes", FOUR, 2),
    ("C. C major is what I hear", KEYS, None),
    ("B. W. A. Mozart", COMPOSERS, 1),
    ("B) A minor", KEYS, 1),
    ("D) B major", KEYS, 3),
    ("B) C", NOTES, 1),
    ("B) electric guitar", LONGER, 1),
    # Sentences that say which one it is.
    ("The answer is B", FOUR, 1),
    ("The answer is B.", FOUR, 1),
    ("The answer is (B).", FOUR, 1),
    ("The correct answer is **B**.", FOUR, 1),
    ("The correct answer is: B) the flute", FOUR, 1),
    ("Answer: B", FOUR, 1),
    ("Answer: b", FOUR, 1),
    ("ANSWER B", FOUR, 1),
    ("Option B", FOUR, 1),
    ("I would choose option B because the flute enters first.", FOUR, 1),
    ("I'd go with the second one, option (B).", FOUR, 1),
    ("B is the correct answer.", FOUR, 1),
    ("A is correct.", FOUR, 0),
    ("Option A is the best.", FOUR, 0),
    ("The answer is A, since the piano plays.", FOUR, 0),
    ("My final answer is [B].", FOUR, 1),
    ('{"answer": "B"}', FOUR, 1),
    ("<answer>B</answer>", FOUR, 1),
    ("<think>A) piano? No, the answer is A or D.</think>\nB", FOUR, 1),
    ("答案是B", FOUR, 1),
    ("B\n\nThe flute leads. A jazz feel runs through it.", FOUR, 1),
    ("Answer: B\nConfidence: 0.8", FOUR, 1),
    # The text of an option alone.
    ("the flute", FOUR, 1),
    ("Flute", FOUR, 1),
    ("The flute.", FOUR, 1),
    ("A flute", FOUR, 1),
    ("DRUMS!", FOUR, 3),
    ("Answer: flute", FOUR, 1),
    ("The answer is the flute.", FOUR, 1),
    ("It is the piano.", FOUR, 0),
    ("It's the piano.", FOUR, 0),
    ("A jazz piece with brushes", FOUR, 2),
    ("A jazz piece with brushes.", FOUR, 2),
    ("Piano. It plays the melody from the beginning.", FOUR, 0),
    ("The lead instrument is the flute.", FOUR, 1),
    ("I think the lead instrument is the flute.", FOUR, 1),
    ("I hear a flute.", FOUR, 1),
    ("The key is A minor.", KEYS, 1),
    ("I checked: C major no. The key is A minor.", KEYS, 1),
    ("A minor", KEYS, 1),
    ("The key is A minor, I think", KEYS, None),
    ("C major", KEYS, 0),
    ("b major", KEYS, 3),
    ("W. A. Mozart", COMPOSERS, 1),
    ("1:05", TIMES, 2),
    ("At 1:05", TIMES, None),
    ("electric guitar", LONGER, 1),
    # Nothing that could be read.
    ("", FOUR, None),
    ("   \n", FOUR, None),
    ("I cannot tell.", FOUR, None),
    ("A jazz piece with a walking bass", FOUR, None),
    ("A slow song, played by a small band.", FOUR, None),
    ("The answer is A jazz tune", FOUR, None),
    ("I hear a piano and a flute.", FOUR, None),
    ("B flat is the tonic", FOUR, None),
    ("B-flat", FOUR, None),
    ("The key is D minor.", KEYS, None),
    ("minor", KEYS, None),
    ("C#", KEYS, None),
    ("The B section begins.", FOUR, None),
    ("105", TIMES, None),
    ("__import__('os').listdir('.')", FOUR, None),
    ("2", FOUR, None),
    # Not offered.
    ("E", FOUR, None),
    ("E) an oboe", FOUR, None),
    ("The answer is F.", FOUR, None),
    ("D", FOUR[:3], None),
    ("an oboe", FOUR, None),
    # Two different ones.
    ("B or C", FOUR, None),
    ("B, C", FOUR, None),
    ("B and C", FOUR, None),
    ("(B) or (C)", FOUR, None),
    ("The answer is B. Or rather, the answer is C.", FOUR, None),
    ("A) piano\nB) the flute\nC) A jazz piece with brushes\nD) Drums", FOUR, None),
    ("A) piano B) the flute C) A jazz piece with brushes D) Drums", FOUR, None),
    ("A. piano B. the flute", FOUR, None),
    ("piano\nflute", FOUR, None),
    ("The key is C major. The key is A minor.", KEYS, None),
    ("Piano. Or maybe the flute.", FOUR, None),
    ("ABCD", FOUR, None),
    # A letter that contradicts the text.
    ("B) piano", FOUR, None),
    ("B. Drums, clearly", FOUR, None),
    ("The answer is B: piano", FOUR, None),
    ("Piano (B)", FOUR, None),
    ("C", NOTES, None),
    # Denied.
    ("not B", FOUR, None),
    ("It is not B.", FOUR, None),
    ("Option B is wrong.", FOUR, None),
    ("B is incorrect.", FOUR, None),
    ("Not the flute", FOUR, None),
    ("I hear no flute.", FOUR, None),
    ("The key is not A minor.", KEYS, None),
    ("The wrong answer is the flute.", FOUR, None),
    ("The other instrument is the flute.", FOUR, None),
)


@pytest.mark.parametrize(("answer", "choices", "place"), CASES, ids=[repr(case[0])[:40] for case in CASES])
def test_what_an_answer_names(answer: str, choices: tuple[str, ...], place: int | None) -> None:
    assert letter.read(answer, choices) == place


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize(
    "form", ["{letter}", "{letter}) {option}", "{letter}. {option}", "({letter}) {option}", "{option}"]
)
def test_every_option_of_any_question_is_read_in_every_form(form: str) -> None:
    rng = random.Random(0)
    words = ("piano", "flute", "bass", "harp", "3/4 time", "120 BPM", "A minor", "C# minor", "0:42", "jazz swing")
    for _ in range(100):
        options = rng.sample(words, rng.randint(2, 6))
        place = rng.randrange(len(options))
        answer = form.format(letter="ABCDEF"[place], option=options[place])
        assert letter.read(answer, options) == place, (answer, options)


def test_a_huge_answer_is_none_and_read_at_once() -> None:
    began = time.perf_counter()
    assert letter.read("The answer is B. " * 600_000, FOUR) is None
    assert letter.read("(" * 19_000, FOUR) is None
    assert letter.read("the answer is " * 1_400, FOUR) is None
    assert letter.read("not " * 4_900, FOUR) is None
    assert time.perf_counter() - began < 5
