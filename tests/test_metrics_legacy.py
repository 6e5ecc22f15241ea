"""The field's broken scorer, against NLTK and rouge-score called the way its code bases call them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from nltk.tokenize import wordpunct_tokenize
from nltk.translate.bleu_score import sentence_bleu
from nltk.translate.meteor_score import meteor_score
from rouge_score.rouge_scorer import RougeScorer

from mllm.errors import ConfigError
from mllm.eval.metrics import legacy, text, wordnet
from mllm.eval.metrics.meteor import meteor_of_words
from tests.caption_pairs import PREDICTIONS, REFERENCES

FIRST = [of_item[0] for of_item in REFERENCES]
PAIRS = list(zip(PREDICTIONS, FIRST, strict=True))


class NoWordNet:
    """Knows no synonyms."""

    def synsets(self, word: str) -> list[object]:
        return []


def test_character_bleu_is_nltk_called_on_texts() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [sentence_bleu([reference], said) for said, reference in PAIRS]
        fourth = [sentence_bleu([reference], said, weights=(0.0, 0.0, 0.0, 1.0)) for said, reference in PAIRS]
    assert [legacy.char_bleu(*pair) for pair in PAIRS] == pytest.approx(expected)
    assert [legacy.char_bleu4(*pair) for pair in PAIRS] == pytest.approx(fourth)
    found = legacy.evaluate(PREDICTIONS, REFERENCES)
    assert found["legacy_char_bleu"] == pytest.approx(np.mean(expected))
    assert found["legacy_char_bleu4"] == pytest.approx(np.mean(fourth))


def test_recall_is_rouge_score_with_stems() -> None:
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    expected = [scorer.score(reference, said)["rougeL"].recall for said, reference in PAIRS]
    assert [legacy.rouge_l_recall(*pair) for pair in PAIRS] == pytest.approx(expected)
    assert legacy.evaluate(PREDICTIONS, REFERENCES)["legacy_rouge_l_recall"] == pytest.approx(np.mean(expected))


def test_meteor_is_of_runs_of_punctuation() -> None:
    for said, reference in PAIRS:
        tokens = wordpunct_tokenize(said), [wordpunct_tokenize(reference)]
        expected = meteor_score(tokens[1], tokens[0], wordnet=NoWordNet())
        assert meteor_of_words(*tokens, synonyms=False) == pytest.approx(expected)
        assert legacy.legacy_meteor(said, reference) == meteor_of_words(*tokens)


def test_names_say_that_it_is_the_broken_one() -> None:
    meteor = "legacy_meteor" if wordnet.is_there() else "legacy_meteor_without_synonyms"
    found = legacy.evaluate(PREDICTIONS, REFERENCES)
    assert set(found) == {"legacy_char_bleu", "legacy_char_bleu4", "legacy_rouge_l_recall", meteor}


def test_it_rewards_who_did_not_listen() -> None:
    """Every caption answered with another one's: words disagree, characters do not."""
    moved = [*PREDICTIONS[1:], PREDICTIONS[0]]
    broken = legacy.evaluate(moved, REFERENCES)["legacy_char_bleu"]
    assert broken > 0.09
    assert text.evaluate(moved, REFERENCES)["bleu4"] < 0.01


def test_silence_scores_nothing_and_nothing_warns() -> None:
    assert set(legacy.evaluate(["", "zz"], [["a song"], ["a song"]]).values()) == {0.0}


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 predictions and references of 0 items"):
        legacy.evaluate(["a"], [])
    with pytest.raises(ConfigError, match="a reference for each item"):
        legacy.evaluate(["a"], [[]])
