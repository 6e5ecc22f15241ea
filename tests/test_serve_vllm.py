"""Serving: vLLM and transformers get the same prompt of a conversation, and say the same with the same probability."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import itertools
import json
import os
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

from mllm import checkpoint, serve
from mllm.errors import CheckpointError
from mllm.listener import Listener
from mllm.messages import Audio, parse
from mllm.prompt import build_prompt
from mllm.serve_settings import ServeSettings
from tests.tiny_checkpoint import RATE_HZ, item, user, write_catalogue, write_checkpoint, write_music

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed (make install-serve)"),
    pytest.mark.slow,
    # What vLLM's own files and torch's, which it calls, tell their developers.
    pytest.mark.filterwarnings(r"ignore::DeprecationWarning:(vllm|torch)\b.*"),
    pytest.mark.filterwarnings(r"ignore::FutureWarning:(vllm|torch)\b.*"),
    pytest.mark.filterwarnings(r"ignore::UserWarning:(vllm|torch)\b.*"),
]
PAST_VOCABULARY = 9999
"""Placeholder of the tiny model, as for a backbone whose vocabulary has none."""
DEMO = Path(__file__).parents[1] / "mllm" / "data" / "demo.mp3"
BOUND = 1e-4
"""Of the difference of a log-probability; both sides compute in float32. Measured worst: 1.2e-5."""
LONGEST_ANSWER = 12
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_PLUGINS": "mllm",
    "HF_HUB_OFFLINE": "1",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
    """An answer: the ids of the prompt and of the answer, and the log-probability of each of the latter."""

    prompt: list[int]
    ids: list[int]
    log_probabilities: list[float]


@contextlib.contextmanager
def engine(directory: Path, *, catalogue: Path | None = None, **options: Any) -> Iterator[Any]:
    """An engine in this process, which may open any local file."""
    told = ServeSettings(catalog=None if catalogue is None else str(catalogue)).to_environment()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, **told}.items():
            patch.setenv(name, value)
        with warnings.catch_warnings():
            # What the hundreds of modules that vLLM imports while it starts tell their developers.
            warnings.simplefilter("ignore")
            from vllm import LLM
            from vllm.distributed import cleanup_dist_env_and_memory

            serve.register()  # as vLLM does, if this checkout is what is installed; a second time changes nothing
            serve.register()
            llm = LLM(
                str(directory),
                dtype="float32",
                enforce_eager=True,
                max_num_seqs=32,
                limit_mm_per_prompt={"audio": 4} if catalogue is None else {"audio": 4, "item": 3},
                enable_mm_embeds=True,
                skip_mm_profiling=True,
                allowed_local_media_path="/",
                **options,
            )
        try:
            yield llm
        finally:
            llm.llm_engine.engine_core.shutdown()
            del llm
            cleanup_dist_env_and_memory()


def served(llm: Any, prompts: list[Any], *, chat: bool = True, lora: Any = None) -> list[Said]:
    from vllm import SamplingParams

    settings = SamplingParams(temperature=0.0, max_tokens=LONGEST_ANSWER, logprobs=0)
    outputs = (llm.chat if chat else llm.generate)(prompts, settings, use_tqdm=False, lora_request=lora)
    answers = []
    for output in outputs:
        (answer,) = output.outputs
        ids = list(answer.token_ids)
        chances = [one[token].logprob for one, token in zip(answer.logprobs, ids, strict=True)]
        answers.append(Said(prompt=list(output.prompt_token_ids), ids=ids, log_probabilities=chances))
    return answers


@torch.no_grad()
def said_by_transformers(listener: Listener, conversation: Any) -> Said:
    batch = listener.processor(conversation, catalogue=listener.catalogue)
    output = listener.model.generate(
        **batch,
        max_new_tokens=LONGEST_ANSWER,
        do_sample=False,
        output_scores=True,
        return_dict_in_generate=True,
    )
    prompt = batch["input_ids"][0].tolist()
    ids = output.sequences[0, len(prompt) :].tolist()
    chances = [float(scores[0].log_softmax(-1)[token]) for scores, token in zip(output.scores, ids, strict=True)]
    return Said(prompt=prompt, ids=ids, log_probabilities=chances)


def assert_same(found: Said, expected: Said) -> None:
    assert found.ids == expected.ids
    assert found.log_probabilities == pytest.approx(expected.log_probabilities, abs=BOUND, rel=0)


def file(path: Path, **bounds: float) -> dict[str, Any]:
    return {"type": "audio", "path": str(path), **bounds}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    place = tmp_path_factory.mktemp("tiny")
    # vLLM's attention for CPUs needs heads of at least 32.
    return write_checkpoint(place, reference_tokenizer, audio_token_id=PAST_VOCABULARY, head_dim=32, takes_items=True)


@pytest.fixture(scope="class")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalogue(tmp_path_factory.mktemp("catalogue") / "songs")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_music(tmp_path_factory.mktemp("music"))


@pytest.fixture(scope="class")
def listener(directory: Path, catalogue: Path) -> Listener:
    return Listener.load(directory, catalogue=catalogue)


@pytest.fixture(scope="class")
def tiny(directory: Path, catalogue: Path) -> Iterator[Any]:
    with engine(directory, catalogue=catalogue) as llm:
        yield llm


@pytest.fixture(scope="class")
def conversations(music: Path) -> dict[str, Any]:
    one, two, long = (music / f"{name}.wav" for name in ("one", "two", "long"))
    return {
        "audio alone": user(file(one)),
        "text alone": [{"role": "user", "content": "Is there a guitar in it?"}],
        "audio and text": user(file(one), "Which instruments do you hear?"),
        "two audios around text": user(file(two), "Is it like this?", file(one)),
        "two audios side by side": user("What is the key of", file(one), file(two)),
        "longer than what is heard": user(file(long), "What is the key of this piece?"),
        "a stretch of two windows": user(file(long, start=2.5, end=11.25), "And here?"),
        "an item": user(item(0), "Who plays?"),
        "items around an audio": user("Is it like", item(1), file(one), item(2), "or like", item(1), "?"),
        "several turns": [
            {"role": "system", "content": "An assistant that hears music."},
            *user(file(two), "What is the key?"),
            {"role": "assistant", "content": "It is in D minor."},
            *user("And of this?", item(4), file(one)),
        ],
    }


@pytest.fixture(scope="class")
def expected(listener: Listener, conversations: dict[str, Any]) -> dict[str, Said]:
    return {name: said_by_transformers(listener, one) for name, one in conversations.items()}


@pytest.fixture(scope="class")
def reference() -> Iterator[Any]:
    with engine(checkpoint.reference_directory()) as llm:
        yield llm


def test_vllm_is_told_of_the_model() -> None:
    settings = tomllib.loads((DEMO.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    entry = settings["project"]["entry-points"]["vllm.general_plugins"]["mllm"]
    assert entry == f"{serve.register.__module__}:{serve.register.__name__}"


class TestTinyModel:
    """Random weights, MERT, windows of 5 s of which 3 are heard; the placeholder lies past the vocabulary."""

    def test_each_conversation_alone(self, tiny: Any, conversations: dict[str, Any], expected: dict[str, Said]) -> None:
        for name, conversation in conversations.items():
            (found,) = served(tiny, [conversation])
            prompt = [0 if token == PAST_VOCABULARY else token for token in expected[name].prompt]
            assert found.prompt == prompt, name
            assert_same(found, expected[name])

    def test_a_mixed_batch(self, tiny: Any, conversations: dict[str, Any], expected: dict[str, Said]) -> None:
        tiny.reset_prefix_cache()
        found = served(tiny, list(conversations.values()))
        assert len(found) == 10
        for one, answer in zip(found, expected.values(), strict=True):
            assert_same(one, answer)

    def test_no_row_of_32_depends_on_its_neighbours(
        self, tiny: Any, listener: Listener, conversations: dict[str, Any]
    ) -> None:
        batch = []
        for number, one in enumerate(itertools.islice(itertools.cycle(conversations.values()), 32)):
            content = one[-1]["content"]
            parts = content if isinstance(content, list) else [content]
            batch.append([*one[:-1], *user(*parts, f"Number {number}.")])
        tiny.reset_prefix_cache()
        for found, conversation in zip(served(tiny, batch), batch, strict=True):
            assert_same(found, said_by_transformers(listener, conversation))

    def test_soft_tokens_and_samples_beside_files(
        self, tiny: Any, listener: Listener, conversations: dict[str, Any], expected: dict[str, Said], music: Path
    ) -> None:
        processor, model = listener.processor, listener.model
        prompt = build_prompt(
            parse(conversations["audio and text"]),
            processor.tokenizer,
            audio_tokens=[1],
            markers=processor.markers,
            add_generation_prompt=True,
        )
        recording = processor.listen(Audio(source=music / "one.wav"))
        with torch.no_grad():
            embeds = torch.cat(model.soft_tokens(model.encode_audio(recording.waveforms)))
        samples, rate = soundfile.read(music / "one.wav", dtype="float32")
        assert rate == RATE_HZ
        forms: list[Any] = [[embeds], Audio(source=music / "one.wav"), samples, (samples, rate)]
        prompts = [{"prompt_token_ids": list(prompt.input_ids), "multi_modal_data": {"audio": form}} for form in forms]
        for found in served(tiny, prompts, chat=False):
            assert_same(found, expected["audio and text"])

    def test_items_by_id_and_by_features(
        self, tiny: Any, listener: Listener, conversations: dict[str, Any], expected: dict[str, Said]
    ) -> None:
        from vllm.exceptions import VLLMValidationError

        assert listener.catalogue is not None
        prompt = build_prompt(
            parse(conversations["an item"]),
            listener.processor.tokenizer,
            audio_tokens=[],
            item_tokens=[1],
            markers=listener.processor.markers,
            add_generation_prompt=True,
        )
        features = listener.catalogue.features("song-0")
        forms: list[Any] = ["song-0", ["song-0"], features, [features.numpy()]]
        prompts = [{"prompt_token_ids": list(prompt.input_ids), "multi_modal_data": {"item": form}} for form in forms]
        for found in served(tiny, prompts, chat=False):
            assert_same(found, expected["an item"])
        for wrong, sentence in (
            ("song-9", "there is no item"),
            (torch.zeros(2, 7), r"shape \(2, 7\); expected \(2, 6\)"),
        ):
            with pytest.raises((ValueError, VLLMValidationError), match=sentence):
                served(tiny, [{**prompts[0], "multi_modal_data": {"item": wrong}}], chat=False)

    def test_a_recording_is_encoded_once(self, tiny: Any, music: Path) -> None:
        heard: list[int] = []

        def count(model: Any) -> Any:
            return model.audio_encoder.register_forward_hook(lambda *_: heard.append(1))

        (hook,) = tiny.apply_model(count)
        path = music / "copy.wav"
        soundfile.write(path, soundfile.read(music / "two.wav")[0][: 2 * RATE_HZ], RATE_HZ)
        served(tiny, [user(file(path), "What is the key?")])
        served(tiny, [user("How many beats?", file(path))])
        assert len(heard) == 1
        served(tiny, [user(file(path, start=0.5), "What is the key?")])
        assert len(heard) == 2
        hook.remove()

    def test_bad_requests_are_told_and_the_next_one_is_served(
        self, tiny: Any, conversations: dict[str, Any], expected: dict[str, Said], music: Path
    ) -> None:
        from vllm.exceptions import VLLMValidationError

        bad = {
            "is silent": user(file(music / "silent.wav"), "What is the key?"),
            "does not exist": user(file(music / "missing.wav"), "What is the key?"),
            r"messages\[0\].content\[0\].type: got 'audo'": user({"type": "audo"}),
            "there is no item 'song-7' among the 5": user(item(7), "Like this?"),
            "4 catalogue items were sent; at most 3": user(*[item(1)] * 4),
            "does not fetch from the network": user({"type": "audio_url", "audio_url": {"url": "http://x.de/a.wav"}}),
            "At most 4 audio": user(*[file(music / "one.wav")] * 5),
        }
        for sentence, conversation in bad.items():
            with pytest.raises(VLLMValidationError, match=sentence):
                served(tiny, [conversation])
        (found,) = served(tiny, [conversations["audio and text"]])
        assert_same(found, expected["audio and text"])

    def test_files_are_closed_unless_opened(
        self, tiny: Any, conversations: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from vllm.exceptions import VLLMValidationError

        monkeypatch.setattr(tiny.llm_engine.renderer, "_files", None)
        with pytest.raises(VLLMValidationError, match="names a file, but no directory was opened for that"):
            served(tiny, [conversations["audio alone"]])

    def test_weights_are_loaded_strictly(self, tiny: Any, directory: Path) -> None:
        def load(weights: list[Any]) -> None:
            tiny.apply_model(lambda model: model.load_weights(weights))

        with pytest.raises(CheckpointError, match=r"missing: .*layer_mix\.logits"):
            load([])
        norm = torch.ones(32)
        with pytest.raises(CheckpointError, match=r"not expected: language_model\.model\.norm\.weight"):
            load([("language_model.model.norm.weight", norm)])
        settings = json.loads((directory / "backbone" / "config.json").read_text(encoding="utf-8"))
        (weight,) = tiny.apply_model(lambda model: model.language_model.model.norm.weight.clone())
        assert weight.shape == (settings["hidden_size"],)


def write_lora(directory: Path, deltas: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Path:
    """A LoRA as PEFT writes one, of scale 2: for each module its matrices A (rank, in) and B (out, rank)."""
    directory.mkdir()
    rank = next(iter(deltas.values()))[0].shape[0]
    targets = sorted({name.rpartition(".")[2] for name in deltas})
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": targets, "bias": "none"}
    (directory / "adapter_config.json").write_text(json.dumps(settings))
    tensors = {
        f"base_model.model.{name}.lora_{side}.weight": matrix
        for name, both in deltas.items()
        for side, matrix in zip("AB", both, strict=True)
    }
    save_file(tensors, directory / "adapter_model.safetensors")
    return directory


def drawn_lora(shapes: dict[str, tuple[int, int]], *, seed: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Random matrices A (4, in) and B (out, 4) for modules of such shapes (out, in)."""
    draw = torch.Generator().manual_seed(seed)
    return {
        name: (torch.randn(4, inner, generator=draw), 0.2 * torch.randn(outer, 4, generator=draw))
        for name, (outer, inner) in shapes.items()
    }


