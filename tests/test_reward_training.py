"""Reward training: what earns becomes probable, nothing frozen changes, probabilities are the model's, runs go on."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from mllm import checkpoint
from mllm.errors import ConfigError, MllmError
from mllm.listener import Listener
from mllm.modeling import MusicLLMForConditionalGeneration
from mllm.processing import MusicLLMProcessor
from mllm.train import reward_data, reward_scores, reward_training
from mllm.train.reward_data import RewardExample
from mllm.train.reward_training import RewardTrainer, RewardTrainingConfig
from tests.tiny_checkpoint import user, write_checkpoint, write_music

Parts = tuple[MusicLLMForConditionalGeneration, MusicLLMProcessor]
SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "train_rewards.py"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    """A folder with a checkpoint of tiny random parts, recordings, and questions about them."""
    folder = tmp_path_factory.mktemp("rewards")
    write_checkpoint(folder, reference_tokenizer)
    write_music(folder / "music")
    asked = [("one",), ("two",), ("two", "one"), ("one",)]
    lines = [question(*names, yes=index < 3) for index, names in enumerate(asked)]
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    return folder


def question(*names: str, yes: bool) -> dict[str, Any]:
    """A line of a file of questions; to all but the last yes is right."""
    parts = [{"type": "audio", "path": f"music/{name}.wav"} for name in names]
    return {"messages": user(*parts, "Is there a guitar in it?"), "facts": {"asked": ["yes"], "yes": yes}}


@pytest.fixture(scope="module")
def undecided(root: Path) -> Parts:
    """A model that says yes as often as no; its backbone has learnt to say yes where soft tokens lie on one side."""
    model, processor = checkpoint.load(root / "checkpoint")
    examples = reward_data.read_examples(root / "questions.jsonl", model, processor)
    generator = torch.Generator().manual_seed(1)
    side = torch.randn(model.config.text_config.hidden_size, generator=generator)
    heard = [[soft.detach() for soft in model.soft_tokens(one.features)] for one in examples]
    model.requires_grad_(False)
    model.language_model.requires_grad_(True)
    optimizer = torch.optim.Adam(model.language_model.parameters(), lr=3e-3)
    for _ in range(60):
        losses = []
        for example, soft in zip(examples, heard, strict=True):
            for answer, sign in (("Yes", 1.0), ("No", -1.0)):
                moved = [tokens + sign * torch.rand(1, generator=generator) * side for tokens in soft]
                losses.append(-log_chance(model, processor, example, answer, moved))
        optimizer.zero_grad()
        torch.autograd.backward(torch.stack(losses).mean())
        optimizer.step()
    model.freeze()
    model.zero_grad(set_to_none=True)
    return model, processor


def log_chance(
    model: MusicLLMForConditionalGeneration,
    processor: MusicLLMProcessor,
    example: RewardExample,
    answer: str,
    soft: list[Tensor] | None = None,
) -> Tensor:
    """Logarithm of the probability of an answer, its end included, by a plain forward pass without padding."""
    tokenizer = processor.tokenizer
    prompt = processor.prompt_of(example.messages, example.num_tokens, add_generation_prompt=True).input_ids
    said = [*tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id]
    heard = {"audio_features": list(example.features)} if soft is None else {"audio_embeds": soft}
    return token_log_chances(model, list(prompt), said, heard).sum()


def token_log_chances(
    model: MusicLLMForConditionalGeneration,
    prompt: list[int],
    said: list[int],
    heard: dict[str, list[Tensor]],
    temperature: float = 1.0,
) -> Tensor:
    logits = model(input_ids=torch.tensor([prompt + said]), **heard).logits[0]
    chances = (logits[len(prompt) - 1 : -1] / temperature).log_softmax(-1)
    found: Tensor = chances.gather(-1, torch.tensor(said)[:, None])[:, 0]
    return found


def settings(output: Path, **changes: Any) -> RewardTrainingConfig:
    plain: dict[str, Any] = {"steps": 4, "prompts_per_step": 2, "answers_per_prompt": 6}
    plain |= {"max_new_tokens": 6, "save_every": 2, "warmup_steps": 0}
    return RewardTrainingConfig(output=output, rewards=("yes_no",), **{**plain, **changes})


def log_of(output: Path, step: int) -> list[dict[str, Any]]:
    """What was logged in each step up to one of which there is a checkpoint."""
    state = json.loads((output / f"checkpoint-{step}" / "trainer_state.json").read_text(encoding="utf-8"))
    return [entry for entry in state["log_history"] if "reward" in entry]


def examples_of(root: Path, parts: Parts) -> list[RewardExample]:
    return reward_data.read_examples(root / "questions.jsonl", *parts)


def trained(model: MusicLLMForConditionalGeneration) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.trained_parts().parameters()])


def test_what_earns_becomes_probable_and_nothing_frozen_changes(root: Path, undecided: Parts, tmp_path: Path) -> None:
    """Measured: the probability of "Yes" rises from 0.24 to 0.73."""
    model, processor = copy.deepcopy(undecided[0]), undecided[1]
    examples = examples_of(root, (model, processor))[:3]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config_before = model.config.to_dict()

    def chance() -> float:
        with torch.no_grad():
            return float(torch.stack([log_chance(model, processor, one, "Yes") for one in examples]).exp().mean())

    untrained = chance()
    assert 0.05 < untrained < 0.6
    config = settings(tmp_path, steps=25, prompts_per_step=3, answers_per_prompt=8, learning_rate=1e-2, save_every=25)
    metrics = reward_training.train(model, processor, examples, config)
    assert metrics["train_runtime"] > 0
    assert chance() > 0.6
    rewards = [entry["reward"] for entry in log_of(tmp_path, 25)]
    assert sum(rewards[-5:]) > sum(rewards[:5]) + 1.0
    assert rewards == [pytest.approx(entry["rewards/yes_no/mean"]) for entry in log_of(tmp_path, 25)]

    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith(("audio_adapter.", "layer_mix.")) for name in changed)
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert not {name for name in with_gradient if not name.startswith(("audio_adapter.", "layer_mix."))}
    assert model.config.to_dict() == config_before
    assert "forward" not in vars(model)


def test_the_probabilities_learnt_from_are_those_of_a_plain_forward_pass(
    root: Path, undecided: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows padded on both sides, soft tokens computed once for a group. Measured worst difference: 2e-6."""
    model, processor = copy.deepcopy(undecided[0]), undecided[1]
    examples = examples_of(root, (model, processor))
    seen: list[tuple[Tensor, Tensor, list[int], int, Tensor]] = []
    compute = RewardTrainer._get_per_token_logps_and_entropies

    def listen_in(self: Any, model: Any, ids: Tensor, mask: Tensor, keep: int, **options: Any) -> Any:
        found = compute(self, model, ids, mask, keep, **options)
        seen.append((ids, mask, list(self._rows), keep, found[0].detach()))
        return found

    monkeypatch.setattr(RewardTrainer, "_get_per_token_logps_and_entropies", listen_in)
    config = settings(tmp_path, steps=1, prompts_per_step=4, temperature=1.3, save_every=1)
    reward_training.train(model, processor, examples, dataclasses.replace(config, rewards=("tempo", "yes_no")))
    assert {name for name in log_of(tmp_path, 1)[0] if name.startswith("rewards/")} == {
        "rewards/yes_no/mean",
        "rewards/yes_no/std",
    }
    (ids, mask, rows, keep, found) = seen[0]
    assert set(rows) == {0, 1, 2, 3}
    assert len({int(row) for row in mask.sum(-1)}) > 1
    for row, question_number in enumerate(rows):
        prompt = ids[row, :-keep][mask[row, :-keep].bool()].tolist()
        said = ids[row, -keep:][mask[row, -keep:].bool()].tolist()
        with torch.no_grad():
            heard = {"audio_features": list(examples[question_number].features)}
            plain = token_log_chances(undecided[0], prompt, said, heard, temperature=1.3)
        torch.testing.assert_close(found[row, : len(said)], plain, atol=1e-4, rtol=0)


