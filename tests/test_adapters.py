"""What every file in adapters must do; a new adapter is tested here by being there.

An adapter whose defaults do not suit a test has others in tests/data/tiny/adapter_<name>.json. One that mixes the
backbone's embeddings (`set_anchors`) is given a random matrix of them.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mllm import registry, strict_io
from mllm.adapters import align, linear, mlp, qformer
from mllm.errors import ConfigError

TINY = Path(__file__).parent / "data" / "tiny"
NAMES = registry.names("adapter")
INPUT_WIDTH = 12
OUTPUT_WIDTH = 20
TOLERANCE = 2e-6
POOLING: tuple[Any, ...] = (linear, mlp)


def tiny_config(module: types.ModuleType, name: str) -> Any:
    """The settings for tests where some are given, else the defaults."""
    path = TINY / f"adapter_{name}.json"
    return strict_io.read_config(path, module.Config) if path.exists() else module.Config()


def tiny_adapter(name: str, *, seed: int = 0, frames_per_second: float = 6.25) -> Any:
    """A small random adapter."""
    module = registry.find("adapter", name)
    torch.manual_seed(seed)
    adapter = module.Adapter(
        tiny_config(module, name),
        input_width=INPUT_WIDTH,
        output_width=OUTPUT_WIDTH,
        frames_per_second=frames_per_second,
    )
    if hasattr(adapter, "set_anchors"):
        adapter.set_anchors(torch.randn(32, OUTPUT_WIDTH))
    return adapter


def random_frames(count: int, *, batch: int = 1) -> Tensor:
    """(B, T, D) with a mean and a scale that no layer norm has seen."""
    return 3.0 * torch.randn(batch, count, INPUT_WIDTH, generator=torch.Generator().manual_seed(count)) + 1.0


def test_there_are_adapters() -> None:
    assert {"align", "linear", "mlp", "qformer"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("frames_per_second", [6.25, 75.0])
@pytest.mark.parametrize("count", [1, 6, 12, 13, 25, 187, 374])
@torch.no_grad()
def test_number_of_tokens_is_known_before(name: str, frames_per_second: float, count: int) -> None:
    module, adapter = registry.find("adapter", name), tiny_adapter(name, frames_per_second=frames_per_second)
    expected = adapter.num_tokens(count)
    assert expected == module.num_tokens(adapter.config, count, frames_per_second) >= 1
    assert adapter(random_frames(count, batch=2)).shape == (2, expected, OUTPUT_WIDTH)


@pytest.mark.parametrize("name", NAMES)
def test_rate_is_in_range(name: str) -> None:
    module = registry.find("adapter", name)
    assert 0.2 <= tiny_config(module, name).tokens_per_second <= 25


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter(name: str) -> None:
    adapter = tiny_adapter(name)
    tokens = adapter(random_frames(31, batch=2))
    (tokens * torch.randn(tokens.shape)).sum().backward()
    for parameter_name, parameter in adapter.named_parameters():
        assert parameter.grad is not None, parameter_name
        # A bias of the keys shifts all scores of a query alike, which a softmax does not see.
        if not parameter_name.endswith("key.bias"):
            assert parameter.grad.abs().max() > 0, parameter_name


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_save_then_load_is_equal(name: str, tmp_path: Path) -> None:
    first, second = tiny_adapter(name, seed=0), tiny_adapter(name, seed=1)
    frames = random_frames(31)
    assert not torch.allclose(first(frames), second(frames))
    strict_io.write_tensors(first.state_dict(), tmp_path / "adapter.safetensors")
    strict_io.read_tensors(second, tmp_path / "adapter.safetensors")
    assert torch.equal(first(frames), second(frames))


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_batch_of_two_equals_two_of_one(name: str) -> None:
    adapter = tiny_adapter(name)
    frames = random_frames(31, batch=2)
    single = torch.cat([adapter(frames[:1]), adapter(frames[1:])])
    torch.testing.assert_close(adapter(frames), single, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_training_mode_computes_the_same(name: str) -> None:
    adapter = tiny_adapter(name)
    frames = random_frames(31)
    assert torch.equal(adapter.train()(frames), adapter.eval()(frames))


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_order_of_frames_matters(name: str) -> None:
    adapter = tiny_adapter(name)
    frames = random_frames(12)
    assert (adapter(frames) - adapter(frames.flip(1))).abs().max() > 1e-5


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_half_precision_frames(name: str) -> None:
    adapter = tiny_adapter(name)
    frames = random_frames(31).bfloat16()
    assert torch.equal(adapter(frames), adapter(frames.float()))


@pytest.mark.parametrize("module", POOLING)
@pytest.mark.parametrize(
    ("rate", "seconds", "expected"),
    [(0.23, 30, 7), (0.23, 4, 1), (0.23, 1, 1), (0.2, 60, 12), (25, 4, 100), (1.5, 3, 5), (1, 2.5, 3)],
)
def test_pooled_tokens(module: Any, rate: float, seconds: float, expected: int) -> None:
    assert module.num_tokens(module.Config(tokens_per_second=rate), round(seconds * 75), 75.0) == expected


@pytest.mark.parametrize("module", [linear, mlp, qformer])
@pytest.mark.parametrize("rate", [0.19, 25.1, 0.0, -1.0])
def test_rate_out_of_range(module: Any, rate: float) -> None:
    with pytest.raises(ConfigError, match=f"tokens_per_second is {rate:g}; expected"):
        module.Config(tokens_per_second=rate)


@pytest.mark.parametrize("module", POOLING)
def test_rate_above_that_of_the_encoder(module: Any) -> None:
    with pytest.raises(ConfigError, match=r"tokens_per_second is 12, but the encoder gives 6\.25 frames a second"):
        module.num_tokens(module.Config(tokens_per_second=12), 100, 6.25)


@torch.no_grad()
def test_linear_is_the_projected_mean() -> None:
    adapter = linear.Adapter(
        linear.Config(tokens_per_second=0.5), input_width=INPUT_WIDTH, output_width=3, frames_per_second=4.0
    )
    frames = random_frames(16)
    means = torch.stack([frames[0, :8].mean(0), frames[0, 8:].mean(0)])
    torch.testing.assert_close(adapter(frames)[0], adapter.projection(means))


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 31])
def test_linear_of_fixed_stretches_gives_the_rest_a_token_of_its_own(count: int) -> None:
    config = linear.Config(tokens_per_second=0.5, stretches="fixed")
    adapter = linear.Adapter(config, input_width=INPUT_WIDTH, output_width=3, frames_per_second=4.0)
    frames = random_frames(count, batch=2)
    means = torch.stack([frames[:, begin : begin + 8].mean(1) for begin in range(0, count, 8)], 1)
    torch.testing.assert_close(adapter(frames), adapter.projection(means))
    assert adapter.num_tokens(count) == means.shape[1]


def test_linear_stretches_that_are_neither() -> None:
    with pytest.raises(ConfigError, match="stretches is 'odd'; expected 'even' or 'fixed'"):
        linear.Config(stretches="odd")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"tokens_per_second is 12, but the encoder gives 6\.25 frames a second"):
        linear.num_tokens(linear.Config(tokens_per_second=12, stretches="fixed"), 100, 6.25)


@torch.no_grad()
@pytest.mark.parametrize("name", ["qformer", "align"])
def test_chunks_are_read_alone(name: str) -> None:
    adapter = tiny_adapter(name)  # chunks of 2 s: 13 frames
    frames = random_frames(30)
    apart = torch.cat([adapter(frames[:, :13]), adapter(frames[:, 13:26]), adapter(frames[:, 26:])], 1)
    torch.testing.assert_close(adapter(frames), apart, rtol=0, atol=TOLERANCE)


def test_qformer_settings_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="gives no query; expected chunk_seconds of at least 5"):
        qformer.Config(tokens_per_second=0.2, chunk_seconds=2.0)
    with pytest.raises(ConfigError, match="chunk_seconds is 0;"):
        qformer.Config(chunk_seconds=0.0)
    with pytest.raises(ConfigError, match="hidden_size is 33; expected an even multiple of num_heads 4"):
        qformer.Config(hidden_size=33)


def align_adapter(**settings: Any) -> align.Adapter:
    """An aligning adapter of two queries a second over three words."""
    torch.manual_seed(0)
    shape: dict[str, Any] = {"lexicon_token_ids": (5, 1, 3), "queries": 2, "chunk_seconds": 1.0, "hidden_size": 16}
    config = align.Config(**(shape | settings))
    return align.Adapter(config, input_width=INPUT_WIDTH, output_width=OUTPUT_WIDTH, frames_per_second=5.0)


@torch.no_grad()
def test_align_mixes_the_embeddings_of_the_lexicon() -> None:
    adapter = align_adapter()
    embeddings = torch.randn(6, OUTPUT_WIDTH)
    adapter.set_anchors(embeddings)
    frames = random_frames(7)
    shares = adapter.token_logits(frames).softmax(-1)
    assert shares.shape == (1, 4, 3)
    torch.testing.assert_close(adapter(frames), shares @ embeddings[[5, 1, 3]])
    assert "anchors" in adapter.state_dict()
    assert "anchors" not in dict(adapter.named_parameters())


@torch.no_grad()
def test_align_prior_is_of_the_query_in_every_chunk() -> None:
    adapter = align_adapter()
    adapter.set_anchors(torch.randn(6, OUTPUT_WIDTH))
    adapter.prior[1, 2] = 1000.0
    said = adapter.token_logits(random_frames(12)).argmax(-1)[0]
    assert said[1::2].tolist() == [2, 2, 2]
    assert (adapter.token_logits(random_frames(12))[0, 0::2, 2] < 900).all()


@torch.no_grad()
def test_align_without_anchors_says_nothing() -> None:
    assert align_adapter()(random_frames(7)).isnan().all()


def test_align_anchors_of_another_backbone() -> None:
    with pytest.raises(ConfigError, match="are 5 of width 20; lexicon_token_ids up to 5"):
        align_adapter().set_anchors(torch.zeros(5, OUTPUT_WIDTH))
    with pytest.raises(ConfigError, match=r"are 6 of width 7;.*width 20"):
        align_adapter().set_anchors(torch.zeros(6, 7))


@pytest.mark.parametrize("ids", [(), (3,), (3, 3), (-1, 2)])
def test_align_lexicon_that_is_none(ids: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="lexicon_token_ids has"):
        align.Config(lexicon_token_ids=ids)


def test_align_rate_follows_from_queries() -> None:
    assert align.Config(lexicon_token_ids=(1, 2), queries=12, chunk_seconds=30).tokens_per_second == pytest.approx(0.4)
    with pytest.raises(ConfigError, match=r"queries 1 / chunk_seconds 30: tokens_per_second is 0\.0333"):
        align.Config(lexicon_token_ids=(1, 2), queries=1, chunk_seconds=30)
