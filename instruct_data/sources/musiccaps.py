"""MusicCaps: 5,521 ten-second clips of YouTube, each with a caption and a list of aspects by a musician.

In: `musiccaps-public.csv` as published, and the clips, cut out already, in `audio/`, named by the YouTube id (also
"<id>_<start>" and "[<id>]-[<start>-<end>]", as usual scripts for downloading do). Out: a record a caption; tracks with
caption and aspects. AudioSet's evaluation half is the test split. The format was read from the published file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mllm.errors import MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _clips, _tables, _written
from mllm.instruct_data.sources._files import About, found
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="MusicCaps",
    licence="CC-BY-SA-4.0 (captions); recordings: not stated",
    citation="Agostinelli, Denk, Borsos, Engel, Verzetti, Caillon, Huang, Jansen, Roberts, Tagliasacchi, Sharifi, "
    "Zeghidour, Frank: MusicLM: Generating Music From Text, arXiv:2301.11325, 2023",
    where="get the table from https://www.kaggle.com/datasets/googleai/musiccaps, and the clips, which are not part of "
    "it, from YouTube, as far as you may",
    needs={"musiccaps-public.csv": "captions and aspects", "audio/": "the clips, <YouTube id>.wav"},
)
TABLE = "musiccaps-public.csv"
COLUMNS = ("ytid", "start_s", "end_s", "aspect_list", "caption", "is_audioset_eval")


def records(folder: Path, *, seed: int = 0) -> Iterator[Record | MllmError]:
    """A record a caption."""
    for track in tracks(folder):
        if isinstance(track, Track):
            (written,) = track.captions or ()
            yield _written.caption(track, written, track.id.removeprefix("youtube/"), seed=seed)
        else:
            yield track


def tracks(folder: Path) -> Iterator[Track | MllmError]:
    """A track a clip, with caption and aspects."""
    table = found(folder, TABLE, ABOUT)
    recordings = _clips.known(folder, "audio", ABOUT)

    def track(row: _tables.Row) -> Iterator[Track]:
        ytid = _clips.youtube_id(row.text("ytid"))
        names = _clips.youtube_names(ytid, row.number_at("start_s"), row.number_at("end_s"))
        yield Track(
            id=_clips.family_of(ytid),
            path=_clips.path_of(recordings, names, "audio/"),
            source="musiccaps",
            licence=ABOUT.licence,
            split="test" if row.flag("is_audioset_eval") else "train",
            family=_clips.family_of(ytid),
            tags=row.texts("aspect_list") or None,
            captions=(row.text("caption"),),
        )

    return _tables.each(_tables.csv_rows(table, COLUMNS, ABOUT), track)
