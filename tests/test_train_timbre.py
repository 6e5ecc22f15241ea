"""The last stage of encoder training: stems, mixtures of them, a run and its resumption."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mllm.encoders import _cqt_frontend as frontend
from mllm.encoders import cqt
from mllm.errors import ConfigError
from mllm.facts import INSTRUMENTS
from mllm.train import timbre
from mllm.train.stem_mixing import Mixing, mixed
from mllm.train.stem_store import StemStore, add_stems
from tests import tiny_clips
from tests.tiny_clips import RATE, SECONDS, SMALL

# pytest finds the fixtures of a file by their names in it.
store = tiny_clips.store


def stems_of(folder: Path, count: int) -> Path:
    """A varied build of clips with a dull low piano and, in every second one, a bright accordion; and their store."""
    data = folder / "varied"
    (data / "stems").mkdir(parents=True)
    generator = np.random.default_rng(0)
    lines: list[dict[str, object]] = []
    for number in range(count):
        time = np.arange(int(SECONDS * RATE)) / RATE
        low = np.sin(2 * np.pi * 220 * time) * (1 + np.sin(2 * np.pi * 3 * time))
        bright = generator.standard_normal(len(time)) * (1 + np.sin(2 * np.pi * 2 * time))
        names = ["piano", "accordion"] if number % 2 else ["piano"]
        waves = np.stack([low, 0.5 * bright][: len(names)], 1) * 0.2
        soundfile.write(data / "stems" / f"clip{number}.flac", waves, RATE)
        font = "a+b" if number % 3 else "a"
        line = {"id": f"clip{number}", "stems_path": f"stems/clip{number}.flac", "instruments": names}
        lines.append({**line, "sound_font": font})
    lines[-1] = {**lines[-1], "stems_path": None}  # more instruments than a file has channels
    (data / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert add_stems(data, folder / "stems") == count - 1
    assert add_stems(data, folder / "stems") == 0
    return folder / "stems"


@pytest.fixture(scope="module")
def stems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stems_of(tmp_path_factory.mktemp("stems"), 12)


def test_stems_are_kept_at_unit_loudness_with_their_gains(stems: Path) -> None:
    store = StemStore(stems)
    clip = store.clips[1]
    levels = store.read(clip)
    assert levels.shape == (2, frontend.num_slots(int(SECONDS * RATE)) * frontend.MEL_PER_SLOT, frontend.MEL_BANDS)
    assert clip.instruments == (0, 3)
    assert clip.gains_db[0] - clip.gains_db[1] == pytest.approx(3.0, abs=0.2)
    samples, _ = soundfile.read(stems.parent / "varied" / "stems" / "clip1.flac", dtype="float32")
    expected = frontend.FrontEnd()(torch.from_numpy(samples[:, 1].copy())[None])[0, :, frontend.CQT_BINS :]
    np.testing.assert_allclose(levels[1].ravel() / 255.0, expected.numpy().ravel(), atol=0.5 / 255 + 1e-5)


def test_stems_need_a_varied_build(store: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--varied"):
        add_stems(store.parent / "data", tmp_path / "stems")
    with pytest.raises(ConfigError, match=r"has no labels\.jsonl"):
        add_stems(tmp_path, tmp_path / "stems")


def test_a_mixture_holds_its_stems_and_stays_in_range(stems: Path) -> None:
    store = StemStore(stems)
    still = Mixing(drop_share=0.0, few_share=0.0, guest_share=0.0)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        mel, labels, weights, moments = mixed(store, store.clips[1], frames=104, rng=rng, mixing=still)
        assert mel.shape == (104, frontend.MEL_BANDS)
        assert mel.dtype == labels.dtype == weights.dtype == np.float32
        assert mel.min() >= 0.0
        assert mel.max() <= 1.0
        assert np.flatnonzero(labels).tolist() == [0, 3]
        assert weights.all()
        assert moments.shape == (13, len(INSTRUMENTS))
        assert (moments.max(0) > 0.5).tolist() == labels.astype(bool).tolist()


def test_a_stem_that_nobody_hears_is_not_judged(stems: Path) -> None:
    store = StemStore(stems)
    buried = dataclasses.replace(store.clips[1], gains_db=(-60.0, 0.0))
    calm = Mixing(drop_share=0.0, few_share=0.0, guest_share=0.0, gain_db=0.1)
    _, labels, weights, moments = mixed(store, buried, frames=104, rng=np.random.default_rng(0), mixing=calm)
    assert np.flatnonzero(labels).tolist() == [3]
    assert np.flatnonzero(weights == 0.0).tolist() == [0]
    assert not moments[:, 0].any()


def finishing(store: Path, stems: Path, output: Path, **changes: object) -> timbre.TimbreConfig:
    settings = timbre.TimbreConfig(
        encoder=str(output.parent / "trained"),
        stores=(str(store),),
        stems=(str(stems),),
        output=str(output),
        steps=6,
        batch_size=4,
        shortest_seconds=2.0,
        longest_seconds=3.0,
        patch_channels=4,
        eval_steps=3,
    )
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]


def test_fitted_branches_tell_two_timbres_apart(store: Path, stems: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = finishing(store, stems, tmp_path / "out", stem_share=1.0, steps=60, batch_size=8, dropout=0.0)
    branches = timbre.Branches(dataclasses.replace(SMALL, patch_channels=4))
    timbre.fit(branches, timbre.Examples(settings), settings, dict)
    mel, labels, _, _ = timbre.Examples(settings).batch(1000)
    with torch.no_grad():
        logits = branches(mel)[0][:, 3]
    assert logits[labels[:, 3] == 1].mean() > logits[labels[:, 3] == 0].mean() + 1.0


def test_the_last_stage_writes_a_whole_encoder(store: Path, stems: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    cqt.Encoder(SMALL).save_pretrained(tmp_path / "trained")
    settings = finishing(store, stems, tmp_path / "finished", held_out=(str(store),))
    metrics = timbre.finish(settings)
    before = cqt.Encoder.from_pretrained(tmp_path / "trained")
    after = cqt.Encoder.from_pretrained(tmp_path / "finished")
    assert after.config == dataclasses.replace(SMALL, patch_channels=4)
    changed = {
        name
        for name, tensor in after.state_dict().items()
        if name not in before.state_dict() or not torch.equal(tensor, before.state_dict()[name].bfloat16().float())
    }
    assert {name.split(".")[0] for name in changed} == {"instruments", "patches"}
    assert 0.0 <= metrics["store_instruments_f1"] <= 1.0
    assert json.loads((tmp_path / "finished" / "metrics.json").read_text()) == metrics

    thresholds = tuple(json.loads((tmp_path / "finished" / "thresholds.json").read_text())["thresholds"])
    same = finishing(store, stems, tmp_path / "other", seed=1, thresholds_of=str(tmp_path / "finished"))
    timbre.finish(same)
    assert tuple(json.loads((tmp_path / "other" / "thresholds.json").read_text())["thresholds"]) == thresholds


def test_a_stopped_last_stage_goes_on(store: Path, stems: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = finishing(store, stems, tmp_path / "whole", dropout=0.0)
    config = dataclasses.replace(SMALL, patch_channels=4)
    start = timbre.Branches(config)
    whole, halves = timbre.Branches(config), timbre.Branches(config)
    whole.load_state_dict(start.state_dict())
    halves.load_state_dict(start.state_dict())
    timbre.fit(whole, timbre.Examples(settings), settings, dict)

    class StoppedError(Exception):
        """What ends the first half."""

    def stop() -> dict[str, float]:
        raise StoppedError

    divided = dataclasses.replace(settings, output=str(tmp_path / "halves"), save_minutes=0.0, eval_steps=4)
    with pytest.raises(StoppedError):
        timbre.fit(halves, timbre.Examples(divided), divided, stop)
    resumed = timbre.Branches(config)
    timbre.fit(resumed, timbre.Examples(divided), divided, dict)
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)


def test_a_font_can_be_left_out(store: Path, stems: Path, tmp_path: Path) -> None:
    examples = timbre.Examples(finishing(store, stems, tmp_path, without_font="b"))
    assert {clip.fonts for _, clip in examples.stems} == {"a"}
    assert examples.whole == []  # nothing says which font plays them


def test_the_last_stage_needs_clips(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no clips are cached"):
        timbre.Examples(timbre.TimbreConfig(encoder="", stores=(str(tmp_path),), output=""))