def test_a_run_that_was_cut_off_ends_as_an_unbroken_one(root: Path, undecided: Parts, tmp_path: Path) -> None:
    examples = examples_of(root, undecided)
    ends = []
    for stops in ((4,), (2, 4)):
        for steps in stops:
            model = copy.deepcopy(undecided[0])
            config = settings(tmp_path / str(len(stops)), steps=steps, learning_rate=1e-2)
            reward_training.train(model, undecided[1], examples, config)
        ends.append(trained(model))
    assert not torch.equal(ends[0], trained(undecided[0]))
    assert torch.equal(ends[0], ends[1])


def test_a_step_in_parts_has_the_gradient_of_a_step(root: Path, undecided: Parts, tmp_path: Path) -> None:
    norms = []
    for parts in (1, 3):
        model = copy.deepcopy(undecided[0])
        config = settings(tmp_path / str(parts), steps=1, save_every=1, parts_per_step=parts)
        reward_training.train(model, undecided[1], examples_of(root, undecided), config)
        norms.append(log_of(config.output, 1)[0]["grad_norm"])
    assert norms[0] > 0
    assert norms[1] == pytest.approx(norms[0], rel=1e-3)


def test_the_divergence_is_from_the_start(root: Path, undecided: Parts, tmp_path: Path) -> None:
    examples = examples_of(root, undecided)
    model = copy.deepcopy(undecided[0])
    before = trained(model)
    config = settings(tmp_path, learning_rate=1e-2, beta=0.1)
    reward_training.train(model, undecided[1], examples, config)
    divergences = [entry["kl"] for entry in log_of(tmp_path, 4)]
    assert divergences[0] == pytest.approx(0.0, abs=1e-6)
    assert divergences[-1] > 1e-3
    assert not torch.equal(trained(model), before)


