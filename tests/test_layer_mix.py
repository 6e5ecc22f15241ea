"""The learnt weighted sum over hidden states."""

from __future__ import annotations

import torch

from mllm.layer_mix import LayerMix


def test_starts_as_the_mean() -> None:
    states = torch.randn(2, 5, 7, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(LayerMix(5)(states), states.mean(1))


def test_weights_say_what_is_summed() -> None:
    mix = LayerMix(3)
    with torch.no_grad():
        mix.logits.copy_(torch.tensor([0.0, 50.0, -1.0]))
    states = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mix.weights().sum(), torch.tensor(1.0))
    assert mix.weights().argmax() == 1
    torch.testing.assert_close(mix(states), states[1])


def test_is_learnt_and_keeps_the_dtype() -> None:
    mix = LayerMix(2)
    states = torch.randn(1, 2, 4, 2, generator=torch.Generator().manual_seed(0))
    mix(states).square().sum().backward()
    assert mix.logits.grad is not None
    assert mix.logits.grad.abs().min() > 0
    assert mix(states.bfloat16()).dtype == torch.bfloat16
