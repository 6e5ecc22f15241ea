"""Answers as models give them, ours and others', are read for one fact each; what contradicts itself says nothing."""

from __future__ import annotations

import random
import time
import types
from pathlib import Path

import pytest

from mllm.eval.reading import (
    beats,
    chords,
    instruments,
    key,
    meter,
    number,
    refusal,
    tempo,
    times,
    words,
)
from mllm.facts import INSTRUMENTS, KEYS, METERS
from mllm.instruct_data import in_words
from mllm.instruct_data.augment import single_fact
from tests import random_tracks

READERS = (beats, chords, instruments, key, meter, number, refusal, tempo, times)


@pytest.mark.parametrize(
    ("answer", "bpm"),
    [
        ("The tempo is about 120 BPM.", 120),
        ("about one hundred twenty beats per minute", 120),
        ("It's one-twenty bpm", 120),
        ("ninety-six point five BPM", 96.5),
        ("120", 120),
        ("Tempo: 72", 72),
        ("♩ = 72", 72),
        ("BPM ≈ 125", 125),
        ("**128** BPM", 128),
        ('{"tempo_bpm": 120}', 120),
        ('```json\n{"tempo": "120 BPM"}\n```', 120),
        ('{"tempo_bpm": null}', None),
        ('{"tempo_bpm": 120, "tempo_bpm": 90}', None),
        ("not 90 but 120", 120),
        ("It is not 90 BPM but 120 BPM.", 120),
        ("120 or 90 bpm", None),
        ("90 bpm or 120", None),
        ("The tempo is 120 BPM (or 60 BPM at half time).", None),
        ("118-122 BPM", 120),
        ("between 110 and 130 bpm", None),
        ("faster than 100 BPM", None),
        ("4/4 at 96 bpm, 30 seconds long", 96),
        ("a 90s track with a TR-808, 140 BPM and 16 bars", 140),
        ("1:20", None),
        ("allegro", None),
        ("I cannot tell the tempo.", None),
        ("The tempo is 2 beats per second", None),
        ("", None),
    ],
)
def test_tempo(answer: str, bpm: float | None) -> None:
    assert tempo.read(answer) == bpm


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("The key is F# minor.", "F# minor"),
        ("F-sharp minor", "F# minor"),
        ("in the key of B-flat major", "Bb major"),
        ("c♯ minor", "C# minor"),
        ("Key: Gb major", "F# major"),
        ("Ebm", "Eb minor"),
        ("C:min", "C minor"),
        ("C# harmonic minor", "C# minor"),
        ("It is in D dorian.", "D dorian"),
        ("G Mixolydian mode", "G mixolydian"),
        ('{"key": "C", "mode": "major"}', "C major"),
        ('{"key": "F# minor"}', "F# minor"),
        ("not C major but A minor", "A minor"),
        ("The key is C major. Chords: C, Am, F, G.", "C major"),
        ("It sounds like it's in D minor. The chords are Dm, Bb major and F major", "D minor"),
        ("F major (relative of D minor)", "F major"),
        ("in a minor.", "A minor"),
        ("The key of A minor", "A minor"),
        ("It is in a minor key.", None),
        ("A minor key, melancholic", None),
        ("C major or A minor", None),
        ("the key is C major or maybe A minor", None),
        ("E minor or its relative G major", None),
        ("starts in C major and ends in A minor", None),
        ("Fis minor", None),
        ("C", None),
        ("F Lydian", None),
        ("", None),
    ],
)
def test_key(answer: str, said: str | None) -> None:
    assert key.read(answer) == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("The time signature is 6/8.", "6/8"),
        ("3/4 (waltz)", "3/4"),
        ("four-four time", "4/4"),
        ("in common time", "4/4"),
        ("4/4 (common time)", "4/4"),
        ("three-quarter time", "3/4"),
        ("six-eight", "6/8"),
        ("twelve eight meter", "12/8"),
        ("waltz time", "3/4"),
        ('{"time_signature": "5/4"}', "5/4"),
        ("1/4 notes in 4/4", "4/4"),
        ("not 3/4 but 4/4", "4/4"),
        ("4/4 or 3/4", None),
        ("triple meter", None),
        ("24/7", None),
        ("", None),
    ],
)
def test_meter(answer: str, said: str | None) -> None:
    assert meter.read(answer) == said


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ("I hear a piano and drums.", {"piano", "drums"}),
        ("I hear a piano and drums, but no organ or harp.", {"piano", "drums"}),
        ("No, I hear no piano, bass or drums, but an organ.", {"organ"}),
        ("I checked: piano yes, drums no, bass yes.", {"piano", "bass"}),
        ("There is a violin, a trumpet and a drum machine.", {"strings", "brass", "drums"}),
        (
            "acoustic and electric guitars, a bass line and percussion",
            {"acoustic guitar", "electric guitar", "bass", "drums"},
        ),
        ('{"instruments": ["piano", "electric guitar"]}', {"piano", "electric guitar"}),
        ('["flute", "harp"]', {"flute", "harp"}),
        ("Neither piano nor drums play here; only strings.", {"strings"}),
        ("It is not only a piano but also a cello.", {"piano", "strings"}),
        ("The drums are absent.", set()),
        ("piano, strings and drums are missing", set()),
        ("There isn't any saxophone.", set()),
        ("I can't hear a flute, just a clarinet.", {"woodwind"}),
        ("It does not have any drums but has a harp.", {"harp"}),
        ("The harp plays. Later there is no harp.", set()),
        ("a bass drum, a bass clarinet and an English horn", {"drums", "woodwind"}),
        ("nylon-string guitar and double bass", {"acoustic guitar", "bass"}),
        ("a guitar and a keyboard", set()),
        ("a banjo and steel drums", set()),
        ("no drums", set()),
        ("", set()),
    ],
)
def test_instruments(answer: str, named: set[str]) -> None:
    assert instruments.read(answer) == named


