"""Training of the compact encoder on tiny synthetic clips: cache, augmentation, scores, a run and its resumption."""

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
from mllm.facts import INSTRUMENTS, KEYS, TEMPO_CLASSES_BPM, key_index
from mllm.train import encoder_metrics, timbre
from mllm.train.encoder import EncoderTraining, EncoderTrainingConfig, TrainingStream, is_validation, train
from mllm.train.feature_augment import IGNORE, NONE, Augmentation, example, tempo_target
from mllm.train.feature_store import (
    ACTIVITY,
    BASS,
    LOWEST_PITCH,
    NO_BASS,
    PITCH_CLASSES,
    FeatureStore,
    add_clips,
    slot_targets,
)
from mllm.train.stem_mixing import Mixing, mixed
from mllm.train.stem_store import StemStore, add_stems

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


def test_a_store_gives_back_what_the_front_end_said(store: Path) -> None:
    features = FeatureStore(store)
    clip = next(clip for clip in features.clips if clip.id == "song1")
    levels, targets, notes = features.read(clip)
    samples, _ = soundfile.read(store.parent / "data" / "audio" / "song1.flac", dtype="float32")
    expected = frontend.FrontEnd()(torch.from_numpy(samples)[None])[0].numpy()
    np.testing.assert_allclose(levels, expected, atol=0.5 / 255 + 1e-6)
    assert (clip.tempo_bpm, KEYS[clip.key], clip.instruments) == (100.0, "Db major", (0,))
    assert targets[1, PITCH_CLASSES].tolist() == [0, 1] + [0] * 10
    assert np.flatnonzero(notes[1]).tolist() == [61 - LOWEST_PITCH]
    piece, _, _ = features.read(clip, 10, 5)
    np.testing.assert_array_equal(piece, levels[10:15])


def test_caching_goes_on_where_it_stopped(tmp_path: Path) -> None:
    render(tmp_path / "data", 3)
    labels = tmp_path / "data" / "labels.jsonl"
    whole = labels.read_text()
    labels.write_text(whole[:-20])  # the renderer is in the middle of the last line
    assert add_clips(tmp_path / "data", tmp_path / "store", limit=1) == 1
    store = FeatureStore(tmp_path / "store")
    assert add_clips(tmp_path / "data", tmp_path / "store") == 1
    labels.write_text(whole)
    assert add_clips(tmp_path / "data", tmp_path / "store") == 1
    assert add_clips(tmp_path / "data", tmp_path / "store") == 0
    assert store.refresh() == 3
    assert [clip.id for clip in store.clips] == ["song0", "song1", "song2"]


def test_a_folder_without_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no labels\.jsonl"):
        add_clips(tmp_path, tmp_path / "store")


def test_targets_of_notes() -> None:
    targets, sets = slot_targets(
        np.array([0.0, 0.16, 0.0]),
        np.array([0.32, 0.32, 0.08]),
        np.array([64, 50, 36]),
        np.array(["piano", "bass", "drums"]),
        slots=5,
    )
    assert targets[:, 4].tolist() == [1, 1, 1, 1, 0]
    assert sets[:, 64 - LOWEST_PITCH].tolist() == [1, 1, 1, 1, 0]
    assert sets[2, 50 - LOWEST_PITCH] == 1 << INSTRUMENTS.index("bass")
    assert not sets[:, 36 - LOWEST_PITCH].any()
    assert targets[:, 2].tolist() == [0, 0, 1, 1, 0]
    assert targets[:, 0].tolist() == [0] * 5  # drums have no pitch class
    assert targets[:, BASS].tolist() == [4, 4, 2, 2, NO_BASS]
    assert targets[:, ACTIVITY.start + INSTRUMENTS.index("drums")].tolist() == [1, 0, 0, 0, 0]


def test_an_example_without_augmentation_is_the_clip(store: Path) -> None:
    features = FeatureStore(store)
    clip = features.clips[0]
    levels, _, _ = features.read(clip)
    made = example(features, clip, slots=clip.slots, rng=np.random.default_rng(0), augmentation=NONE)
    np.testing.assert_allclose(made["features"], levels, atol=1e-6)
    assert int(made["key"]) == clip.key
    assert TEMPO_CLASSES_BPM[int(made["tempo"].argmax())] == pytest.approx(clip.tempo_bpm, rel=0.015)


@pytest.mark.parametrize("seed", range(4))
def test_transposition_moves_bins_and_labels_together(store: Path, seed: int) -> None:
    features = FeatureStore(store)
    clip = features.clips[5]
    only = Augmentation(
        semitones=6, detune_bins=0, stretch=1, tilt_db_per_octave=0, gain_db=0, noise_share=0, mask_share=0
    )
    made = example(features, clip, slots=40, rng=np.random.default_rng(seed), augmentation=only)
    loudest = int(made["features"][:, : frontend.CQT_BINS].mean(0).argmax())
    tonic = int(made["key"])
    assert loudest // 2 % 12 == tonic
    sounding = made["pitch_classes"].sum(0)
    assert int(sounding.argmax()) == tonic
    assert set(made["bass"].tolist()) <= {tonic, IGNORE}
    assert {(LOWEST_PITCH + note) % 12 for note in np.flatnonzero(made["notes"].any(0))} == {tonic}


