"""Changed recordings are what their names say: measured in the files, not taken from what made them.

Pieces are rendered for it; sines and clicks tell pitch and time exactly.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from mllm.eval.music import Music
from mllm.eval.questions import Question, Said
from mllm.eval.tasks import _changes, robustness
from mllm.facts import INSTRUMENTS
from mllm.instruct_data.synth import SAMPLE_RATE_HZ
from mllm.instruct_data.tracks import Track

RATE = SAMPLE_RATE_HZ


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Music:
    return Music(folder=tmp_path_factory.mktemp("music"), size=0.025, tell=lambda text: None)


@pytest.fixture(scope="module")
def questions(music: Music) -> list[Question]:
    return list(robustness.load(music))


@pytest.fixture(scope="module")
def files(questions: list[Question]) -> dict[str, Path]:
    """The recordings of the first piece by change."""
    first = questions[0].id.rpartition("/")[0]
    return {
        question.id.rpartition("/")[2]: Path(str(question.recordings[0].source))
        for question in questions
        if question.id.rpartition("/")[0] == first
    }


def read(path: Path) -> tuple[np.ndarray, int]:
    samples, rate = soundfile.read(path, dtype="float64")
    return np.asarray(samples), int(rate)


def power_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples))))


def peak_hz(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def sine(hz: float, seconds: float = 4.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(0.5 * np.sin(2 * np.pi * hz * time), dtype=np.float32)


def clicks(every_seconds: float, seconds: float = 8.0) -> np.ndarray:
    """Short bursts of a tone at even distances."""
    sound = np.zeros(round(seconds * RATE), dtype=np.float32)
    burst = sine(1000.0, 0.02)
    for begin in np.arange(0.5, seconds - 0.5, every_seconds):
        at = round(begin * RATE)
        sound[at : at + len(burst)] = burst
    return sound


def distance(sound: np.ndarray) -> float:
    """Mean seconds from one burst to the next."""
    loud = np.flatnonzero(np.abs(sound) > 0.1)
    begins = loud[np.insert(np.diff(loud) > 0.1 * RATE, 0, True)]
    return float(np.mean(np.diff(begins)) / RATE)


def test_every_piece_is_asked_the_same_about_each_recording(questions: list[Question]) -> None:
    names = ["clean", *_changes.CHANGES]
    assert len(names) == 10
    for begin in range(0, len(questions), len(names)):
        of_piece = questions[begin : begin + len(names)]
        assert [question.id.rpartition("/")[2] for question in of_piece] == names
        assert len({question.asked for question in of_piece}) == 1
        assert len({str(question.recordings[0].source) for question in of_piece}) == len(names)
        assert len({question.groups["change"] for question in of_piece}) == len(names)
    assert {question.groups["fact"] for question in questions} == {"tempo", "key", "presence"}


def test_truth_moves_with_pitch_and_speed(questions: list[Question], music: Music) -> None:
    tracks = {track.id: track for track in music.short()}
    semitones = {"pitch+2": 2, "speed+1": 1}
    for question in questions:
        fact, name, change = question.id.split("/")
        track = tracks[name]
        if fact == "tempo":
            factor = 2 ** (1 / 12) if change == "speed+1" else 1.0
            assert question.truth == pytest.approx((track.tempo_bpm or 0.0) * factor)
        elif fact == "key":
            assert _pitch(question.truth) == (_pitch(str(track.key)) + semitones.get(change, 0)) % 12
            assert question.truth.split()[1] == str(track.key).split()[1]
        else:
            asked = max((one for one in (*INSTRUMENTS, "guitar") if one in question.references[0]), key=len, default="")
            if asked:
                assert question.truth == _plays(track, asked)


def _pitch(key: str) -> int:
    names = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    return (names[key[0]] + {"#": 1, "b": -1}.get(key[1], 0)) % 12


def _plays(track: Track, name: str) -> bool:
    return any(one.endswith("guitar") if name == "guitar" else one == name for one in track.activity or ())


def test_levels_are_20_db_below_and_6_db_above_and_cut_off(files: dict[str, Path]) -> None:
    clean, _ = read(files["clean"])
    softer, _ = read(files["level-20dB"])
    louder, _ = read(files["level+6dB"])
    assert power_db(softer) - power_db(clean) == pytest.approx(-20.0, abs=0.05)
    inside = np.abs(clean) < 0.45
    ratio = np.sum(louder[inside] * clean[inside]) / np.sum(np.square(clean[inside]))
    assert 20 * np.log10(ratio) == pytest.approx(6.0, abs=0.01)
    assert np.abs(louder).max() <= 1.0
    assert np.mean(np.abs(louder) > 0.9999) > 0  # a piece has its peak at 0.8


@pytest.mark.parametrize("decibels", [20, 10])
def test_noise_lies_so_far_below_the_music(files: dict[str, Path], decibels: int) -> None:
    clean, _ = read(files["clean"])
    noisy, _ = read(files[f"noise-{decibels}dB"])
    scale = np.sum(noisy * clean) / np.sum(np.square(clean))
    noise = noisy / scale - clean
    assert power_db(clean) - power_db(noise) == pytest.approx(decibels, abs=0.2)
    halves = [
        np.mean(np.square(np.abs(np.fft.rfft(noise)))[part]) for part in np.array_split(range(len(noise) // 2), 2)
    ]
    assert halves[0] == pytest.approx(halves[1], rel=0.1)  # white


def test_mp3_of_32_kbit_loses_much_and_moves_nothing(files: dict[str, Path]) -> None:
    clean, _ = read(files["clean"])
    coded, rate = read(files["mp3-32"])
    assert (len(coded), rate) == (len(clean), RATE)
    size = 2 * len(clean)
    correlation = np.fft.irfft(np.fft.rfft(coded, size) * np.conj(np.fft.rfft(clean, size)))
    assert abs(int(np.argmax(correlation))) <= 1
    assert 5 < power_db(clean) - power_db(coded - clean) < 40


def test_a_telephone_has_nothing_above_4_khz_and_the_same_below(files: dict[str, Path]) -> None:
    clean, _ = read(files["clean"])
    narrow, rate = read(files["8kHz"])
    assert rate == 8000
    assert len(narrow) / rate == pytest.approx(len(clean) / RATE, abs=0.001)
    back = soxr.resample(narrow, rate, RATE)[: len(clean)]
    spectra = [np.square(np.abs(np.fft.rfft(one, len(clean)))) for one in (clean, back)]
    hz = np.fft.rfftfreq(len(clean), 1 / RATE)
    assert spectra[1][hz > 4000].sum() < 1e-4 * spectra[1].sum()
    assert spectra[1][hz < 3500].sum() == pytest.approx(spectra[0][hz < 3500].sum(), rel=0.01)


def test_five_seconds_of_silence_stand_in_front(files: dict[str, Path]) -> None:
    clean, _ = read(files["clean"])
    later, _ = read(files["silence-first"])
    assert not later[: 5 * RATE].any()
    np.testing.assert_allclose(later[5 * RATE :], clean, atol=1e-4)


def test_pitch_is_two_semitones_up_at_the_same_tempo_and_length(files: dict[str, Path]) -> None:
    clean, _ = read(files["clean"])
    shifted, _ = read(files["pitch+2"])
    assert len(shifted) == len(clean)
    assert np.abs(shifted).max() > 0.1
    higher = _changes.higher(sine(440.0), semitones=2)
    assert len(higher) == len(sine(440.0))
    assert peak_hz(higher[RATE : 3 * RATE], RATE) == pytest.approx(440.0 * 2 ** (2 / 12), abs=1.0)
    assert distance(_changes.higher(clicks(0.5), semitones=2)) == pytest.approx(0.5, rel=0.01)


def test_speed_moves_pitch_and_tempo_by_one_semitone(files: dict[str, Path]) -> None:
    clean, _ = read(files["clean"])
    quicker, _ = read(files["speed+1"])
    factor = 2 ** (1 / 12)
    assert len(clean) / len(quicker) == pytest.approx(factor, rel=1e-4)
    faster = _changes.faster(sine(440.0), factor=factor)
    assert peak_hz(faster[: 3 * RATE], RATE) == pytest.approx(440.0 * factor, abs=0.5)
    assert distance(_changes.faster(clicks(0.5), factor=factor)) == pytest.approx(0.5 / factor, rel=0.002)


def test_recordings_are_the_same_to_the_byte_and_are_kept(
    music: Music, questions: list[Question], tmp_path: Path
) -> None:
    made = Path(str(questions[1].recordings[0].source)).parent
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    stamps = {path.name: path.stat().st_mtime_ns for path in made.iterdir()}
    assert all(name.endswith(".flac") for name in before)  # nothing half made is left
    assert robustness.load(music) == questions
    assert {path.name: path.stat().st_mtime_ns for path in made.iterdir()} == stamps
    name = questions[0].id.split("/")[1]
    track = next(one for one in music.short() if one.id == name)
    for change, how in _changes.CHANGES.items():
        assert robustness._changed(track, change, how, tmp_path).read_bytes() == before[f"{name}-{change}.flac"]


def test_what_stays_right_is_counted_among_what_was_right(questions: list[Question]) -> None:
    """Tempo is answered rightly and kept but at 8 kHz; key is never right; presence only where it is changed."""
    said = []
    for question in questions:
        fact, _, change = question.id.split("/")
        right = {"tempo": change != "8kHz", "key": False, "presence": change != "clean"}[fact]
        said.append(Said(text=question.references[0] if right else "Hm."))
    weights = np.ones((1, len(questions)))
    found = {name: float(one(weights)[0]) for name, one in robustness.figures(questions, said).items()}
    assert found["kept"] == pytest.approx(8 / 9)
    assert found["tempo"] == pytest.approx(8 / 9)
    assert found["key"] == 0.0
    assert found["presence"] == 1.0
    clean = [question.groups["fact"] for question in questions if question.groups["change"] == "clean"]
    assert found["clean"] == pytest.approx(clean.count("tempo") / len(clean))
    silent = robustness.figures(questions, [Said()] * len(questions))
    assert np.isnan(silent["kept"](weights)[0])
