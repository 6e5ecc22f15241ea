"""Rendering: exact and repeatable clips, builds that survive being killed, effects that change no time."""

from __future__ import annotations

import dataclasses
import json
import runpy
import struct
import sys
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
import soundfile
from numpy.typing import NDArray

from mllm import facts
from mllm.errors import ConfigError
from mllm.instruct_data import effects, gus, sf2
from mllm.instruct_data.fonts import Font, parse_font
from mllm.instruct_data.render import BuildSettings, ClipMaker, build, finished_indices
from mllm.instruct_data.score_readers import MUSIC21_COLLECTIONS
from mllm.instruct_data.scores import Tune, split_of, write_cache
from mllm.instruct_data.synth import BACKENDS, SAMPLE_RATE_HZ, FontSynthesizer, Part, Room, Voice

FONT = Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"
TRAIN_FAMILY = next(f"family {i}" for i in range(100) if split_of(f"family {i}") == "train")
TEST_FAMILY = next(f"family {i}" for i in range(100) if split_of(f"family {i}") == "test")


def made_tune(number: int, family: str) -> Tune:
    pitches = [60, 64, 67, 72, 71, 67, 65, 62, 64, 60, 62, 59, 60, 67, 64, 60] * 6
    notes = np.array([[i * 0.5, 0.5, pitch + number, 0] for i, pitch in enumerate(pitches)], dtype=np.float64)
    return Tune(
        id=f"made/{number}",
        title=f"Made {number}",
        family=family,
        source="made",
        licence="CC0",
        kind="melody",
        key=facts.KEYS[number],
        meter="4/4",
        notes=notes,
    )


TUNES = (made_tune(0, TRAIN_FAMILY), made_tune(2, TRAIN_FAMILY), made_tune(5, TEST_FAMILY))


def settings(out: Path, **changes: object) -> BuildSettings:
    values: dict[str, object] = {"out": out, "clips": 2, "split": "train", "seed": 4, "fonts": (Font(path=FONT),)}
    return BuildSettings(**{**values, **changes})  # type: ignore[arg-type]


def quiet(_done: int, _wanted: int) -> None:
    """Progress that nobody watches."""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same_data(folder: Path, other: Path) -> None:
    """The same files, equal to the byte."""
    one, two = contents(folder), contents(other)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def labels(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]


def tone(instrument: str, program: int, pitch: int, *, gain_db: float = 0.0) -> Part:
    notes = np.array([[0.1, 1.0, pitch, 90.0]])
    return Part(instrument=instrument, program=program, gain_db=gain_db, notes=notes)


def pitch_hz(samples: NDArray[np.float32]) -> float:
    """The strongest frequency, refined by a parabola through the peak of a long padded spectrum."""
    size = 1 << 19
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size))
    return float(np.argmax(spectrum) * SAMPLE_RATE_HZ / size)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built")
    assert build(settings(out), TUNES, progress=quiet) == 2
    return out


def test_a_build_holds_what_its_labels_say(built: Path) -> None:
    rows = labels(built)
    assert [row["index"] for row in rows] == [0, 1]
    for row in rows:
        info = soundfile.info(str(built / str(row["path"])))
        assert (info.samplerate, info.channels, info.subtype) == (SAMPLE_RATE_HZ, 1, "PCM_16")
        assert info.frames == round(float(str(row["seconds"])) * SAMPLE_RATE_HZ)
        samples, _ = soundfile.read(str(built / str(row["path"])))
        assert 0.29 < np.abs(samples).max() < 0.96
        assert row["key"] in facts.KEYS
        assert row["meter"] == "4/4"
        assert row["split"] == "train"
        assert row["tune"] in ("made/0", "made/2")
        assert row["licence"] == "CC0"
        assert row["sound_font"] == "TimGM6mb"
        with np.load(built / str(row["notes_path"])) as notes:
            names = {facts.INSTRUMENTS[index] for index in notes["instrument"]}
            assert names == set(row["instruments"])  # type: ignore[call-overload]
            assert {name: array.shape for name, array in notes.items()} == dict.fromkeys(
                ("onset_s", "offset_s", "pitch", "instrument", "velocity"), notes["onset_s"].shape
            )
            assert (notes["offset_s"] > notes["onset_s"]).all()
            assert notes["offset_s"].max() <= float(str(row["seconds"])) + 1e-3


def test_sound_starts_where_the_notes_do(built: Path) -> None:
    """Energy right after note onsets exceeds energy right before them in every clip."""
    for row in labels(built):
        samples, _ = soundfile.read(str(built / str(row["path"])))
        with np.load(built / str(row["notes_path"])) as notes:
            onsets = notes["onset_s"][(notes["onset_s"] > 0.1) & (notes["onset_s"] < float(str(row["seconds"])) - 0.2)]
        change = np.abs(np.diff(samples, prepend=0.0))
        window = round(0.03 * SAMPLE_RATE_HZ)
        starts = (onsets * SAMPLE_RATE_HZ).astype(int)
        after = np.mean([change[start : start + window].mean() for start in starts])
        before = np.mean([change[start - window : start].mean() for start in starts])
        assert after > before


