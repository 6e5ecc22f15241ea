"""MagnaTagATune: 25,863 clips of 29 s with 188 tags that players of a game agreed on.

In: a folder with annotations_final.csv, clip_info_final.csv and, below `audio/` (or `mp3/`), the clips in the folders
"0" to "f" that mp3_path names. Out: tracks with their tags, and records about these. A tag that is 0 is one that nobody
gave, which denies nothing; "no piano" and "no vocals" do.

Both tables are separated by tabs with every cell in quotes: clip_id, a column for each tag, mp3_path; and clip_id,
track_number, title, artist, album, url, segmentStart, segmentEnd, original_url, mp3_path. Columns and tags are as
public readers of the files name them; the files themselves could not be looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from mllm.errors import MessageError, MllmError
from mllm.instruct_data.records import Record
from mllm.instruct_data.sources import _labelled, _vocabulary
from mllm.instruct_data.sources._files import About, found, recordings
from mllm.instruct_data.tracks import Track

ABOUT = About(
    title="MagnaTagATune",
    licence="CC-BY-NC-SA-3.0",
    citation="Law, West, Mandel, Bay, Downie: Evaluation of Algorithms Using Games: The Case of Music Tagging, ISMIR "
    "2009",
    where="take annotations_final.csv, clip_info_final.csv and the unpacked mp3.zip (as audio/) from "
    "https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset",
    needs={
        "annotations_final.csv": "tags",
        "clip_info_final.csv": "titles and artists",
        "audio/": "clips in the folders 0 to f",
    },
)

_GENRES = frozenset(
    (
        "ambient",
        "baroque",
        "blues",
        "celtic",
        "classical",
        "country",
        "dance",
        "disco",
        "electronic",
        "electronica",
        "folk",
        "funk",
        "hard rock",
        "heavy metal",
        "hip hop",
        "house",
        "industrial",
        "jazz",
        "jungle",
        "medieval",
        "metal",
        "new age",
        "opera",
        "pop",
        "punk",
        "rap",
        "reggae",
        "rock",
        "soft rock",
        "techno",
        "trance",
        "world",
    )
)
_SPELT = {"clasical": "classical", "classic": "classical", "jazzy": "jazz", "funky": "funk", "heavy": "heavy sound"}
_VALIDATION, _TEST = "c", "def"
"""Folders that are not trained on, as most papers divide the clips: 0 to b, c, and d to f."""


def tracks(folder: Path) -> Iterator[Track | MllmError]:
    """Every clip that has a tag."""
    table, info = (found(folder, name, ABOUT) for name in ("annotations_final.csv", "clip_info_final.csv"))
    titles: dict[str, str] = {}
    for row in _labelled.by_column(info, "\t", ("clip_id", "title")):
        if isinstance(row, MllmError):
            yield row
        else:
            titles[row[1]["clip_id"]] = row[1]["title"]
    heard = recordings(folder, "audio") or recordings(folder, "mp3")
    for row in _labelled.by_column(table, "\t", ("clip_id", "mp3_path")):
        if isinstance(row, MllmError):
            yield row
            continue
        place, fields = row
        clip, mp3 = fields["clip_id"], fields["mp3_path"]
        path = heard.get(str(PurePosixPath(mp3).with_suffix("")))
        if not clip or not mp3:
            yield MessageError(f"{place}: clip_id or mp3_path is empty; fetch the file again")
            continue
        tags = [name for name, value in fields.items() if value == "1" and name not in ("clip_id", "mp3_path")]
        if tags and path is None:
            yield _labelled.unheard(ABOUT, place, mp3)
        elif tags and path is not None:
            yield _track(clip, path, mp3, titles, tags)


def records(folder: Path, *, seed: int = 0, per_track: int = _labelled.PER_TRACK) -> Iterator[Record | MllmError]:
    """Conversations about the clips."""
    return _labelled.records_of(tracks(folder), seed=seed, per_track=per_track)


def _track(clip: str, path: str, mp3: str, titles: Mapping[str, str], tags: list[str]) -> Track:
    part = mp3[:1].lower()
    return Track(
        id=f"magnatagatune/{clip}",
        path=path,
        source="magnatagatune",
        licence=ABOUT.licence,
        split="test" if part in _TEST else "validation" if part == _VALIDATION else "train",
        # Clips of one track are akin, and the folders keep them together. LP-MusicCaps knows clips only: one name for
        # both sources lets a clip be found on both sides of a split.
        family=f"magnatagatune/{clip}",
        title=titles.get(clip) or None,
        **_vocabulary.sorted_tags([_SPELT.get(tag, tag) for tag in tags], genres=_GENRES).fields(),
    )
