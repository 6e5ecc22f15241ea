"""Tiny clips for tests of the encoder's training, rendered and cached.

In: how many clips. Out: a folder of the renderer's, the fixture `store` of 30 cached ones, and the configuration of a
small encoder. Knows no test.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mllm.encoders import _cqt_frontend as frontend
from mllm.encoders import cqt
from mllm.facts import KEYS
from mllm.train.feature_store import add_clips

RATE = frontend.SAMPLE_RATE_HZ
SECONDS = 4.0
SMALL = cqt.Config(
    width=32,
    depth=1,
    heads=2,
    feed_forward=32,
    stem_channels=4,
    pitch_channels=4,
    chroma_channels=4,
    onset_channels=2,
    tempo_width=8,
    note_channels=4,
    timbre_width=8,
)


def render(data: Path, count: int) -> None:
    """Clips of one piano that repeats the tonic of its key at its tempo."""
    (data / "audio").mkdir(parents=True)
    (data / "notes" / "00").mkdir(parents=True)
    lines = []
    for number in range(count):
        name, tempo, pitch = f"song{number}", 80.0 + 20.0 * (number % 3), 60 + number % 12
        onsets = np.arange(0.0, SECONDS - 0.4, 60.0 / tempo)
        time = np.arange(int(SECONDS * RATE)) / RATE
        wave = np.zeros_like(time)
        for onset in onsets:
            after = time >= onset
            decay = np.exp(-6.0 * (time[after] - onset))
            wave[after] += 0.2 * decay * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time[after])
        soundfile.write(data / "audio" / f"{name}.flac", wave, RATE)
        np.savez(
            data / "notes" / "00" / f"{name}.npz",
            onset_s=onsets,
            offset_s=onsets + 0.4,
            pitch=np.full(len(onsets), pitch),
            instrument=np.zeros(len(onsets), int),
            velocity=np.full(len(onsets), 80),
        )
        lines.append(
            {
                "id": name,
                "path": f"audio/{name}.flac",
                "notes_path": f"notes/00/{name}.npz",
                "seconds": SECONDS,
                "tempo_bpm": tempo,
                "key": KEYS[pitch % 12],
                "meter": "4/4",
                "instruments": ["piano"],
            }
        )
    (data / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    render(folder / "data", 30)
    assert add_clips(folder / "data", folder / "store") == 30
    return folder / "store"