def test_a_build_is_repeatable_and_goes_on_after_being_killed(built: Path, tmp_path: Path) -> None:
    build(settings(tmp_path, clips=1), TUNES, progress=quiet)
    with (tmp_path / "labels.jsonl").open("a") as file:
        file.write('{"id": "train-4-000001", "ind')
    (tmp_path / "audio" / "000" / "train-4-000001.flac.part").write_bytes(b"half")
    assert build(settings(tmp_path), TUNES, progress=quiet) == 1
    assert build(settings(tmp_path), TUNES, progress=quiet) == 0
    assert_same_data(tmp_path, built)


def test_two_workers_make_the_same_clips(built: Path, tmp_path: Path) -> None:
    build(settings(tmp_path, workers=2), TUNES, progress=quiet)
    assert_same_data(tmp_path, built)


def test_a_folder_with_other_settings_is_refused(built: Path) -> None:
    with pytest.raises(ConfigError, match=r"seed=4"):
        build(settings(built, seed=5), TUNES, progress=quiet)


def test_the_test_side_has_only_test_tunes(tmp_path: Path) -> None:
    maker = ClipMaker(settings(tmp_path, split="test"), TUNES)
    assert {maker.make(index).label["tune"] for index in range(2)} == {"made/5"}
    with pytest.raises(ConfigError, match="test side"):
        ClipMaker(settings(tmp_path, split="test"), TUNES[:2])


def test_all_wrong_settings_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"clips is 0.*split is 'valid'.*workers is 0.*at least one sound font"):
        settings(tmp_path, clips=0, split="valid", workers=0, fonts=())


