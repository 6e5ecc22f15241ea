"""Metrics of texts against sacrebleu, NLTK and rouge-score called directly, and against values computed by hand."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import nltk.data
import nltk.tokenize
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import meteor_score
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from mllm.errors import ConfigError
from mllm.eval.metrics import meteor, rouge, text, wordnet, words
from mllm.eval.metrics.bert import absent, bert_scores
from mllm.eval.statistic import Statistic
from tests.caption_pairs import FIRST_REFERENCES, PREDICTIONS, REFERENCES

needs_wordnet = pytest.mark.skipif(not wordnet.is_there(), reason="Debian's wordnet-base is not installed")
TREEBANK = nltk.tokenize.NLTKWordTokenizer()


def value(found: Statistic, items: int = len(PREDICTIONS)) -> float:
    return float(found(np.ones((1, items)))[0])


class NoWordNet:
    """Knows no synonyms."""

    def synsets(self, word: str) -> list[object]:
        return []


# --- BLEU


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_bleu_is_that_of_sacrebleu(order: int) -> None:
    of_sacrebleu = BLEU(tokenize="13a", smooth_method="none", max_ngram_order=order)
    expected = of_sacrebleu.corpus_score(PREDICTIONS, [[of_item[0] for of_item in REFERENCES]]).score / 100
    assert value(text.bleu(PREDICTIONS, FIRST_REFERENCES, order=order)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_bleu_of_two_references_is_that_of_sacrebleu(order: int) -> None:
    """Those items that have two; sacrebleu wants equally many of each."""
    places = [place for place, of_item in enumerate(REFERENCES) if len(of_item) == 2]
    assert len(places) >= 3
    said, right = [PREDICTIONS[place] for place in places], [REFERENCES[place] for place in places]
    of_sacrebleu = BLEU(tokenize="13a", smooth_method="none", max_ngram_order=order)
    expected = of_sacrebleu.corpus_score(said, list(map(list, zip(*right, strict=True)))).score / 100
    assert value(text.bleu(said, right, order=order), len(said)) == pytest.approx(expected, abs=1e-12)


def test_bleu_by_hand() -> None:
    """5 of 6 words, 3 of 5 pairs; as long as the reference."""
    found = text.bleu(["the cat sat on the mat"], [["the cat sat on a mat"]], order=2)
    assert value(found, 1) == pytest.approx(math.sqrt(5 / 6 * 3 / 5))


def test_bleu_takes_the_reference_nearest_in_length() -> None:
    """Four words are predicted: of references of 2 and 5 words the second is nearer, and costs exp(1 - 5/4)."""
    found = text.bleu(["a b c d"], [["a b", "a b c d e"]], order=1)
    assert value(found, 1) == pytest.approx(math.exp(1 - 5 / 4))


def test_bleu_keeps_the_case_and_smooths_nothing() -> None:
    assert value(text.bleu(["The Piano"], [["the piano"]], order=1), 1) == 0
    assert value(text.bleu(["a b x d"], [["a b c d"]], order=3), 1) == 0
    assert value(text.bleu([""], [["a b c d"]], order=4), 1) == 0


def test_bleu_of_a_resample_is_the_bleu_of_its_items() -> None:
    weights = np.zeros((1, len(PREDICTIONS)))
    drawn = [0, 3, 3, 7, 12]
    for place in drawn:
        weights[0, place] += 1
    found = text.bleu(PREDICTIONS, REFERENCES, order=4)(weights)[0]
    again = text.bleu([PREDICTIONS[k] for k in drawn], [REFERENCES[k] for k in drawn], order=4)
    assert found == pytest.approx(value(again, len(drawn)))


# --- words


def test_words_are_those_of_nltk() -> None:
    for one in (*PREDICTIONS, *(reference for of_item in REFERENCES for reference in of_item)):
        assert words.words(one) == [token for part in words.sentences(one) for token in TREEBANK.tokenize(part)]


PIECES = st.sampled_from(
    [
        *(
            "a",
            "song",
            "don't",
            "cannot",
            "wanna",
            "gonna",
            "'tis",
            '"',
            "''",
            "'",
            "(",
            ")",
            ".",
            " ",
            "  ",
            ",",
            "...",
        ),
        *(
            "--",
            ":",
            "12",
            "3.5",
            "e.g.",
            "Mr.",
            "The",
            "x",
            "$",
            "&",
            "!",
            "?",
            "“",
            "’",
            "—",
            "it's",
            "*",
            "`",
            "[",
            "\n",
        ),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_words_of_any_text_are_those_of_nltk(one: str) -> None:
    assert words.words(one) == [token for part in words.sentences(one) for token in TREEBANK.tokenize(part)]


@pytest.mark.parametrize(
    ("given_text", "parts"),
    [
        ("It is slow. It is sad.", 2),
        ("A lo-fi song, e.g. for studying.", 1),
        ("It was Mr. Smith who sang.", 1),
        ("The tempo is 120. The key is C.", 2),
        ("at 120. bpm", 1),
        ("It fades... and comes back.", 1),
        ('"Why?" he sings. (Twice.) Then it ends!', 4),
        ("strings, horns, etc. The end.", 2),
        ("by J. S. Bach", 1),
        ("", 0),
    ],
)
def test_sentences(given_text: str, parts: int) -> None:
    assert len(words.sentences(given_text)) == parts


# --- METEOR


@pytest.mark.parametrize("place", range(len(PREDICTIONS)))
def test_meteor_without_synonyms_is_that_of_nltk(place: int) -> None:
    said = words.words(PREDICTIONS[place])
    right = [words.words(reference) for reference in REFERENCES[place]]
    expected = meteor_score(right, said, stemmer=PorterStemmer(), wordnet=NoWordNet())
    assert meteor.meteor_of_words(said, right, synonyms=False) == pytest.approx(expected, abs=1e-12)


@pytest.fixture(scope="module")
def wordnet_of_nltk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WordNetCorpusReader]:
    """NLTK's reader of the same files, with the file of names that Debian leaves out."""
    folder = tmp_path_factory.mktemp("wordnet")
    for path in wordnet.FOLDER.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "lexnames").write_text("".join(f"{number:02d}\tname.{number}\t1\n" for number in range(45)))

    class Reader(WordNetCorpusReader):  # type: ignore[misc]
        def map_wn(self, version: str = "wordnet") -> None:
            return None

    nltk.data.path.append(str(folder))  # NLTK opens no other folders
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it misses what translates senses
            yield Reader(str(folder), None)
    finally:
        nltk.data.path.remove(str(folder))


