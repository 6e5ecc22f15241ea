"""Sound fonts of recorded notes: in tune, on time, lasting as long as they are held; and fonts that lack programs."""

from __future__ import annotations

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
from mllm.instruct_data import loops, samples, sf2
from mllm.instruct_data.fonts import Font, FontChoice
from mllm.instruct_data.synth import BACKENDS, SAMPLE_RATE_HZ, FontSynthesizer, Part, Room

FULL_FONT = Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"
RATE_HZ = 44_100
SILENCE_SECONDS = 0.3


def hertz(pitch: float) -> float:
    return float(440.0 * 2 ** ((pitch - 69) / 12))


def record(
    path: Path, pitch: float, *, seconds: float = 2.5, half_life_seconds: float | None = None, level: float = 0.5
) -> None:
    """A tone of six partials after silence; it stays at its level, or falls by half every so many seconds."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    tone = np.sum([np.sin(2 * np.pi * order * hertz(pitch) * time) / order for order in range(1, 7)], axis=0)
    tone *= 1.0 if half_life_seconds is None else 0.5 ** (time / half_life_seconds)
    tone *= level * np.minimum(1.0, (time[-1] - time) / 0.2) / np.abs(tone).max()
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(str(path), np.concatenate([np.zeros(round(SILENCE_SECONDS * RATE_HZ)), tone]), RATE_HZ)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two instruments that hold notes, one that does not, and a file that is no sound."""
    folder = tmp_path_factory.mktemp("recordings")
    record(folder / "flute" / "A4.wav", 69.2)
    record(folder / "flute" / "As5.wav", 82)
    record(folder / "flute" / "As5 v2.wav", 82)
    record(folder / "flute" / "D5.wav", 75)
    record(folder / "trumpet" / "C4.wav", 72)
    record(folder / "guitar-nylon" / "E3.wav", 52, seconds=9.0, half_life_seconds=0.4, level=0.05)
    (folder / "flute" / "README.md").write_text("no sound")
    (folder / "kazoo").mkdir()
    return folder


@pytest.fixture(scope="module")
def converted(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, samples.Converted]:
    font = tmp_path_factory.mktemp("font") / "recorded.sf2"
    return font, samples.convert(recordings, font)


def played(font: Path, instrument: str, program: int, pitch: int, seconds: float, backend: str) -> NDArray[np.float32]:
    """A note that begins after a tenth of a second and lasts to the end."""
    part = Part(
        instrument=instrument, program=program, gain_db=0.0, notes=np.array([[0.1, seconds + 1, float(pitch), 90.0]])
    )
    return FontSynthesizer(font, backend=backend).render([part], seconds, Room())


def rms(sound: NDArray[np.float32], first_seconds: float, last_seconds: float) -> float:
    return float(np.std(sound[round(first_seconds * SAMPLE_RATE_HZ) : round(last_seconds * SAMPLE_RATE_HZ)]))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("instrument", "program", "pitch"),
    [("flute", 73, 69), ("flute", 72, 75), ("flute", 79, 76), ("brass", 56, 72), ("acoustic guitar", 24, 60)],
)
def test_recordings_play_in_tune_and_on_time(
    converted: tuple[Path, samples.Converted], instrument: str, program: int, pitch: int, backend: str
) -> None:
    sound = played(converted[0], instrument, program, pitch, 1.0, backend)
    spectrum = np.abs(
        np.fft.rfft(sound[round(0.2 * SAMPLE_RATE_HZ) :] * np.hanning(round(0.8 * SAMPLE_RATE_HZ)), 1 << 18)
    )
    heard = np.argmax(spectrum) * SAMPLE_RATE_HZ / (1 << 18)
    assert abs(1200 * np.log2(heard / hertz(pitch))) < 8
    onset = np.argmax(np.abs(sound) > 0.1 * np.abs(sound).max()) / SAMPLE_RATE_HZ
    assert 0.099 < onset < 0.11


@pytest.mark.parametrize("backend", BACKENDS)
def test_held_notes_last_and_plucked_ones_do_not(converted: tuple[Path, samples.Converted], backend: str) -> None:
    for instrument, program, pitch in (("flute", 73, 71), ("brass", 59, 70)):
        sound = played(converted[0], instrument, program, pitch, 8.0, backend)
        levels = [rms(sound, start, start + 0.05) for start in np.arange(0.5, 7.9, 0.05)]
        assert min(levels) > 0.8 * max(levels)
    plucked = played(converted[0], "acoustic guitar", 24, 52, 8.0, backend)
    assert rms(plucked, 7.0, 7.9) < 0.01 * rms(plucked, 0.1, 1.0)


def test_what_was_left_out_or_put_right_is_told(converted: tuple[Path, samples.Converted]) -> None:
    font, result = converted
    assert (result.samples, result.programs) == (4, 5 + 2 + 1)
    assert len(result.remarks) == 2
    assert "trumpet/C4.wav sounds +1 octave" in result.remarks[0]
    assert "flute/D5.wav left out: it sounds +1.00 semitones" in result.remarks[1]
    assert sf2.presets_of(font) == {(0, program) for program in (24, 56, 59, 72, 73, 74, 75, 79)}


def test_instruments_are_about_equally_loud(recordings: Path) -> None:
    loudest = []
    for name in ("flute", "guitar-nylon"):
        waves = samples._read_instrument(recordings / name, samples.INSTRUMENTS[name], [])
        loudest.append(max(float(np.std(wave.samples[:RATE_HZ] / 32_768)) for wave in waves))
    assert loudest == pytest.approx([0.1, 0.1], rel=0.02)