def test_stretching_moves_onsets_and_tempo_together(store: Path) -> None:
    features = FeatureStore(store)
    clip = features.clips[0]
    only = Augmentation(
        semitones=0, detune_bins=0, stretch=1.25, tilt_db_per_octave=0, gain_db=0, noise_share=0, mask_share=0
    )
    made = example(features, clip, slots=40, rng=np.random.default_rng(1), augmentation=only)
    mel = made["features"][:, frontend.CQT_BINS :].reshape(160, -1).mean(1)
    onsets = np.maximum(0, np.diff(mel))
    lags = np.array([np.dot(onsets[:-lag], onsets[lag:]) for lag in range(15, 60)])
    tempo = 60.0 * frontend.MEL_FRAMES_PER_SECOND / (15 + int(lags.argmax()))
    named = TEMPO_CLASSES_BPM[int(made["tempo"].argmax())]
    assert named != clip.tempo_bpm
    assert named == pytest.approx(tempo, rel=0.04)


def test_heavy_augmentation_stays_in_range(store: Path) -> None:
    features = FeatureStore(store)
    heavy = Augmentation(noise_share=1.0, mask_share=1.0)
    for seed in range(10):
        made = example(
            features, features.clips[seed], slots=32 + 10 * seed, rng=np.random.default_rng(seed), augmentation=heavy
        )
        assert made["features"].shape == (32 + 10 * seed, frontend.SLOT_WIDTH)
        assert made["features"].dtype == np.float32
        assert made["features"].min() >= 0.0
        assert made["features"].max() <= 1.0


def test_tempo_target_is_a_narrow_hill() -> None:
    target = tempo_target(120.0)
    assert target.sum() == pytest.approx(1.0)
    assert TEMPO_CLASSES_BPM[int(target.argmax())] == pytest.approx(120.0, rel=0.015)
    assert not tempo_target(0.0).any()


@pytest.mark.parametrize(
    ("truth", "prediction", "score"),
    [
        ("C major", "C major", 1.0),
        ("C major", "G major", 0.5),
        ("A minor", "D minor", 0.5),
        ("C major", "A minor", 0.3),
        ("F# minor", "A major", 0.3),
        ("C major", "C minor", 0.2),
        ("C major", "Db major", 0.0),
        ("C major", "E minor", 0.0),
    ],
)
def test_key_scores_follow_mirex(truth: str, prediction: str, score: float) -> None:
    assert encoder_metrics.mirex_key_score(key_index(truth), key_index(prediction)) == score


def test_scores_of_known_predictions(store: Path) -> None:
    clips = tuple(FeatureStore(store).clips[:4])
    probabilities = np.zeros((4, len(INSTRUMENTS)))
    probabilities[:, 0] = 0.7
    probabilities[:2, 1] = 0.3
    predictions = encoder_metrics.Predictions(
        tempo_bpm=np.array([clips[0].tempo_bpm * 1.03, clips[1].tempo_bpm * 2, clips[2].tempo_bpm, 60.0]),
        key=np.array([clip.key for clip in clips[:3]] + [(clips[3].key + 7) % 12]),
        meter=np.array([2, 2, 2, 1]),
        instruments=probabilities,
        clips=clips,
    )
    thresholds = encoder_metrics.choose_thresholds(predictions)
    assert len(thresholds) == len(INSTRUMENTS)
    assert all(0.3 < threshold <= 0.7 for threshold in thresholds[:2])  # between what is not there and what is
    result = encoder_metrics.scores(predictions, (0.5, 0.25) + (0.5,) * (len(INSTRUMENTS) - 2))
    assert result["key"] == 0.75
    assert result["key_mirex"] == 0.875
    assert (result["tempo"], result["tempo_octave"]) == (0.5, 0.75)
    assert result["meter"] == 0.75
    assert result["instruments_f1"] == pytest.approx(2 * 4 / (6 + 4))


def test_every_parameter_learns(store: Path) -> None:
    torch.manual_seed(0)
    model = EncoderTraining(cqt.Encoder(SMALL))
    stream = TrainingStream(EncoderTrainingConfig(stores=(str(store),), output="", shortest_seconds=2.0, batch_size=2))
    batch = {key: torch.from_numpy(np.stack([stream[0][key], stream[1][key]])) for key in stream[0]}
    model(**batch)["loss"].backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_the_stream_is_reproducible_and_spares_validation(store: Path) -> None:
    config = EncoderTrainingConfig(stores=(str(store),), output="", shortest_seconds=2.0, longest_seconds=4.0)
    first, second = TrainingStream(config), TrainingStream(config)
    np.testing.assert_array_equal(first[7]["features"], second[7]["features"])
    assert {first[index]["features"].shape for index in range(config.batch_size)} == {first[0]["features"].shape}
    kept = [clip.id for _, clip in first.validation()]  # song19 and song23, by the checksum of the name
    assert kept
    assert all(is_validation(name) for name in kept)


def test_an_empty_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no clips are cached"):
        TrainingStream(EncoderTrainingConfig(stores=(str(tmp_path),), output=""))


def test_a_run_learns_is_resumed_and_writes_an_encoder(store: Path, tmp_path: Path) -> None:
    def config(steps: int) -> EncoderTrainingConfig:
        return EncoderTrainingConfig(
            stores=(str(store),),
            held_out=(str(store),),
            output=str(tmp_path),
            max_steps=steps,
            batch_size=4,
            shortest_seconds=2.0,
            longest_seconds=4.0,
            warmup_steps=2,
            eval_steps=4,
            eval_clips=4,
            save_minutes=0.0,
            encoder=SMALL,
        )

    train(config(4))
    assert (tmp_path / "checkpoint-4" / "clock.json").is_file()
    report = train(config(8))
    assert report["steps"] == 8
    assert 0.0 <= report["store_key"] <= 1.0
    log = json.loads((tmp_path / "checkpoint-8" / "trainer_state.json").read_text())["log_history"]
    assert any("eval_store_tempo" in line for line in log)
    loaded = cqt.Encoder.from_pretrained(tmp_path / "encoder")
    assert loaded.config.width == SMALL.width
    assert (tmp_path / "metrics.json").is_file()


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
