"""Tests of `augment.not_heard`: absence is said, presence answered with its true time, and nothing told by the form."""

from __future__ import annotations

import collections
import dataclasses
import random
import re

import pytest

from mllm.facts import INSTRUMENTS
from mllm.instruct_data.augment import _not_heard_wordings, not_heard
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.tracks import Span, Track
from tests.labelled_tracks import check_wordings, labelled_tracks

TRACKS = labelled_tracks(150)
CANNOT_TELL = re.compile(r"I cannot tell [\w ]+\.$")
ABSENT = re.compile(r"(There (is|are) no|I hear no|No) [\w ]+( here| in this recording)\.")


def drawn(track: Track, seed: int, *, held_out: bool = False, others: list[Track] = TRACKS) -> list[Exchange]:
    return list(not_heard.exchanges((track,), Draw(rng=random.Random(seed), held_out=held_out, others=others)))


EXCHANGES = [
    (track, one)
    for held_out in (False, True)
    for seed, track in enumerate(TRACKS)
    for one in drawn(track, seed, held_out=held_out)
]


def of(kind: str) -> list[tuple[Track, str, Exchange]]:
    found = [(track, one.turns[0][1], one) for track, one in EXCHANGES if one.template.startswith(f"not_heard/{kind}")]
    assert len(found) > 20
    assert len({one.label for _, _, one in found}) == (1 if kind == "sound" else 2)
    return found


def spans(track: Track, name: str) -> list[Span]:
    """When a name's instruments sound; two guitars are heard as one, with gaps of up to a second bridged."""
    assert track.activity is not None
    members = ("acoustic guitar", "electric guitar") if name == "guitar" else (name,)
    tenths = [
        any(begin <= tick / 10 < end for member in members for begin, end in track.activity.get(member, ()))
        for tick in range(700)
    ]
    edges = [tick / 10 for tick in range(1, 700) if tenths[tick] != tenths[tick - 1]]
    edges = [0.0, *edges] if tenths[0] else edges
    return list(zip(edges[::2], edges[1::2], strict=True))


def number(answer: str) -> float:
    found = re.findall(r"[\d.]+(?= seconds)", answer)
    assert len(found) == 1, answer
    return float(found[0])


def test_times_of_instruments_are_true_and_absent_ones_are_said_to_be() -> None:
    for kind in ("enters", "stops", "entries", "lasting"):
        for track, answer, one in of(f"{kind}/"):
            heard = spans(track, one.template.rpartition("/")[2])
            assert (one.label == "heard") == bool(heard)
            if not heard:
                assert ABSENT.fullmatch(answer), answer
            elif kind == "enters":
                assert number(answer) == heard[0][0]
            elif kind == "stops":
                assert number(answer) == heard[-1][1]
            elif kind == "entries":
                assert re.search(r"enters? (\w+)", answer)[1] == {1: "once", 2: "twice"}[len(heard)]  # type: ignore[index]
            else:
                assert number(answer) == pytest.approx(sum(end - begin for begin, end in heard), abs=0.05)


def test_what_nobody_can_tell_of_what_is_there() -> None:
    for kind in ("unknowable", "lead"):
        for track, answer, one in of(f"{kind}/"):
            plays = bool(spans(track, one.template.rpartition("/")[2]))
            assert plays == (one.label == "heard") == bool(re.fullmatch(CANNOT_TELL, answer))
            if not plays:
                assert ABSENT.match(answer), answer
            assert kind == "unknowable" or CANNOT_TELL.search(answer)


def test_sections_are_where_they_are_said_to_be() -> None:
    for kind in ("section_begin", "section_length"):
        for track, answer, one in of(kind):
            name = one.template.rpartition("/")[2]
            assert track.sections is not None
            found = [(begin, end) for begin, end, named in track.sections if named == name]
            assert bool(found) == (one.label == "heard")
            if not found:
                assert answer == f"There is no {name} in this recording."
            else:
                assert number(answer) == (found[0][0] if kind == "section_begin" else found[0][1] - found[0][0])
            assert all(len(named) > 1 for _, _, named in track.sections)


def test_changes_of_key_and_tempo_are_true() -> None:
    for track, answer, one in of("key_change"):
        assert track.keys is not None
        changes = {key for _, key in track.keys[1:]} - {track.keys[0][1]}
        assert (one.label == "heard") == bool(changes)
        assert answer.endswith(f"at 30 seconds, to {track.keys[1][1]}." if changes else f"stays {track.keys[0][1]}.")
    for track, answer, one in of("tempo_change"):
        assert track.tempo_curve is not None
        changes_tempo = len(track.tempo_curve) > 1
        assert (one.label == "heard") == changes_tempo
        assert f"{round(track.tempo_curve[0][1])} BPM" in answer
        assert ("20 seconds" in answer) == changes_tempo


def test_other_sounds_are_only_denied_where_notes_were_rendered() -> None:
    for _, answer, one in of("sound"):
        assert ABSENT.fullmatch(answer), answer
        assert not any(name in answer for name in INSTRUMENTS)
        assert one.label is None
    recorded = dataclasses.replace(TRACKS[0], source="openmic")
    assert all(not one.template.startswith("not_heard/sound") for seed in range(30) for one in drawn(recorded, seed))


def test_the_form_of_a_question_tells_nothing() -> None:
    """Per kind, and per instrument, what is asked about is as often there as not."""
    labels: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for track_set in range(6):
        tracks = labelled_tracks(120, seed=track_set)
        for seed, track in enumerate(tracks):
            for one in drawn(track, seed, others=tracks):
                if one.label is not None:
                    labels[one.template.split("/")[1]][one.label] += 1
                    labels[one.template.rpartition("/")[2]][one.label] += 1
    for name, counted in labels.items():
        if counted.total() > 100:
            assert 0.35 < counted["heard"] / counted.total() < 0.65, name
    assert sum(counted.total() > 100 for counted in labels.values()) > 15


def test_what_is_not_known_is_not_asked() -> None:
    bare = dataclasses.replace(
        TRACKS[0],
        activity=None,
        instruments=None,
        absent=None,
        sections=None,
        keys=None,
        tempo_curve=None,
        source="mtg_jamendo",
    )
    assert [one for seed in range(20) for one in drawn(bare, seed)] == []
    untimed = dataclasses.replace(TRACKS[0], activity=None)
    kinds = {one.template.split("/")[1] for seed in range(30) for one in drawn(untimed, seed)}
    assert {"unknowable", "lead"} <= kinds
    assert not kinds & {"enters", "stops", "entries", "lasting"}
    wavering = dataclasses.replace(TRACKS[0], tempo_curve=((0.0, 100.0), (10.0, 104.0)))
    assert not any(one.template == "not_heard/tempo_change" for seed in range(40) for one in drawn(wavering, seed))


@pytest.mark.parametrize(
    "phrasings",
    [*_not_heard_wordings.WORDINGS.values(), _not_heard_wordings.LEADS, *_not_heard_wordings.UNKNOWABLE.values()],
)
def test_wordings_are_many_and_kept_apart(phrasings: Phrasings) -> None:
    check_wordings(phrasings)