def test_a_long_tail_is_cut_and_fades(recordings: Path) -> None:
    (wave,) = samples._read_instrument(recordings / "guitar-nylon", samples.INSTRUMENTS["guitar-nylon"], [])
    assert len(wave.samples) == 8 * RATE_HZ
    assert wave.keys == (0, 127)
    assert wave.samples[-1] == 0


def test_a_loop_is_a_whole_number_of_periods() -> None:
    time = np.arange(3 * RATE_HZ) / RATE_HZ
    looped = loops.with_loop(np.sin(2 * np.pi * 210 * time), RATE_HZ)
    assert looped is not None
    cut, (start, end) = looped
    assert (end - start) % (RATE_HZ / 210) == pytest.approx(0)
    assert end < len(cut) < 3 * RATE_HZ
    assert loops.with_loop(np.random.default_rng(1).normal(size=3 * RATE_HZ), RATE_HZ) is None
    assert loops.with_loop(np.sin(2 * np.pi * 210 * time[:8_000]), RATE_HZ) is None


def test_programs_of_a_recording_have_one_instrument_word() -> None:
    programs = [program for recorded in samples.INSTRUMENTS.values() for program in recorded.programs]
    assert len(programs) == len(set(programs))
    for recorded in samples.INSTRUMENTS.values():
        words = {facts.instrument_of_program(program) for program in recorded.programs}
        assert len(words) == 1
        assert words <= set(facts.INSTRUMENTS) - {"harpsichord", "choir", "synthesizer", "drums"}


def test_folders_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no folder of recordings that is known; expected some of piano, "):
        samples.convert(tmp_path, tmp_path / "out.sf2")
    record(tmp_path / "harp" / "D5.wav", 75, half_life_seconds=0.5)
    with pytest.raises(ConfigError, match=r"harp has no recording that can be used"):
        samples.convert(tmp_path, tmp_path / "out.sf2")
    record(tmp_path / "harp" / "middle.wav", 60)
    with pytest.raises(ConfigError, match=r"middle.wav is not named by a note; expected names such as C4.wav"):
        samples.convert(tmp_path, tmp_path / "out.sf2")
    assert not (tmp_path / "out.sf2").exists()


def test_the_script_converts_and_reports_errors(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = runpy.run_path(str(Path(__file__).resolve().parents[1] / "scripts" / "samples_to_sf2.py"))
    monkeypatch.setattr(sys, "argv", ["samples_to_sf2", str(recordings), str(tmp_path / "out.sf2")])
    assert script["main"]() == 0
    told = capsys.readouterr()
    assert "4 recordings for 8 programs" in told.out
    assert "flute/D5.wav left out" in told.err
    monkeypatch.setattr(sys, "argv", ["samples_to_sf2", str(tmp_path / "gone"), str(tmp_path / "out.sf2")])
    assert script["main"]() == 2
    assert capsys.readouterr().err.startswith("samples_to_sf2: ")


def part(instrument: str, program: int) -> Part:
    return Part(instrument=instrument, program=program, gain_db=0.0, notes=np.array([[0.0, 1.0, 60.0, 90.0]]))


def test_parts_get_fonts_that_have_their_program(converted: tuple[Path, samples.Converted]) -> None:
    recorded, full = Font(path=converted[0]), Font(path=FULL_FONT)
    choice = FontChoice([recorded, full])
    parts = [part("flute", 73), part("harpsichord", 6), part("drums", 0), part("drums", 25)]
    rng = np.random.default_rng(0)
    assert choice.that_can(parts, [recorded] * 4, rng) == [recorded, full, full, full]
    assert choice.that_can(parts, [full] * 4, rng) == [full] * 4
    assert rng.random() != np.random.default_rng(0).random()  # three fonts were drawn
    assert {choice.draw(rng) for _ in range(20)} == {recorded, full}


def test_fonts_with_every_program_leave_chance_alone() -> None:
    full = Font(path=FULL_FONT)
    rng = np.random.default_rng(0)
    assert FontChoice([full]).that_can([part("drums", 48), part("harpsichord", 6)], [full] * 2, rng) == [full] * 2
    assert rng.random() == np.random.default_rng(0).random()


def test_fonts_that_lack_an_instrument_together_are_refused(converted: tuple[Path, samples.Converted]) -> None:
    with pytest.raises(ConfigError, match=r"recorded lack programs of piano, harpsichord, .*drums; give one"):
        FontChoice([Font(path=converted[0])])


def test_presets_are_read_from_fonts_alone(tmp_path: Path) -> None:
    presets = sf2.presets_of(FULL_FONT)
    assert {(0, program) for program in range(128)} <= presets
    assert {program for bank, program in presets if bank == sf2.DRUM_BANK} == {0, 8, 16, 24, 25, 32, 40, 48}
    header = struct.Struct("<20sHHHIII")
    rows = header.pack(b"flute", 73, 0, 0, 0, 0, 0) + header.pack(b"EOP", 0, 0, 1, 0, 0, 0)
    lists = b"LIST" + struct.pack("<I", 8 + len(rows) + 4) + b"pdtaphdr" + struct.pack("<I", len(rows)) + rows
    for samples_chunk in (b"\1\2\3", b"\1\2\3\0"):  # of odd size, as .sf3 and as .sf2 files have it
        content = b"sfbkLIST" + struct.pack("<I", 15) + b"sdtasmpl" + struct.pack("<I", 3) + samples_chunk + lists
        (tmp_path / "odd.sf3").write_bytes(b"RIFF" + struct.pack("<I", len(content)) + content)
        assert sf2.presets_of(tmp_path / "odd.sf3") == {(0, 73)}
    for content in (b"", b"no font", FULL_FONT.read_bytes()[:100_000]):
        (tmp_path / "no.sf2").write_bytes(content)
        with pytest.raises(ConfigError, match="is not a sound font with a list of presets"):
            sf2.presets_of(tmp_path / "no.sf2")