def test_a_guitar_is_the_one_that_plays() -> None:
    said = instruments.named("A guitar and a keyboard.")
    assert said == {"guitar", "keyboard"}
    assert instruments.resolved(said, ["electric guitar"]) == {"electric guitar", "keyboard"}
    assert instruments.named("an electric guitar, a guitar solo") == {"electric guitar"}


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ("The flute enters at 0:42.3.", [42.3]),
        ("42 s", [42]),
        ("after 42 seconds (0:42)", [42]),
        ("1 min 5 s", [65]),
        ("two minutes and 3 seconds", [123]),
        ("around the 42-second mark", [42]),
        ("from 0:10 to 1:02", [10, 62]),
        ("3, 5 and 7.5 seconds", [3, 5, 7.5]),
        ("12.4", [12.4]),
        ('{"time": 12.5}', [12.5]),
        ("120 BPM in 4/4, after 8 bars", []),
        ("", []),
    ],
)
def test_times(answer: str, seconds: list[float]) -> None:
    assert times.read(answer) == seconds
    assert times.one(answer) == (seconds[0] if len(seconds) == 1 else None)


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        ("There are three instruments.", 3),
        ("4", 4),
        ("It comes twice.", 2),
        ("There are no sections.", 0),
        ("The key does not change.", 0),
        ("the second one has 5", 5),
        ("No, there are three", 3),
        ("three or four", None),
        ("one of the instruments", None),
        ("I cannot tell", None),
        ("", None),
    ],
)
def test_number(answer: str, count: int | None) -> None:
    assert number.read(answer) == count


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ("I cannot tell the composer.", True),
        ("I'm sorry, but I can't determine the lyrics.", True),
        ("This is impossible to determine from the audio.", True),
        ("I don't know who plays", True),
        ("Unknown", True),
        ('{"key": null}', True),
        ("I cannot tell, but maybe Bach", False),
        ("The key is C major.", False),
        ("", False),
    ],
)
def test_refusal(answer: str, refused: bool) -> None:
    assert refusal.read(answer) is refused


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ("At 0:12 the chord is C minor seventh.", ("C:min7",)),
        ("Dm7 - G7 - Cmaj7", ("D:min7", "G:7", "C:maj7")),
        ("C:min7, F:maj", ("C:min7", "F:maj")),
        ("C, F and G", ("C:maj", "F:maj", "G:maj")),
        ("| C | G | Am | F |", ("C:maj", "G:maj", "A:min", "F:maj")),
        ("Am → F → C", ("A:min", "F:maj", "C:maj")),
        ("F#m7b5, Bsus4, C°", ("F#:hdim7", "B:sus4", "C:dim")),
        ("B flat major seventh", ("Bb:maj7",)),
        ("C/E", ("C:maj",)),
        ("A G chord", ("G:maj",)),
        ("A C major chord", ("C:maj",)),
        ('{"chords": ["Am", "F"]}', ("A:min", "F:maj")),
        ("no chord", ("N",)),
        ("I-V-vi-IV", ()),
        ("Dim the lights. I am sure.", ()),
        ("", ()),
    ],
)
def test_chords(answer: str, names: tuple[str, ...]) -> None:
    assert chords.read(answer) == names
    assert chords.one(answer) == (names[0] if len(set(names)) == 1 else None)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ("The beats are at 5.02, 5.51 and 6.00 seconds.", [5.02, 5.51, 6.0]),
        ('{"beats": [0.5, 1.0, 1.5]}', [0.5, 1.0, 1.5]),
        ("[1.0, 0.5]", [0.5, 1.0]),
        ("0:05.2, 0:05.7", [5.2, 5.7]),
        ("beat 1: 0.5 s, beat 2: 1.0 s", [0.5, 1.0]),
        ("1. 0.52\n2. 1.04", [0.52, 1.04]),
        ("There are 8 beats at 120 BPM: 0.5, 1", [0.5, 1.0]),
        ("I cannot tell.", []),
    ],
)
def test_beats(answer: str, seconds: list[float]) -> None:
    assert beats.read(answer) == seconds


