"""Questions about rendered clips with the facts that decide what an answer earns (`mllm.train.rewards`).

In: the labels that `instruct_data.render` writes. Out: lines of a file for `scripts/train_rewards.py`: a conversation
that ends with a question, and what is true. The wordings are those of training, or those that are kept from it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from mllm.facts import KEYS, Facts, key_index
from mllm.instruct_data import dialogue, statements
from mllm.instruct_data.wordings import CANNOT_TELL, QUESTIONS

Kind: TypeAlias = Literal["tempo", "instruments", "key", "yes_no", "cannot_tell"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_ASKED: Mapping[str, str] = {"tempo": "tempo_bpm", "instruments": "instruments", "key": "key"}


def questions(
    labels: Sequence[Mapping[str, Any]], folder: Path, *, kinds: Sequence[Kind] = KINDS, held_out: bool, seed: int
) -> Iterator[dict[str, Any]]:
    """A question of each kind about each clip.

    Args:
        labels: rows of a labels.jsonl.
        folder: in which that file stands, where the clips' paths begin.
        kinds: of the questions.
        held_out: whether the wordings are those that are kept from training.
        seed: of the wordings.
    """
    rng = random.Random(seed)
    for row in labels:
        audio = {"type": "audio", "path": str((folder / row["path"]).absolute())}
        for kind in kinds:
            text, facts = _asked(kind, row, rng, held_out)
            content = [audio, {"type": "text", "text": text}]
            yield {"messages": [{"role": "user", "content": content}], "facts": facts}


def _asked(kind: Kind, row: Mapping[str, Any], rng: random.Random, held_out: bool) -> tuple[str, dict[str, Any]]:
    if kind == "cannot_tell":
        patterns = CANNOT_TELL[rng.choice(tuple(CANNOT_TELL))]
        return patterns.choose(rng, held_out=held_out), {"asked": [], "answerable": False}
    if kind == "yes_no":
        facts = Facts(
            tempo_bpm=round(row["tempo_bpm"]),
            key=KEYS[key_index(row["key"])],
            meter=row["meter"],
            instruments=tuple(row["instruments"]),
        )
        known = statements.known_from_facts(facts)
        turn = dialogue.instrument_turn(rng, known, negated=rng.random() < 0.5, held_out=held_out)
        return turn.question, {"asked": ["yes"], "yes": turn.answer.startswith("Yes")}
    name = _ASKED[kind]
    return QUESTIONS[kind].choose(rng, held_out=held_out), {"asked": [name], name: row[name]}
