"""Listeners without a rendered note: hand-made tracks as the music of a run, and the files of a tiny agreed split."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from mllm.eval.music import Music
from mllm.instruct_data.tracks import Track
from tests.labelled_tracks import labelled_tracks

TASKS = ("recommend_warm", "recommend_cold", "recommend_next", "recommend_critique")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labelled(Music):
    """Tracks with labels and no sound."""

    def short(self) -> list[Track]:
        return labelled_tracks(120)


def simulated(folder: Path, *, seed: int = 0, size: float = 0.5) -> Labelled:
    return Labelled(folder=folder, seed=seed, size=size)


def files(folder: Path) -> Labelled:
    """Six listeners of eight artists, four of rock and four of jazz, as the agreed split has its files."""
    folder.mkdir(exist_ok=True)
    rock, jazz = ("0", "1", "2", "3"), ("4", "5", "6", "7")
    train = [(user, item) for user in range(6) for item in (rock if user < 3 else jazz) if int(item) % 3 != user % 3]
    held = [(user, item) for user in range(6) for item in (rock if user < 3 else jazz) if int(item) % 3 == user % 3]
    _table(folder / "items.tsv", "item\tartistID\tname", [(i, 100 + i, f"Artist {i}") for i in range(8)])
    words = [(i, "rock" if i < 4 else "jazz", 3) for i in range(8)] + [(1, "live", 1), (6, "live", 2)]
    for name in ("item_tags.tsv", "item_tags_all.tsv", "D_index_tags.tsv"):
        _table(folder / name, "item\ttag\tn", words)
    _table(folder / "A_train.tsv", "user\titem\tplays", [(*pair, 5) for pair in train])
    _table(folder / "A_val.tsv", "user\titem\tplays", [(*pair, 2) for pair in held])
    new = [(user, item) for user, item in train + held if item in ("3", "7")]
    _table(folder / "B_train.tsv", "user\titem\tplays", [(*pair, 5) for pair in train + held if pair not in new])
    _table(folder / "B_val.tsv", "user\titem\tplays", [(*pair, 1) for pair in new])
    (folder / "C_lastfm_seq.txt").write_text("".join(f"{user} 1 2 3 {4 + user}\n" for user in range(1, 4)))
    _table(folder / "C_items.tsv", "item\tartistID\tname", [(i, i, f"Band {i}") for i in range(1, 9)])
    (folder / "C_lastfm_item2attributes.json").write_text(json.dumps({str(i): [1, 1, i] for i in range(1, 9)}))
    said = {"user": 0, "target": 0, "first_rec": 6, "like": ["rock"], "avoid": ["jazz"], "text": "Rock, not jazz."}
    (folder / "D_val.jsonl").write_text(json.dumps(said) + "\n")
    return Labelled(folder=folder, places={"rec": folder})


def _table(path: Path, header: str, rows: Sequence[tuple[object, ...]]) -> None:
    path.write_text("\n".join([header, *("\t".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
