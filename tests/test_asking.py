"""Records about tracks: fixed by the seed, of the right split, never the same question twice about a track."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from mllm import messages
from mllm.errors import ConfigError
from mllm.instruct_data import asking
from mllm.instruct_data.records import Record
from tests import random_tracks

KINDS = (
    "cannot_tell",
    "caption",
    "comparison",
    "counting",
    "multi_turn",
    "multiple_choice",
    "single_fact",
    "when",
    "yes_no",
)
TRACKS = random_tracks.tracks(60)


def only(*names: str) -> dict[str, float]:
    return dict.fromkeys(asking.kinds(), 0.0) | dict.fromkeys(names, 1.0)


def texts(record: Record, role: str) -> tuple[str, ...]:
    return tuple(
        "".join(part.text for part in message.parts if isinstance(part, messages.Text))
        for message in record.messages
        if message.role == role
    )


def test_every_kind_is_found_by_its_file() -> None:
    assert set(KINDS) <= set(asking.kinds())


def test_each_track_gets_its_records() -> None:
    records = list(asking.records_about(TRACKS, seed=0, per_track=12, weights=only(*KINDS)))
    assert Counter(record.tracks[0] for record in records if len(record.tracks) == 1).keys() == {t.id for t in TRACKS}
    assert Counter(record.id.rsplit("-", 1)[0] for record in records) == dict.fromkeys((t.id for t in TRACKS), 12)
    assert len({record.id for record in records}) == len(records)
    assert {record.task for record in records} == set(KINDS)


def test_the_same_seed_gives_the_same_records_and_another_one_others() -> None:
    first, again, other = (list(asking.records_about(TRACKS, seed=seed, per_track=5)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_other_tracks_matter_only_where_they_are_needed() -> None:
    weights = only("caption", "single_fact", "when", "counting", "cannot_tell")
    every = [r for r in asking.records_about(TRACKS, seed=0, per_track=8, weights=weights) if TRACKS[7].id in r.tracks]
    alone = list(asking.records_about([TRACKS[7]], seed=0, per_track=8, weights=weights))
    assert [record.id for record in alone] == [record.id for record in every]
    assert alone == every


def test_no_question_is_asked_twice_about_a_track() -> None:
    asked: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for record in asking.records_about(TRACKS[:10], seed=0, per_track=60):
        asked[record.id.rsplit("-", 1)[0]][texts(record, "user")] += 1
    assert all(max(counter.values()) == 1 for counter in asked.values())


def test_a_track_of_which_nothing_is_known_gets_what_cannot_be_told() -> None:
    records = list(
        asking.records_about([random_tracks.blank(n) for n in range(4)], seed=0, per_track=6, weights=only(*KINDS))
    )
    assert {record.task for record in records} == {"cannot_tell"}
    assert len(records) == 24


def test_two_recordings_stand_before_the_question() -> None:
    records = list(asking.records_about(TRACKS, seed=0, per_track=4, weights=only("comparison")))
    assert len(records) > 200
    for record in records:
        sounds = [part for part in record.messages[0].parts if isinstance(part, messages.Audio)]
        assert len(sounds) == len(record.tracks) == len(record.families) == 2
        assert len(set(record.tracks)) == 2
    assert 0.4 < sum(record.tracks[0] == record.id.rsplit("-", 1)[0] for record in records) / len(records) < 0.6


def test_recordings_of_one_family_or_of_two_sources_are_not_compared() -> None:
    other = [random_tracks.track(n, source="other") for n in range(20)]
    family_of = {track.id: track.family for track in (*TRACKS, *other)}
    for record in asking.records_about([*TRACKS, *other], seed=0, per_track=3, weights=only("comparison")):
        assert len({name.split("-")[0] for name in record.tracks}) == 1
        assert len({family_of[name] for name in record.tracks}) == 2


def test_weights_say_how_often_a_kind_is_asked() -> None:
    weights = only("caption", "counting") | {"counting": 9.0}
    counts = Counter(r.task for r in asking.records_about(TRACKS, seed=0, per_track=5, weights=weights))
    assert counts.keys() == {"caption", "counting"}
    assert counts["counting"] > 3 * counts["caption"]


def test_what_cannot_be_a_weight_is_refused() -> None:
    with pytest.raises(ConfigError, match="no kind of question named 'capton'; did you mean 'caption'"):
        list(asking.records_about(TRACKS, seed=0, per_track=1, weights={"capton": 1.0}))
    with pytest.raises(ConfigError, match="the weight of 'caption' is -1"):
        list(asking.records_about(TRACKS, seed=0, per_track=1, weights={"caption": -1.0}))
    with pytest.raises(ConfigError, match="all kinds of question are 0"):
        list(asking.records_about(TRACKS, seed=0, per_track=1, weights=only()))


def test_records_carry_where_they_are_from() -> None:
    record = next(iter(asking.records_about(TRACKS, seed=0, per_track=1, weights=only("single_fact"))))
    assert (record.source, record.licence, record.split) == ("rendered", "CC0-1.0", "train")
    assert record.families == (TRACKS[0].family,)
