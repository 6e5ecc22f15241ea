"""The rendered music of evaluations: made once, whole or not at all, the same each time."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from mllm.eval import suite
from mllm.eval.music import Music


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("music")


def test_pieces_have_their_facts_and_are_made_once(folder: Path) -> None:
    told: list[str] = []
    music = Music(folder=folder, size=0.02, tell=told.append)
    tracks = music.short()
    assert len(tracks) == 3
    for track in tracks:
        assert Path(track.path).is_absolute()
        assert soundfile.info(track.path).duration == pytest.approx(track.seconds, abs=0.01)
        assert track.split == "test"
        assert None not in (track.tempo_bpm, track.key, track.meter, track.activity, track.chords, track.beats)
    assert told[-1] == "rendering music: 3 of 3 pieces"
    times = [Path(track.path).stat().st_mtime_ns for track in tracks]
    assert music.short() == tracks
    assert [Path(track.path).stat().st_mtime_ns for track in tracks] == times


def test_what_is_missing_is_made_again_the_same(folder: Path) -> None:
    before = Music(folder=folder, size=0.02).short()
    content = Path(before[1].path).read_bytes()
    place = suite.place(folder).absolute() / "short"
    (place / "known" / "1.json").unlink()
    Path(before[1].path).unlink()
    after = Music(folder=folder, size=0.02).short()
    assert after == before
    assert Path(before[1].path).read_bytes() == content
    assert Music(folder=folder, size=0.01).short() == before[:2]


def test_the_hash_says_which_pieces_they_are(folder: Path) -> None:
    tracks = Music(folder=folder, size=0.02).short()
    assert suite.digest(tracks) == suite.digest(list(tracks))
    assert suite.digest(tracks) != suite.digest(tracks[:2])