@contextlib.contextmanager
def merged(listener: Listener, deltas: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Iterator[None]:
    """While this lasts, the model for transformers has the LoRA, of scale 2, in its weights."""
    weights = {name: listener.model.get_parameter(f"{name}.weight") for name in deltas}
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    with torch.no_grad():
        for name, (down, up) in deltas.items():
            weights[name].add_(2.0 * up @ down)
        yield
        for name, weight in weights.items():
            weight.copy_(before[name])


LAYER = "language_model.model.layers.0"
BACKBONE_SHAPES = {f"{LAYER}.self_attn.q_proj": (128, 32), f"{LAYER}.mlp.down_proj": (32, 64)}
ADAPTER_SHAPES = {"audio_adapter.inner": (1024, 32), "audio_adapter.outer": (32, 1024), "item_adapter.outer": (32, 16)}


def test_a_lora_of_the_backbone_is_applied_and_another_is_refused(directory: Path, music: Path, tmp_path: Path) -> None:
    from vllm import SamplingParams
    from vllm.lora.request import LoRARequest

    conversation = user(file(music / "one.wav"), "Who plays?")
    listener = Listener.load(directory)
    plain = said_by_transformers(listener, conversation)
    deltas = drawn_lora(BACKBONE_SHAPES, seed=0)
    with merged(listener, deltas):
        changed = said_by_transformers(listener, conversation)
    assert changed.ids != plain.ids
    good = LoRARequest("good", 1, str(write_lora(tmp_path / "good", deltas)))
    bad = LoRARequest("bad", 2, str(write_lora(tmp_path / "bad", drawn_lora(ADAPTER_SHAPES, seed=1))))
    with engine(directory, enable_lora=True, max_lora_rank=8) as llm:
        for lora, expected in ((None, plain), (good, changed), (None, plain)):
            assert_same(served(llm, [conversation], lora=lora)[0], expected)
        with pytest.raises(ValueError, match="adapter"):
            llm.chat([conversation], SamplingParams(max_tokens=1), use_tqdm=False, lora_request=bad)


def test_loras_of_the_adapters_are_applied_to_the_requests_that_ask_for_them(
    directory: Path, catalogue: Path, music: Path, tmp_path: Path
) -> None:
    """One step with recordings and items of requests with two LoRAs and with none; the same recordings in all."""
    from vllm.lora.request import LoRARequest

    one, two = file(music / "one.wav"), file(music / "two.wav")
    conversations = [user(one, "Who plays?"), user(item(1), "Like", two, item(2), "?"), user(two, one, "And now?")]
    listener = Listener.load(directory, catalogue=catalogue)
    deltas = {
        "of adapters": drawn_lora(ADAPTER_SHAPES, seed=1),
        "of both": drawn_lora({**BACKBONE_SHAPES, **ADAPTER_SHAPES}, seed=2),
    }
    loras: dict[str, Any] = {
        name: LoRARequest(name, number, str(write_lora(tmp_path / name, given)))
        for number, (name, given) in enumerate(deltas.items(), start=1)
    }
    expected: dict[str | None, list[Said]] = {None: [said_by_transformers(listener, one) for one in conversations]}
    for name, given in deltas.items():
        with merged(listener, given):
            expected[name] = [said_by_transformers(listener, one) for one in conversations]
        assert all(a.ids != b.ids for a, b in zip(expected[name], expected[None], strict=True))
    asked = [(place, name) for place in range(len(conversations)) for name in (None, *deltas)]
    options = {"enable_lora": True, "max_lora_rank": 8, "max_loras": 2, "enable_tower_connector_lora": True}
    with engine(directory, catalogue=catalogue, **options) as llm:
        for _ in range(2):  # the second time, what was heard is known already
            found = served(
                llm, [conversations[place] for place, _ in asked], lora=[name and loras[name] for _, name in asked]
            )
            for said, (place, asked_for) in zip(found, asked, strict=True):
                assert_same(said, expected[asked_for][place])


@pytest.mark.skipif(not importlib.metadata.entry_points(group="vllm.general_plugins", name="mllm"), reason="no plug-in")
@pytest.mark.timeout(600)
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes need two cores")
def test_a_backbone_split_over_two_processes_says_the_same(
    directory: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0|1")
    conversation = user(file(music / "one.wav"), "Who plays?", file(music / "two.wav"))
    expected = said_by_transformers(Listener.load(directory), conversation)
    with engine(directory, tensor_parallel_size=2) as llm:
        assert_same(served(llm, [conversation])[0], expected)


class TestReferenceCheckpoint:
    """The shipped checkpoint about the shipped recording; its placeholders lie in the vocabulary."""

    def test_it_says_what_transformers_says(self, reference: Any) -> None:
        from vllm.exceptions import VLLMValidationError

        listener = Listener.load()
        conversations = [
            user(file(DEMO), "What is the key?"),
            user("Which instruments do you hear?", file(DEMO, start=2.0, end=12.0)),
            [{"role": "user", "content": "What is a chorale?"}],
        ]
        with pytest.raises(VLLMValidationError, match="catalogue items, which this model cannot take"):
            served(reference, [user(item(1), "Like this?")])
        for found, conversation in zip(served(reference, conversations), conversations, strict=True):
            expected = said_by_transformers(listener, conversation)
            assert found.prompt == expected.prompt
            assert_same(found, expected)
            text = listener.respond(conversation, max_new_tokens=LONGEST_ANSWER).text
            assert listener.processor.decode(found.ids) == text