def test_questions_without_a_reward_and_settings_out_of_range_are_told(
    root: Path, undecided: Parts, tmp_path: Path
) -> None:
    examples = examples_of(root, undecided)
    nothing = [dataclasses.replace(examples[0], facts={"asked": ["key"], "key": "C major"})]
    with pytest.raises(ConfigError, match="none of the rewards yes_no applies to question 0"):
        reward_training.train(*undecided, nothing, settings(tmp_path))
    with pytest.raises(ConfigError, match="there is no reward named 'yesno'; did you mean 'yes_no'"):
        reward_training.train(*undecided, examples, dataclasses.replace(settings(tmp_path), rewards=("yesno",)))
    with pytest.raises(
        ConfigError, match=r"steps is 0; .*temperature is 0; .*parts_per_step is 5; expected a divisor of 12"
    ):
        settings(tmp_path, steps=0, temperature=0.0, parts_per_step=5)


def test_questions_come_in_rounds() -> None:
    order = reward_training.question_order(5, seed=3)
    rounds = [[next(order) for _ in range(5)] for _ in range(3)]
    assert all(sorted(one) == list(range(5)) for one in rounds)
    assert rounds[0] != rounds[1] or rounds[1] != rounds[2]
    again = reward_training.question_order(5, seed=3)
    assert [next(again) for _ in range(15)] == [number for one in rounds for number in one]


WRONG_LINES = [
    ("{", "line 2: not JSON"),
    ("[]", "line 2: expected"),
    (json.dumps({"messages": user("Hello"), "facts": {"key": "H"}}), "line 2: facts.key is 'H'"),
    (json.dumps({"messages": [*user("Hello"), {"role": "assistant", "content": "Yes"}], "facts": {}}), "assistant's"),
    (json.dumps(question("none", yes=True)), r"line 2: .*none\.wav"),
]


@pytest.mark.parametrize(("line", "sentence"), WRONG_LINES)
def test_a_wrong_line_is_named(root: Path, undecided: Parts, line: str, sentence: str) -> None:
    path = root / "wrong.jsonl"
    path.write_text(f"{json.dumps(question('one', yes=True))}\n{line}\n", encoding="utf-8")
    with pytest.raises(MllmError, match=sentence):
        reward_data.read_examples(path, *undecided)


def test_files_that_cannot_be_read_are_named(root: Path, undecided: Parts) -> None:
    with pytest.raises(ConfigError, match=r"absent\.jsonl cannot be read"):
        reward_data.read_examples(root / "absent.jsonl", *undecided)


def test_another_clips_audio_takes_the_place_of_as_many_recordings(root: Path, undecided: Parts) -> None:
    examples = examples_of(root, undecided)
    swapped = reward_data.with_other_audio([examples[0], examples[1], examples[3]])
    assert [one.num_tokens for one in swapped] == [(6,), (4,), (6,)]
    assert [one.facts for one in swapped] == [examples[i].facts for i in (0, 1, 3)]
    assert torch.equal(swapped[0].features[0], examples[1].features[0])
    with pytest.raises(ConfigError, match="at least two clips"):
        reward_data.with_other_audio(examples)


def test_greedy_answers_are_those_of_the_product(root: Path, undecided: Parts) -> None:
    examples = examples_of(root, undecided)
    answers = reward_scores.greedy_answers(*undecided, examples, max_new_tokens=6, batch_size=3)
    listener = Listener(*undecided)
    product = [listener.respond(one.messages, max_new_tokens=6).text for one in examples]
    assert answers == product


def test_the_script_measures_trains_and_writes_a_checkpoint(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [question("one", yes=True), question("two", yes=False)]
    (root / "held_out.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    specification = importlib.util.spec_from_file_location("train_rewards", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "train_rewards", script)  # where dataclasses looks up its annotations
    specification.loader.exec_module(script)
    data = script.Data(
        questions=root / "questions.jsonl",
        held_out=root / "held_out.jsonl",
        checkpoint=tmp_path / "trained",
        model=root / "checkpoint",
        answers=tmp_path / "answers.jsonl",
    )
    assert script.run(settings(tmp_path / "run", learning_rate=1e-2, temperature=1.5), data) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["questions"], result["held_out_questions"], result["held_out_clips"]) == (4, 2, 2)
    for condition in ("heard", "another_clip"):
        for figure in ("before", "after", "difference"):
            assert set(result["figures"][condition]["reward"][figure]) == {"value", "low", "high"}
    assert len((tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    opened, _ = checkpoint.load(tmp_path / "trained")
    assert opened.config.audio_adapter == checkpoint.load(root / "checkpoint")[0].config.audio_adapter


def test_totals_of_clips_leave_out_what_does_not_apply(root: Path, undecided: Parts) -> None:
    examples = examples_of(root, undecided)
    assert reward_scores.by_clip(examples, [1.0, None, 0.5, 0.25]) == ([1.25, 0.0, 0.5], [2.0, 0.0, 1.0])