@needs_wordnet
def test_meteor_is_that_of_nltk(wordnet_of_nltk: WordNetCorpusReader) -> None:
    assert meteor.name() == "meteor"
    gained = 0
    for prediction, references in zip(PREDICTIONS, REFERENCES, strict=True):
        said, right = words.words(prediction), [words.words(reference) for reference in references]
        expected = meteor_score(right, said, wordnet=wordnet_of_nltk)
        found = meteor.meteor(prediction, references)
        assert found == pytest.approx(expected, abs=1e-12)
        gained += found > meteor.meteor_of_words(said, right, synonyms=False)
    assert gained >= 2


@needs_wordnet
def test_synonyms_are_those_of_nltk(wordnet_of_nltk: WordNetCorpusReader) -> None:
    ours = wordnet.find()
    assert ours is not None
    of_captions = {
        word.lower() for one in (*PREDICTIONS, *itertools.chain.from_iterable(REFERENCES)) for word in words.words(one)
    }
    for word in sorted(
        {*of_captions, "better", "axes", "men", "ran", "galore", "mice", "children's", "Bach", "quickest"}
    ):
        expected = {
            lemma.name()
            for sense in wordnet_of_nltk.synsets(word)
            for lemma in sense.lemmas()
            if "_" not in lemma.name()
        }
        assert ours.synonyms(word) == expected, word