def test_torn_labels_are_repaired(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    assert finished_indices(path) == set()
    path.write_text('{"index": 3}\n{"index": 7}\n{"ind')
    assert finished_indices(path) == {3, 7}
    assert path.read_text() == '{"index": 3}\n{"index": 7}\n'


def test_fonts_are_given_with_their_weight(tmp_path: Path) -> None:
    assert parse_font(str(FONT)) == Font(path=FONT, weight=1.0)
    assert parse_font(f"{FONT}@0.08") == Font(path=FONT, weight=0.08)
    with pytest.raises(ConfigError, match="does not exist"):
        parse_font(str(tmp_path / "gone.sf2"))
    with pytest.raises(ConfigError, match="PATH@WEIGHT"):
        parse_font(f"{FONT}@loud")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_part_sounds_at_its_pitch_and_time(backend: str) -> None:
    synthesizer = FontSynthesizer(FONT, backend=backend)
    for cents in (0.0, 35.0):
        sound = synthesizer.render([tone("flute", 73, 81)], 1.2, Room(detune_cents=cents))
        assert sound.dtype == np.float32
        assert len(sound) == round(1.2 * SAMPLE_RATE_HZ)
        assert np.abs(sound[: round(0.09 * SAMPLE_RATE_HZ)]).max() < 0.01 * np.abs(sound).max()
        heard = pitch_hz(sound[round(0.3 * SAMPLE_RATE_HZ) : round(0.9 * SAMPLE_RATE_HZ)])
        assert abs(1200 * np.log2(heard / 880.0) - cents) < 8


@pytest.mark.parametrize("backend", BACKENDS)
def test_parts_of_equal_gain_are_about_equally_loud(backend: str) -> None:
    synthesizer = FontSynthesizer(FONT, backend=backend)
    loudness = []
    for instrument in facts.INSTRUMENTS:
        drums = instrument == "drums"
        program = 0 if drums else facts.programs_of_instrument(instrument)[0]
        pitch = 38 if drums else 45 if instrument == "bass" else 67
        sound = synthesizer.render([tone(instrument, program, pitch)], 1.0, Room())
        loudness.append(20 * np.log10(np.sqrt(np.mean(sound**2))))
    assert max(loudness) - min(loudness) < 15, dict(zip(facts.INSTRUMENTS, loudness, strict=True))


def test_gain_is_in_decibels() -> None:
    synthesizer = FontSynthesizer(FONT)
    loud, soft = (
        np.abs(synthesizer.render([tone("flute", 73, 76, gain_db=gain)], 1.0, Room())).max() for gain in (0.0, -12.0)
    )
    assert abs(20 * np.log10(loud / soft) - 12) < 1.5


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_sound_of_one_clip_reaches_the_next(backend: str) -> None:
    synthesizer = FontSynthesizer(FONT, backend=backend)
    first = synthesizer.render([tone("piano", 0, 60)], 1.0, Room())
    synthesizer.render([tone("organ", 19, 50), tone("drums", 0, 38)], 0.5, Room(detune_cents=30.0, chorus=True))
    again = synthesizer.render([tone("piano", 0, 60)], 1.0, Room())
    np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_that_is_no_font_is_refused(backend: str, tmp_path: Path) -> None:
    (tmp_path / "no.sf2").write_bytes(b"not a font")
    with pytest.raises(ConfigError, match="not a sound font"):
        FontSynthesizer(tmp_path / "no.sf2", backend=backend)
    with pytest.raises(ConfigError, match="does not exist"):
        FontSynthesizer(tmp_path / "gone.sf2", backend=backend)


def test_a_varied_build_keeps_every_instrument_apart(tmp_path: Path) -> None:
    other = tmp_path / "other.sf2"
    other.write_bytes(FONT.read_bytes())
    varied = settings(tmp_path / "varied", clips=4, varied=True, fonts=(Font(path=FONT), Font(path=other)))
    plain = settings(tmp_path / "plain", clips=4)
    build(varied, TUNES, progress=quiet)
    build(plain, TUNES, progress=quiet)
    fonts = set()
    for row, plain_row in zip(labels(varied.out), labels(plain.out), strict=True):
        assert row["instruments"] == plain_row["instruments"]
        stems, rate = soundfile.read(str(varied.out / str(row["stems_path"])), always_2d=True)
        seconds = float(str(row["seconds"]))
        assert (rate, *stems.shape) == (SAMPLE_RATE_HZ, round(seconds * rate), len(row["instruments"]))  # type: ignore[arg-type]
        assert np.abs(stems).max() == pytest.approx(0.9, abs=1e-3)
        assert (np.abs(stems).max(0) > 1e-3).all()
        fonts.add(row["sound_font"])
    assert fonts <= {"TimGM6mb", "other", "TimGM6mb+other"}
    with pytest.raises(ConfigError, match="another varied"):
        build(settings(varied.out, clips=4, fonts=varied.fonts), TUNES, progress=quiet)


@pytest.mark.parametrize("varied", [False, True])
def test_a_font_that_lacks_programs_leaves_no_part_silent(tmp_path: Path, varied: bool) -> None:
    """The flute alone is in one font, which half of the clips begin with."""
    gravis_patch(tmp_path / "flute.pat", 441_000)
    builder = sf2.FontBuilder("flute")
    builder.add_preset(
        "flute", 0, 73, builder.add_instrument("flute", [(gus.read_patch(tmp_path / "flute.pat"), None)])
    )
    builder.write(tmp_path / "flute.sf2")
    fonts = (Font(path=FONT), Font(path=tmp_path / "flute.sf2", weight=9.0))
    maker = ClipMaker(settings(tmp_path, varied=varied, fonts=fonts), TUNES)
    used = set()
    for index in range(6):
        clip = maker.make(index)
        used |= set(clip.label["sound_font"].split("+"))
        assert np.abs(clip.samples).max() > 0.29
        if clip.stems is not None:
            assert (np.abs(clip.stems).max(0) > 1e-3).all()
        programs = {program for _, program, _ in clip.label["programs"]}
        assert clip.label["sound_font"] == ("flute" if programs == {73} else "TimGM6mb") or 73 in programs
    assert "TimGM6mb" in used


def test_voices_change_the_sound_and_neither_pitch_nor_loudness() -> None:
    synthesizer = FontSynthesizer(FONT)
    plain = synthesizer.render([tone("flute", 73, 76)], 1.0, Room())
    steady = slice(round(0.4 * SAMPLE_RATE_HZ), round(0.9 * SAMPLE_RATE_HZ))
    for voice in (Voice(sample_semitones=4), Voice(sample_semitones=-4), Voice(cutoff_cents=-3000.0, velocity=10)):
        sound = synthesizer.render([dataclasses.replace(tone("flute", 73, 76), voice=voice)], 1.0, Room())
        assert np.abs(sound - plain).max() > 0.01 * np.abs(plain).max()
        assert abs(1200 * np.log2(pitch_hz(sound[steady]) / pitch_hz(plain[steady]))) < 20
        assert abs(20 * np.log10(np.std(sound[steady]) / np.std(plain[steady]))) < 6
    again = synthesizer.render([tone("flute", 73, 76)], 1.0, Room())
    np.testing.assert_array_equal(again, plain)  # no voice outlives its clip


def test_tinysoundfont_cannot_vary_voices() -> None:
    part = dataclasses.replace(tone("flute", 73, 76), voice=Voice(velocity=5))
    with pytest.raises(ConfigError, match="cannot vary voices"):
        FontSynthesizer(FONT, backend="tinysoundfont").render([part], 0.5, Room())


def gravis_patch(path: Path, millihertz: int) -> None:
    """One looped sine of 100 samples a period at 44.1 kHz, that is 441 Hz, said to be `millihertz`."""
    wave = (12_000 * np.sin(2 * np.pi * np.arange(4_400) / 100)).astype("<i2").tobytes()
    loop = struct.pack("<BIII", 0, len(wave), 2 * 1_000, 2 * 4_000)
    keys = struct.pack("<HIIIhB", 44_100, 8_000, 13_000_000, millihertz, 1, 7)
    envelope = struct.pack("<6B6B", 63, 63, 63, 100, 63, 63, 246, 246, 246, 0, 0, 0)
    modes = struct.pack("<6xBhH36x", 1 | 4 | 32 | 64, 60, 1024)
    header = b"GF1PATCH110\0ID#000002\0".ljust(129, b"\0")
    layer = (b"\0" * 6 + b"\1").ljust(47, b"\0")
    path.write_bytes(header + b"\0" * 63 + layer + b"a wave\0" + loop + keys + envelope + modes + wave)


def test_gravis_patches_become_a_font_that_plays_in_tune(tmp_path: Path) -> None:
    gravis_patch(tmp_path / "flute.pat", 441_000)
    (tmp_path / "gm.cfg").write_text("# made\nbank 0\n 73 flute.pat amp=100\n 5 gone.pat\ndrumset 0\n38 flute.pat\n")
    assert gus.convert(tmp_path / "gm.cfg", tmp_path / "gm.sf2") == 2
    synthesizer = FontSynthesizer(tmp_path / "gm.sf2")
    for program, pitch in ((73, 69), (75, 81)):  # the second is without a patch of its own
        sound = synthesizer.render([tone("flute", program, pitch)], 1.0, Room())
        heard = pitch_hz(sound[round(0.3 * SAMPLE_RATE_HZ) : round(0.9 * SAMPLE_RATE_HZ)])
        assert abs(1200 * np.log2(heard / (440.0 * 2 ** ((pitch - 69) / 12)))) < 8
    assert np.abs(synthesizer.render([tone("drums", 0, 38)], 0.5, Room())).max() > 0.001


def test_what_is_no_patch_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.pat").write_bytes(b"no patch")
    with pytest.raises(ConfigError, match="GF1PATCH"):
        gus.read_patch(tmp_path / "no.pat")
    (tmp_path / "gm.cfg").write_text("bank 0\n 73 gone.pat\n")
    with pytest.raises(ConfigError, match="names no patches"):
        gus.read_configuration(tmp_path / "gm.cfg")


def test_an_unknown_synthesiser_is_refused() -> None:
    with pytest.raises(ConfigError, match="fluidsynth, tinysoundfont"):
        FontSynthesizer(FONT, backend="timidity")


def click(seconds: float = 2.0, at: float = 1.0) -> NDArray[np.float32]:
    sound = np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.float32)
    start = round(at * SAMPLE_RATE_HZ)
    sound[start : start + 200] = np.hanning(200).astype(np.float32)
    return sound


