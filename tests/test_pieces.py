"""Pieces: labels that the sound bears out, fonts that stay held out, the same bytes whoever makes them."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
import soundfile
from numpy.typing import NDArray

from mllm import facts
from mllm.errors import ConfigError
from mllm.instruct_data import coding, tracks
from mllm.instruct_data.composition import TempoFrom
from mllm.instruct_data.fonts import Font
from mllm.instruct_data.piece_facts import MINOR_MODES, chord_name, key_name, longest_mode
from mllm.instruct_data.pieces import Piece, PieceMaker, PieceSettings, write_piece
from mllm.instruct_data.playing import play
from mllm.instruct_data.synth import SAMPLE_RATE_HZ, FontSynthesizer, Room
from tests import tiny_compositions
from tests.tiny_compositions import drum_line, line

ROOT = Path(__file__).resolve().parents[1]
FONT = Font(path=Path(pretty_midi.__file__).parent / "TimGM6mb.sf2")
GONE = Font(path=Path("gone.sf2"))
STYLES = {"rock": 1.0}


def settings(**changes: object) -> PieceSettings:
    values: dict[str, object] = {
        "seed": 3,
        "split": "train",
        "fonts": (FONT,),
        "seconds": (10.0, 14.0),
        "styles": STYLES,
    }
    return PieceSettings(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def dry() -> PieceMaker:
    return PieceMaker(settings(effects=False))


@pytest.fixture(scope="module")
def made(dry: PieceMaker) -> Piece:
    return dry.record(tiny_compositions.composition(), 7)


def loudness_db(samples: NDArray[np.float32], start: float, stop: float) -> float:
    stretch = samples[round(start * SAMPLE_RATE_HZ) : round(stop * SAMPLE_RATE_HZ)].astype(np.float64)
    return float(10 * np.log10(np.mean(stretch**2) + 1e-12))


def test_every_exact_field_says_what_was_composed(made: Piece) -> None:
    track = made.track
    lead = track.beats[0] if track.beats else -1.0
    assert 0 < lead < 0.5
    assert (track.id, track.path) == ("train-3-000007", "audio/000/train-3-000007.flac")
    assert track.family == "generated train-3-000007"
    assert (track.title, track.licence, track.source, track.split) == ("Made", "CC0-1.0", "rendered", "train")
    assert (track.meter, track.tempo_bpm, track.tempo_curve) == ("4/4", 120.0, ((0.0, 120.0),))
    np.testing.assert_allclose(np.array(track.beats), lead + np.arange(32) * 0.5, atol=1e-3)
    np.testing.assert_allclose(np.array(track.downbeats), lead + np.arange(8) * 2.0, atol=1e-3)
    assert (track.key, [name for _, name in track.keys or ()]) == ("D dorian", ["D dorian", "C major"])
    assert [time for time, _ in track.keys or ()] == pytest.approx([0.0, lead + 12.0], abs=1e-3)
    assert [name for _, _, name in track.chords or ()] == ["D:min7", "C:maj"]  # two equal chords in a row are one
    assert [name for _, _, name in track.sections or ()] == ["A", "B"]
    assert track.instruments == ("piano", "bass", "flute", "drums")
    assert set(track.absent or ()) == set(facts.INSTRUMENTS) - {"piano", "bass", "flute", "drums"}
    assert track.registers == {"piano": (60, 64), "bass": (36, 37), "flute": (74, 76)}
    assert track.density == pytest.approx(64 / len(made.samples) * SAMPLE_RATE_HZ, rel=1e-3)
    assert (track.drum_pattern, track.style, track.vocals) == ("backbeat", "test piece", False)
    assert track.seconds == len(made.samples) / SAMPLE_RATE_HZ
    unknown = {"moods", "tags", "captions", "start", "end"}
    assert {field.name for field in dataclasses.fields(track) if getattr(track, field.name) is None} == unknown
    assert tracks.from_json(json.loads(tracks.line(track))) == track


def test_a_piece_without_drums_or_with_a_choir_says_so(dry: PieceMaker) -> None:
    lines = (line([(float(beat), 1.0, 62.0 + beat % 3, 90.0) for beat in range(32)], instrument="choir", program=52),)
    track = dry.record(tiny_compositions.composition(lines=lines, drum_pattern=None), 0).track
    assert (track.drum_pattern, track.vocals, track.instruments) == ("none", True, ("choir",))


def test_names_are_spelt_as_keys_are() -> None:
    assert [key_name(8, mode) for mode in tracks.MODES] == ["Ab major", "G# minor", "G# dorian", "Ab mixolydian"]
    assert [chord_name(10, "maj7"), chord_name(8, "min7"), chord_name(1, "hdim7")] == ["Bb:maj7", "G#:min7", "C#:hdim7"]


@pytest.mark.parametrize("seed", range(4))
def test_drums_sound_where_the_label_has_beats(dry: PieceMaker, seed: int) -> None:
    """Through a change of tempo, dry: the energy rises within 10 ms of every beat."""
    tempos = (
        TempoFrom(onset=0.0, bpm=100.0),
        TempoFrom(onset=8.0, bpm=100.0),
        TempoFrom(onset=24.0, bpm=130.0, gradual=True),
    )
    piece = dry.record(tiny_compositions.composition(lines=(drum_line(),), tempos=tempos), seed)
    envelope = np.abs(piece.samples)
    away = []
    for beat in piece.track.beats or ():
        around = round((beat - 0.03) * SAMPLE_RATE_HZ)
        stretch = envelope[around : around + round(0.09 * SAMPLE_RATE_HZ)]
        floor = stretch[: round(0.015 * SAMPLE_RATE_HZ)].max()
        rise = int(np.argmax(stretch > floor + 0.15 * (stretch.max() - floor)))
        away.append(rise / SAMPLE_RATE_HZ - 0.03)
    assert len(away) == 32
    assert np.abs(away).max() < 0.010, away  # measured: 0.0086


def test_instruments_sound_while_the_label_says_so_and_not_otherwise(made: Piece) -> None:
    performance = play(tiny_compositions.composition(), np.random.default_rng(0))
    activity = {"piano": (0.0, 16.0), "flute": (4.0, 8.0), "bass": (8.0, 16.0), "drums": (12.0, 16.0)}
    lead = float(performance.clock.seconds(0.0))
    spans = made.track.activity or {}
    first = (made.track.beats or (0.0,))[0]
    for part in performance.parts:
        sound = FontSynthesizer(FONT.path).render([part], performance.seconds, Room())
        start, stop = activity[part.instrument]
        ((begin, end),) = spans[part.instrument]
        assert (begin - first, end - first) == pytest.approx((start, stop), abs=0.45)  # the last hit is a beat early
        loud = loudness_db(sound, lead + start, lead + stop)
        for at in np.arange(start + 0.1, stop - 0.6, 0.5):
            assert loudness_db(sound, lead + at, lead + at + 0.5) > loud - 15
        assert loudness_db(sound, 0.0, lead + start - 0.03) < loud - 60
        if stop + 1.5 < performance.seconds - lead:
            assert loudness_db(sound, lead + stop + 1.0, lead + stop + 1.5) < loud - 40


def test_dynamics_are_those_of_the_sound(dry: PieceMaker) -> None:
    rows = [(float(beat), 1.0, 64.0, 90.0) for beat in range(32)]
    dynamics = ((0.0, -14.0), (16.0, -14.0), (16.0, 0.0), (32.0, 0.0))
    lines = (line(rows, instrument="organ", program=19, articulation="legato"),)
    track = dry.record(tiny_compositions.composition(lines=lines, dynamics=dynamics), 1).track
    soft, loud = [db for _, db in track.dynamics or ()][:4], [db for _, db in track.dynamics or ()][4:]
    assert max(loud) == 0.0
    assert np.mean(soft) - np.mean(loud) == pytest.approx(-14, abs=3)


def test_pieces_are_equal_to_the_byte_whoever_makes_them_in_whatever_order(tmp_path: Path) -> None:
    """Another process makes them backwards, after another piece."""
    code = (
        "import sys; from pathlib import Path; from tests import test_pieces as t;"
        "maker = t.PieceMaker(t.settings());"
        "[t.write_piece(Path(sys.argv[1]), maker.make(index)) for index in (5, 1, 0)]"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "there")], check=True, cwd=ROOT, env=environment)
    maker = PieceMaker(settings())
    for index in range(2):
        piece = maker.make(index)
        here = write_piece(tmp_path / "here", piece)
        assert here.read_bytes() == (tmp_path / "there" / piece.track.path).read_bytes()


def test_half_of_the_pieces_are_minor_and_all_differ() -> None:
    maker = PieceMaker(settings())
    compositions = [maker.compose(index) for index in range(30)]
    minor = [longest_mode(composition) in MINOR_MODES for composition in compositions]
    assert 12 <= sum(minor) <= 18
    assert len({composition.lines[0].rows.tobytes() for composition in compositions}) == 30
    other = PieceMaker(settings(seed=4)).compose(0)
    assert other.lines[0].rows.tobytes() != compositions[0].lines[0].rows.tobytes()


def test_fonts_of_the_other_side_are_never_opened() -> None:
    """They need not even be there."""
    for split in ("train", "validation"):
        assert PieceMaker(settings(split=split, held_out_fonts=(GONE,))).make(0).track.split == split
    assert PieceMaker(settings(split="test", fonts=(GONE,), held_out_fonts=(FONT,))).make(0).track.split == "test"


def test_a_held_out_font_under_another_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "link.sf2").symlink_to(FONT.path)
    with pytest.raises(ConfigError, match="a font that training hears is not held out"):
        settings(held_out_fonts=(Font(path=tmp_path / "link.sf2"),))


def test_all_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        settings(
            seed=-1,
            split="dev",
            styles={"polkka": 1.0},
            share_of_tunes=1.5,
            seconds=(9.0, 3.0),
            audio_format="wav",
        )
    for said in ("seed is -1", "split is 'dev'", "'polkka'", "share_of_tunes is 1.5", "seconds is (9.0, 3.0)", "'wav'"):
        assert said in str(caught.value)
    with pytest.raises(ConfigError, match="held_out_fonts needs at least one sound font"):
        settings(split="test")


@pytest.mark.parametrize("form", coding.SUFFIXES)
def test_written_pieces_are_what_was_made_in_each_format(tmp_path: Path, form: str, made: Piece) -> None:
    path = made.track.path.replace(".flac", coding.SUFFIXES[form])
    written = write_piece(tmp_path, dataclasses.replace(made, track=dataclasses.replace(made.track, path=path)))
    assert [found.name for found in written.parent.iterdir()] == [written.name]
    samples, rate = soundfile.read(written, dtype="float32")
    assert (rate, len(samples)) == (SAMPLE_RATE_HZ, len(made.samples))
    difference = samples - made.samples
    assert np.std(difference) < (1e-4 if form == "flac" else 0.3 * float(np.std(made.samples)))
    assert coding.encode(made.samples, SAMPLE_RATE_HZ, form) == written.read_bytes()


def test_a_killed_writer_leaves_only_whole_recordings(tmp_path: Path) -> None:
    code = (
        "import dataclasses, itertools, sys; from pathlib import Path; from tests import test_pieces as t;"
        "piece = t.PieceMaker(t.settings(effects=False)).record(t.tiny_compositions.composition(), 0);\n"
        "for number in itertools.count():\n"
        "    track = dataclasses.replace(piece.track, path=f'audio/000/{number:06d}.flac')\n"
        "    t.write_piece(Path(sys.argv[1]), dataclasses.replace(piece, track=track))"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        limit = time.monotonic() + 60
        while not (tmp_path / "audio" / "000" / "000020.flac").exists() and time.monotonic() < limit:
            time.sleep(0.002)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    whole = sorted(path for path in (tmp_path / "audio" / "000").iterdir() if path.suffix == ".flac")
    assert len(whole) > 20
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in whole}) == 1
    assert soundfile.read(io.BytesIO(whole[-1].read_bytes()))[0].any()
