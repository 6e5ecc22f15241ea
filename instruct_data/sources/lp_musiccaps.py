"""LP-MusicCaps (MC, MTT, MSD): captions that GPT-3.5 wrote from the tags of MusicCaps, MagnaTagATune and Million Song.

In: the three data sets as they are on the hub, as many as are there: `LP-MusicCaps-MC/data/train-*.parquet` and so on,
the recordings in `audio/` beside `data/`. Out: up to three records a row: writing, summary and paraphrase. The fourth,
`caption_attribute_prediction`, is left out: its authors advise against it, as it names what was guessed from other
tags; the caption by a musician in MC is that of `musiccaps`. Names of files and columns are those of the published
cards and notebook; that `track_id` of MTT is MagnaTagATune's clip_id was not verified.

Recordings: MC as in `musiccaps`, also "[<id>]-[<start>-<end>]" as `fname` says; MTT and MSD by `path`, with any ending.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mllm.errors import MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _clips, _tables, _written
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="LP-MusicCaps",
    licence="MIT (captions); recordings: not stated",
    citation="Doh, Choi, Lee, Nam: LP-MusicCaps: LLM-Based Pseudo Music Captioning, ISMIR 2023",
    where="get the folders LP-MusicCaps-MC, -MTT and -MSD (any of them) from https://huggingface.co/seungheondoh, and "
    "the recordings from MusicCaps, MagnaTagATune and the Million Song Dataset",
    needs={
        "LP-MusicCaps-*/data/*.parquet": "captions",
        "LP-MusicCaps-*/audio/": "the recordings",
    },
)
KINDS = ("writing", "summary", "paraphrase")
COLUMNS = {
    "MC": ("fname", "ytid", "is_audioset_eval"),
    "MTT": ("track_id", "path"),
    "MSD": ("track_id", "path"),
}
_SPLITS = {"train": "train", "valid": "validation", "test": "test"}
_FAMILIES = {"MTT": "magnatagatune", "MSD": "msd"}


def records(folder: Path, *, seed: int = 0) -> Iterator[Record | MllmError]:
    """A record a caption."""
    found(folder, "LP-MusicCaps-*/data/*.parquet", ABOUT)
    found(folder, "LP-MusicCaps-*/audio/", ABOUT)
    for part in COLUMNS:
        for table in sorted(folder.glob(f"LP-MusicCaps-{part}/data/*.parquet")):
            yield from _of_table(folder, part, table, seed)


def _of_table(folder: Path, part: str, table: Path, seed: int) -> Iterator[Record | MllmError]:
    place = f"LP-MusicCaps-{part}/audio"
    recordings = _clips.known(folder, place, ABOUT) if (folder / place).is_dir() else {}
    split = _SPLITS.get(table.name.partition("-")[0], "train")

    def captions(row: _tables.Row) -> Iterator[Record]:
        track = _track(row, part, split, recordings)
        for kind in KINDS:
            name = f"{part.lower()}/{track.family.partition('/')[2]}/{kind}"
            yield _written.caption(track, row.text(f"caption_{kind}"), name, seed=seed)

    columns = (*COLUMNS[part], *(f"caption_{kind}" for kind in KINDS))
    return _tables.each(_tables.parquet_rows(table, columns, ABOUT), captions)


def _track(row: _tables.Row, part: str, split: str, recordings: dict[str, str]) -> Track:
    place = f"LP-MusicCaps-{part}/audio/"
    if part == "MC":
        ytid = _clips.youtube_id(row.text("ytid"))
        path = _clips.path_of(recordings, [*_clips.youtube_names(ytid), row.text("fname")], place)
        identity, split = _clips.family_of(ytid), "test" if row.flag("is_audioset_eval") else "train"
    else:
        name = str(PurePosixPath(row.text("path")).with_suffix(""))
        path = _clips.path_of(recordings, [name], place)
        identity = f"{_FAMILIES[part]}/{row.text('track_id')}"
    return Track(id=identity, path=path, source="lp_musiccaps", licence=ABOUT.licence, split=split, family=identity)