def test_meteor_has_another_name_without_wordnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not wordnet.is_there(tmp_path)
    assert wordnet.find(tmp_path) is None
    monkeypatch.setattr(wordnet, "find", lambda: None)
    assert "meteor" not in text.statistics(PREDICTIONS, REFERENCES)
    assert meteor.name() == "meteor_without_synonyms"


def test_meteor_by_hand() -> None:
    """All five words match in two stretches: F is 1, from which half of (2 / 5)^3 is taken off."""
    found = meteor.meteor_of_words(["on", "the", "mat", "a", "cat"], [["a", "cat", "on", "the", "mat"]], synonyms=False)
    assert found == pytest.approx(1 - 0.5 * (2 / 5) ** 3)
    assert meteor.meteor("", ["a song"]) == 0


# --- ROUGE-L


@pytest.mark.parametrize("place", range(len(PREDICTIONS)))
def test_rouge_l_is_that_of_rouge_score(place: int) -> None:
    expected = RougeScorer(["rougeL"]).score_multi(REFERENCES[place], PREDICTIONS[place])["rougeL"].fmeasure
    assert text.rouge_l(PREDICTIONS[place], REFERENCES[place]) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.sampled_from("abcd"), max_size=40), st.lists(st.sampled_from("abcd"), max_size=40))
def test_longest_common_subsequence_is_that_of_the_table(left: list[str], right: list[str]) -> None:
    rows = [[0] * (len(right) + 1)]
    for one in left:
        row = [0]
        for place, other in enumerate(right):
            row.append(rows[-1][place] + 1 if one == other else max(row[-1], rows[-1][place + 1]))
        rows.append(row)
    assert rouge.longest_common_subsequence(left, right) == rows[-1][-1]


# --- all together


def test_evaluate_has_every_figure_and_does_not_depend_on_processes() -> None:
    many, right = PREDICTIONS * 25, REFERENCES * 25
    one = text.evaluate(many, right, known_words={"a", "the", "piano"})
    assert set(one) == {
        *(
            "bleu1",
            "bleu2",
            "bleu3",
            "bleu4",
            meteor.name(),
            "rouge_l",
            "cider",
            "distinct1",
            "distinct2",
            "mean_words",
        ),
        *("novelty", "vocabulary_novelty"),
    }
    assert one == text.evaluate(many, right, known_words={"a", "the", "piano"}, processes=2)
    assert one["rouge_l"] == pytest.approx(
        np.mean([text.rouge_l(p, r) for p, r in zip(PREDICTIONS, REFERENCES, strict=True)])
    )


def test_what_is_right_scores_one_and_silence_scores_nothing() -> None:
    right = [of_item[0] for of_item in REFERENCES]
    perfect, silent = text.evaluate(right, FIRST_REFERENCES), text.evaluate([""] * len(right), FIRST_REFERENCES)
    for name in ("bleu1", "bleu4", "rouge_l"):
        assert perfect[name] == pytest.approx(1.0)
        assert silent[name] == 0.0
    assert perfect[meteor.name()] > 0.99
    assert silent[meteor.name()] == silent["cider"] == silent["mean_words"] == 0
    assert math.isnan(silent["distinct1"])


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (["a"], [], "1 predictions and references of 0 items"),
        ([], [], "0 predictions"),
        (["a"], [[]], "item 0 has the references"),
        (["a"], ["a text"], "item 0 has the references 'a text'"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    predictions: list[str], references: list[list[str]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        text.evaluate(predictions, references)


def test_other_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="BLEU of order 5"):
        text.bleu(["a"], [["a"]], order=5)
    with pytest.raises(ConfigError, match="no known words"):
        text.novelty(["a"], "a")
    with pytest.raises(ConfigError, match="without references"):
        text.rouge_l("a", [])
    with pytest.raises(ConfigError, match="without references"):
        text.meteor("a", [])
    with pytest.raises(ConfigError, match="order is 0"):
        text.distinct(["a"], order=0)


def test_bertscore_that_cannot_be_counted_says_why(tmp_path: Path) -> None:
    assert absent(None) == "no model directory was given"
    with pytest.raises(ConfigError, match="BERTScore cannot be counted"):
        bert_scores(["a"], [["a"]], tmp_path)