def test_words_of_a_vocabulary() -> None:
    styles = {"jazz swing": ("swing", "jazz"), "rock": (), "hip hop": (), "bossa": ("bossa nova",)}
    assert words.in_order("rock, then Hip-Hop", styles) == ("rock", "hip hop")
    assert words.one("It is jazz swing.", styles) == "jazz swing"
    assert words.one("HipHop, not rock", styles) == "hip hop"
    assert words.one("rock or jazz", styles) is None
    assert words.one("rocky", styles) is None
    assert words.one("", styles) is None
    assert words.read("calm and dark", ["calm", "dark", "happy"]) == {"calm", "dark"}


@pytest.mark.parametrize("number_of_track", range(12))
def test_our_own_answers_are_read(number_of_track: int) -> None:
    track = random_tracks.track(number_of_track, split="test")
    said_tempo = tempo.read(single_fact.tempo(track) or "")
    assert track.tempo_bpm is not None
    assert said_tempo == round(track.tempo_bpm)
    assert key.read(single_fact.key(track) or "") == track.key
    assert meter.read(single_fact.meter(track) or "") == track.meter
    assert instruments.read(single_fact.instruments(track) or "") == set(track.playing or ())
    for _, _, name in (track.chords or ())[:8]:
        assert chords.one(f"At 0:12.3 the chord is {in_words.chord(name)}.") == name
    rng = random.Random(number_of_track)
    assert times.one(f"The flute enters {in_words.at(rng, 42.3)}.") in (42.0, 42.3)


def test_every_name_of_the_vocabularies_is_read() -> None:
    for name in KEYS:
        assert key.read(name) == name
        assert key.read(f"The key is {name.replace('#', ' sharp').replace('b ', ' flat ')}.") == name
    for name in INSTRUMENTS:
        assert instruments.read(f"I hear {in_words.with_article(name)}.") == {name}
        assert instruments.read(f"I hear no {name}.") == set()
        for said in in_words.SAID.get(name, ()):
            assert instruments.read(said) == {name}
    for name in METERS:
        assert meter.read(name) == name


def test_every_chord_that_is_said_is_read() -> None:
    qualities = ("maj", "min", "7", "maj7", "min7", "dim", "dim7", "hdim7", "aug", "sus4", "sus2", "maj6", "min6", "9")
    for quality in (*qualities, "maj9", "min9", "minmaj7", "5", "1"):
        assert chords.one(in_words.chord(f"G:{quality}")) == f"G:{quality}"
        assert chords.one(in_words.chord(f"Bb:{quality}")) == f"Bb:{quality}"


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__.rpartition(".")[2])
def test_nothing_is_run_and_nothing_takes_long(reader: types.ModuleType, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    expression = f"__import__('pathlib').Path({str(trap)!r}).write_text('run')"
    silent = reader.read("")
    assert reader.read(expression) == silent
    assert not trap.exists()
    began = time.process_time()
    assert reader.read("120 BPM, C major, 4/4, piano. " * 400_000) == silent
    for unit in (
        "not ",
        "120 ",
        "C major or ",
        "no piano, ",
        "[",
        "{",
        "1:",
        "a ",
        "1/",
        "(",
        "key is ",
        "tempo: ",
        "\n1. ",
    ):
        reader.read(unit * (19_000 // len(unit)))
    assert time.process_time() - began < 5
