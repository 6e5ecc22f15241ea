"""The checkpoint contract: what is written, what is read back, and every way in which a directory can be wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mllm import checkpoint, contract, registry, templates
from mllm.errors import CheckpointError, ConfigError
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.prompt import Markers

MERT = Path(__file__).parent / "data" / "mert" / "mert95-like"
TINY = Path(__file__).parent / "data" / "tiny"


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    """A tiny LLaMA as it lies on a disk, stored as bfloat16."""
    directory = tmp_path_factory.mktemp("parts") / "llama"
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(reference_tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=reference_tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=reference_tokenizer.eos_token_id,
    )
    model: Any = LlamaForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(directory)
    return directory


def fresh(
    backbone: Path, markers: Markers, *, adapter: str = "linear", seed: int = 0, chat_template: str | None = None
) -> Any:
    settings_file = TINY / f"adapter_{adapter}.json"
    settings = json.loads(settings_file.read_text()) if settings_file.exists() else {"tokens_per_second": 2.0}
    return checkpoint.assemble(
        backbone=backbone,
        audio_encoder=MERT,
        encoder_name="mert",
        adapter={"name": adapter, **settings},
        chat_template=chat_template,
        seed=seed,
        audio_token=markers.audio_token,
        audio_token_id=markers.audio_token_id,
        audio_start=markers.audio_start,
        audio_end=markers.audio_end,
    )


@pytest.fixture(scope="module")
def markers(named_markers: Callable[[str], Markers]) -> Markers:
    return named_markers("reference")


@pytest.fixture(scope="module")
def model(backbone: Path, markers: Markers) -> Any:
    return fresh(backbone, markers)


@pytest.fixture(scope="module")
def processor(model: Any, reference_tokenizer: PreTrainedTokenizerFast) -> MusicLLMProcessor:
    return MusicLLMProcessor.from_config(model.config, reference_tokenizer)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, model: Any, processor: MusicLLMProcessor) -> Path:
    """A checkpoint with its frozen parts inside; tests that alter it copy it first."""
    directory = tmp_path_factory.mktemp("saved") / "checkpoint"
    checkpoint.save(
        model,
        processor,
        directory,
        card="# A tiny model\n",
        run={"steps": 3, "data": {"sha256": "f" * 64}},
        frozen={"backbone": "backbone", "audio_encoder": "audio_encoder"},
    )
    return directory


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    """A checkpoint that may be altered."""
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def alter_config(directory: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    alter(directory / "config.json", change)


def alter(path: Path, change: Callable[[dict[str, Any]], Any]) -> int:
    settings = json.loads(path.read_text())
    change(settings)
    return path.write_text(json.dumps(settings))


def alter_tensors(directory: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    path = directory / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def answer(model: Any) -> torch.Tensor:
    window = 0.1 * torch.randn(24000, generator=torch.Generator().manual_seed(2))
    places = [model.config.audio_token_id] * model.config.num_soft_tokens(24000)
    ids = torch.tensor([[30, *places, 40, 41]])
    tokens: torch.Tensor = model.generate(
        ids, attention_mask=torch.ones_like(ids), audio_waveforms=[window], max_new_tokens=12, do_sample=False
    )
    return tokens


def test_a_checkpoint_holds_the_trained_tensors_and_the_contract(saved: Path, model: Any) -> None:
    names = {path.name for path in saved.iterdir()}
    assert {"config.json", "adapter_model.safetensors", "README.md", "run.yaml", "backbone", "audio_encoder"} <= names
    tensors = load_file(saved / "adapter_model.safetensors")
    assert set(tensors) == set(model.trained_parts().state_dict())
    assert all(name.startswith(("audio_adapter.", "layer_mix.")) for name in tensors)
    settings = json.loads((saved / "config.json").read_text())
    assert settings["frozen"]["backbone"]["id_or_path"] == "backbone"
    assert len(settings["frozen"]["audio_encoder"]["sha256"]) == len(settings["chat_template_sha256"]) == 64
    assert (settings["sample_rate_hz"], settings["frames_per_second"], settings["tokens_per_second"]) == (24000, 75, 2)
    assert str(Path.cwd()) not in (saved / "config.json").read_text()
    assert (saved / "README.md").read_text() == "# A tiny model\n"
    assert yaml.safe_load((saved / "run.yaml").read_text()) == {"steps": 3, "data": {"sha256": "f" * 64}}
    assert [path.name for path in saved.parent.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("adapter", registry.names("adapter"))
def test_what_is_loaded_answers_as_what_was_saved(
    backbone: Path, markers: Markers, reference_tokenizer: PreTrainedTokenizerFast, tmp_path: Path, adapter: str
) -> None:
    model = fresh(backbone, markers, adapter=adapter, seed=11)
    processor = MusicLLMProcessor.from_config(model.config, reference_tokenizer)
    checkpoint.save(model, processor, tmp_path / "new", card="", run={})
    torch.manual_seed(99)
    loaded, read_processor = checkpoint.load(tmp_path / "new")
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(answer(loaded), answer(model))
    assert not loaded.training
    assert loaded.language_model.dtype == torch.float32
    assert read_processor.markers == processor.markers


def test_a_template_that_was_chosen_by_name_is_saved_and_read_back(
    backbone: Path, markers: Markers, reference_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    model = fresh(backbone, markers, chat_template="vicuna")
    own = reference_tokenizer.chat_template
    processor = MusicLLMProcessor.from_config(model.config, reference_tokenizer)
    checkpoint.save(model, processor, tmp_path / "new", card="", run={})
    loaded, read_processor = checkpoint.load(tmp_path / "new")
    assert loaded.config.chat_template == "vicuna"
    assert read_processor.tokenizer.chat_template == templates.read("vicuna")
    assert reference_tokenizer.chat_template == own
    assert json.loads((tmp_path / "new" / "config.json").read_text())["chat_template"] == "vicuna"


def test_a_template_that_does_not_fit_is_refused_before_training(
    backbone: Path, markers: Markers, reference_tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(ConfigError, match=r"no chat template named 'vicunna' \(did you mean 'vicuna'\?\)"):
        fresh(backbone, markers, chat_template="vicunna")
    model = fresh(backbone, markers, chat_template="chatml")
    with pytest.raises(ConfigError, match=r"'chatml' writes '<\|im_start\|>', which this tokenizer splits into \d+"):
        MusicLLMProcessor.from_config(model.config, reference_tokenizer)
    bare = PreTrainedTokenizerFast(tokenizer_object=reference_tokenizer.backend_tokenizer, eos_token="<|end|>")
    with pytest.raises(ConfigError, match="the tokenizer has no chat template and none was chosen"):
        MusicLLMProcessor.from_config(fresh(backbone, markers).config, bare)


def test_the_seed_decides_the_first_adapter_and_nothing_else(backbone: Path, markers: Markers, model: Any) -> None:
    before = torch.get_rng_state()
    same, other = fresh(backbone, markers), fresh(backbone, markers, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(same.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    assert not torch.equal(other.audio_adapter.projection.weight, same.audio_adapter.projection.weight)


def test_the_methods_of_transformers_do_the_same(saved: Path, model: Any, tmp_path: Path) -> None:
    opened: Any = AutoModelForCausalLM.from_pretrained(saved)
    assert isinstance(opened, MusicLLMForConditionalGeneration)
    assert torch.equal(answer(opened), answer(model))
    opened.save_pretrained(tmp_path / "again")
    assert not (tmp_path / "again" / "backbone").exists()
    assert Path(
        json.loads((tmp_path / "again" / "config.json").read_text())["frozen"]["backbone"]["id_or_path"]
    ).is_dir()
    assert torch.equal(answer(MusicLLMForConditionalGeneration.from_pretrained(tmp_path / "again")), answer(model))


def test_saving_in_the_same_place_replaces_it(copy: Path) -> None:
    model, processor = checkpoint.load(copy)
    (copy / "left-over.txt").write_text("old")
    checkpoint.save(model, processor, copy, card="# Again\n", run={})
    assert (copy / "README.md").read_text() == "# Again\n"
    assert not (copy / "left-over.txt").exists()
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]
    assert torch.equal(answer(checkpoint.load(copy)[0]), answer(model))


def test_a_directory_that_is_something_else_is_not_replaced(model: Any, processor: Any, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("friend")
    with pytest.raises(CheckpointError, match="holds something that is not a checkpoint"):
        checkpoint.save(model, processor, tmp_path / "letters", card="", run={})
    with pytest.raises(CheckpointError, match=r"cannot go to '\.\./out'"):
        checkpoint.save(model, processor, tmp_path / "new", card="", run={}, frozen={"backbone": "../out"})
    with pytest.raises(CheckpointError, match=r"no frozen part 'backbon' \(did you mean 'backbone'\?\)"):
        checkpoint.save(model, processor, tmp_path / "new", card="", run={}, frozen={"backbon": "x"})
    assert [path.name for path in tmp_path.iterdir()] == ["letters"]


def test_a_frozen_part_may_lie_elsewhere_if_its_content_agrees(copy: Path, backbone: Path) -> None:
    shutil.rmtree(copy / "backbone")
    with pytest.raises(CheckpointError, match=r"names the frozen part 'backbone', but .* is not there"):
        checkpoint.load(copy)
    model, _ = checkpoint.load(copy, frozen={"backbone": backbone})
    assert model.config.frozen["backbone"]["id_or_path"] == str(backbone)
    with pytest.raises(CheckpointError, match=r"the backbone in .* is not the one"):
        checkpoint.load(copy, frozen={"backbone": MERT})
    with pytest.raises(CheckpointError, match=r"there is no frozen part \['decoder'\]"):
        checkpoint.load(copy, frozen={"decoder": MERT})


def _misspell(settings: dict[str, Any]) -> None:
    settings["max_windws"] = settings.pop("max_windows")


def _misspell_adapter(settings: dict[str, Any]) -> None:
    settings["audio_adapter"]["tokens_per_secund"] = settings["audio_adapter"].pop("tokens_per_second")


ALTERATIONS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a tensor is missing": (
        lambda d: alter_tensors(d, lambda t: t.pop("layer_mix.logits")),
        "adapter_model.safetensors do not fit .* missing: layer_mix.logits",
    ),
    "a tensor too many": (
        lambda d: alter_tensors(d, lambda t: t.update(extra=torch.zeros(2))),
        "not expected: extra",
    ),
    "a tensor of another shape": (
        lambda d: alter_tensors(d, lambda t: t.update({"layer_mix.logits": torch.zeros(9)})),
        r"layer_mix.logits is floating-point \(9,\) instead of",
    ),
    "no tensors": (lambda d: (d / "adapter_model.safetensors").unlink(), "there is no adapter_model.safetensors"),
    "cut short": (
        lambda d: (d / "adapter_model.safetensors").write_bytes((d / "adapter_model.safetensors").read_bytes()[:100]),
        "is not a whole safetensors file",
    ),
    "a misspelt key": (
        lambda d: alter_config(d, _misspell),
        r"config.json: max_windws is not a setting \(did you mean 'max_windows'",
    ),
    "a misspelt adapter key": (
        lambda d: alter_config(d, _misspell_adapter),
        r"tokens_per_secund is not a setting \(did you mean 'tokens_per_second'",
    ),
    "not JSON": (lambda d: (d / "config.json").write_text("{"), "config.json cannot be read as JSON"),
    "another model": (lambda d: alter_config(d, lambda s: s.update(model_type="llama")), "describes a 'llama' model"),
    "no frozen entry": (
        lambda d: alter_config(d, lambda s: s["frozen"].pop("backbone")),
        "does not say which backbone",
    ),
    "an altered backbone": (
        lambda d: (d / "backbone" / "generation_config.json").write_text("{}"),
        "the backbone in .* is not the one that the checkpoint was trained with: expected sha256 [0-9a-f]+, found",
    ),
    "an altered encoder": (
        lambda d: (d / "audio_encoder" / "preprocessor_config.json").write_text("{}"),
        "the audio_encoder in .* is not the one",
    ),
    "another text_config": (
        lambda d: alter_config(d, lambda s: s["text_config"].update(rms_norm_eps=0.5)),
        "text_config differs .* rms_norm_eps: the checkpoint says 0.5",
    ),
    "other encoder settings": (
        lambda d: alter_config(d, lambda s: s["audio_encoder"].update(window_seconds=7.0)),
        "audio_encoder.window_seconds is 30.0 in .*processor_config.json, but 7.0 in config.json",
    ),
    "other encoder settings everywhere": (
        lambda d: [
            alter(d / name, lambda s: s["audio_encoder"].update(window_seconds=7.0))
            for name in ("config.json", "processor_config.json")
        ],
        "audio_encoder in the checkpoint is .*window_seconds=7.0.* but the encoder",
    ),
    "another frame rate": (
        lambda d: alter_config(d, lambda s: s.update(frames_per_second=50.0)),
        "frames_per_second is 50.0 in the configuration, but the part runs at 75",
    ),
    "an altered template": (
        lambda d: (d / "chat_template.jinja").write_text((d / "chat_template.jinja").read_text() + " "),
        "the chat template in .* is not the one .* expected sha256 [0-9a-f]+, found",
    ),
    "a tokenizer that ends elsewhere": (
        lambda d: alter(d / "tokenizer_config.json", lambda s: s.update(eos_token="<|pad|>")),
        r"the tokenizer in .* does not fit: .* ends the assistant's turn with '<\|end\|>', but answers stop at",
    ),
    "a processor of other settings": (
        lambda d: alter(d / "processor_config.json", lambda s: s.update(audio_token_id=9)),
        "audio_token_id is 9 in .*processor_config.json, but 7 in config.json",
    ),
    "no processor": (lambda d: (d / "processor_config.json").unlink(), "processor"),
    "a path that leads out": (
        lambda d: alter_config(d, lambda s: s["frozen"]["backbone"].update(id_or_path="../copy/backbone/../../..")),
        "leads out of the checkpoint .*; a relative path must stay inside",
    ),
    "an absolute path to nothing": (
        lambda d: alter_config(d, lambda s: s["frozen"]["backbone"].update(id_or_path="/no/such/model")),
        "the frozen part /no/such/model is not there",
    ),
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_altered_checkpoint_is_refused_in_one_sentence(copy: Path, alteration: str) -> None:
    damage, sentence = ALTERATIONS[alteration]
    damage(copy)
    with pytest.raises(CheckpointError, match=sentence) as error:
        checkpoint.load(copy)
    assert "\n" not in str(error.value)


def test_a_link_that_leads_out_is_refused(copy: Path, backbone: Path) -> None:
    shutil.rmtree(copy / "backbone")
    (copy / "backbone").symlink_to(backbone)
    with pytest.raises(CheckpointError, match="leads out of the checkpoint"):
        checkpoint.load(copy)


def test_an_unknown_model_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, **options: Any) -> str:
        raise FileNotFoundError(f"no snapshot of {name}\nand a second line")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, sentence in (
        ("no-such-model", "there is no model at 'no-such-model'"),
        (str(tmp_path / "nothing"), "there is no model at"),
        (tmp_path / "empty", "holds no config.json"),
        (tmp_path / "file", "is a file; give the directory"),
        ("nobody/nothing", r"no model of that name could be fetched \(no snapshot of nobody/nothing\)"),
    ):
        with pytest.raises(CheckpointError, match=sentence):
            checkpoint.load(name)


def test_a_part_that_is_no_language_model_is_refused(markers: Markers, tmp_path: Path, backbone: Path) -> None:
    broken = Path(shutil.copytree(backbone, tmp_path / "llama"))
    tensors = load_file(broken / "model.safetensors")
    tensors.pop("model.norm.weight")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"has missing keys: \['model.norm.weight'\]"):
        fresh(broken, markers)
    with pytest.raises(CheckpointError, match="cannot be opened"):
        fresh(MERT, markers)


def test_the_reference_checkpoint_lies_in_the_package() -> None:
    assert checkpoint.reference_directory() == Path(str(checkpoint.__file__)).parent / "reference"


def test_settings_of_a_quantisation_that_its_library_fills_in_are_no_difference(tmp_path: Path) -> None:
    scheme = {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8}}}}
    filled = {**scheme, "config_groups": {"group_0": {"weights": {"num_bits": 8, "observer": None}}}}
    four_bits = {**scheme, "config_groups": {"group_0": {"weights": {"num_bits": 4}}}}
    stored, agreeing, another = (
        LlamaConfig.from_dict({"quantization_config": one}) for one in (scheme, filled, four_bits)
    )
    contract.check_text_config(agreeing, stored, tmp_path)
    for other in (another, LlamaConfig()):
        with pytest.raises(CheckpointError, match=r"text_config differs .* quantization_config"):
            contract.check_text_config(other, stored, tmp_path)