def test_effects_keep_length_time_and_level() -> None:
    sound = click()
    for seed in range(25):
        changed = effects.degrade(sound, SAMPLE_RATE_HZ, np.random.default_rng(seed))
        assert changed.dtype == np.float32
        assert changed.shape == sound.shape
        assert 0.29 < np.abs(changed).max() < 0.96
        assert abs(int(np.abs(changed).argmax()) - int(sound.argmax())) < 0.01 * SAMPLE_RATE_HZ


def test_tilt_changes_the_balance_by_the_slope() -> None:
    time = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tilted = {
        hz: np.std(effects.tilt(np.sin(2 * np.pi * hz * time).astype(np.float32), SAMPLE_RATE_HZ, db_per_octave=2.0))
        for hz in (1000, 4000)
    }
    assert abs(20 * np.log10(tilted[4000] / tilted[1000]) - 4.0) < 0.5


def test_the_script_builds_and_reports_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in MUSIC21_COLLECTIONS:
        write_cache(tmp_path / "scores" / f"{name}.json.gz", TUNES if name == "bach" else ())
    script = runpy.run_path(str(Path(__file__).resolve().parents[1] / "scripts" / "render.py"))
    command = ["render", "--out", str(tmp_path / "out"), "--clips", "1", "--split", "test"]
    command += ["--scores", str(tmp_path / "scores"), "--fonts"]
    monkeypatch.setattr(sys, "argv", [*command, str(FONT)])
    assert script["main"]() == 0
    assert len(labels(tmp_path / "out")) == 1
    monkeypatch.setattr(sys, "argv", [*command, "gone.sf2"])
    assert script["main"]() == 2
    assert "gone.sf2 does not exist" in capsys.readouterr().err
