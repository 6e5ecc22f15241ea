"""BERTScore: how near the words of a text are to those of its references in a language model's embeddings.

In: predictions and references, and the directory of a model on this machine. Out: precision, recall and F of each item,
through the package bert-score where it is installed. Downloads nothing: without the package or the directory there is
no BERTScore, and `absent` says why.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mllm.errors import ConfigError

PACKAGE = "bert_score"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertScores:
    """Of each item, about 0 to 1, not rescaled; of several references the best of each."""

    precision: list[float]
    recall: list[float]
    f1: list[float]


def absent(folder: Path | None) -> str | None:
    """Why BERTScore cannot be counted, in one sentence; None: it can."""
    if folder is None:
        return "no model directory was given"
    if importlib.util.find_spec(PACKAGE) is None:
        return "the package bert-score is not installed: pip install 'mllm-music[bertscore]'"
    return None


def bert_scores(
    predictions: Sequence[str], references: Sequence[Sequence[str]], folder: Path, *, layer: int | None = None
) -> BertScores:
    """BERTScore of each item (Zhang et al. 2020, BERTScore, eq. 1), without idf weights and without a baseline.

    The field's "BERTScore" is the mean recall with roberta-large, layer 17; the paper's is F. An empty prediction
    scores 0.

    Args:
        predictions: one an item.
        references: one or more an item.
        folder: of a model in the format of transformers.
        layer: whose embeddings are compared, counted from 1; None: the one that bert-score recommends for a model of
            the directory's name, such as roberta-large.

    Raises:
        ConfigError: `absent` says why it cannot be counted, the directory holds no model, or no layer is known.
    """
    reason = absent(folder)
    if reason is None and not (folder / "config.json").is_file():
        reason = f"{folder} holds no config.json; give the directory of a model in the format of transformers"
    if reason is not None:
        raise ConfigError(f"BERTScore cannot be counted: {reason}")
    # The package is no part of the usual installation, and imports matplotlib and pandas.
    from bert_score import BERTScorer
    from bert_score.utils import model2layers

    chosen = model2layers.get(folder.name) if layer is None else layer
    if chosen is None:
        raise ConfigError(
            f"bert-score recommends no layer for a model named {folder.name!r}; give --bert-layer, or name the "
            "directory as the model is called, such as roberta-large"
        )
    scorer = BERTScorer(model_type=str(folder), num_layers=chosen, rescale_with_baseline=False)
    # Those without a word are left to us: bert-score asks transformers 4 for what it does with them.
    kept = [place for place, text in enumerate(predictions) if text.strip()]
    found = np.zeros((3, len(predictions)))
    if kept:
        scored = scorer.score([predictions[place] for place in kept], [list(references[place]) for place in kept])
        found[:, kept] = [of_all.tolist() for of_all in scored]
    precision, recall, f1 = found.tolist()
    return BertScores(precision=precision, recall=recall, f1=f1)
