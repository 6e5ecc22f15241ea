"""Mixes the hidden states of an encoder into one: a learnt weighted sum, the same for every frame.

In: (..., L, T, D) hidden states. Out: (..., T, D). Knows neither the encoder nor the adapter.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LayerMix(nn.Module):
    """Softmax-weighted sum over layers (ELMo without its scale: the adapter behind it has one); starts as the mean.

    Peters et al., "Deep contextualized word representations", 2018, equation 1.
    """

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        assert num_layers >= 1, f"num_layers is {num_layers}"
        self.logits = nn.Parameter(torch.zeros(num_layers))

    def weights(self) -> Float[Tensor, " layers"]:
        """Share of each layer, from the encoder's input to its last layer; positive, sums to 1."""
        return self.logits.float().softmax(0)

    def forward(
        self, hidden_states: Float[Tensor, "*batch layers frames width"]
    ) -> Float[Tensor, "*batch frames width"]:
        """The weighted sum over layers, in the dtype of `hidden_states`."""
        weights = self.weights().to(hidden_states.dtype)
        return torch.einsum("...ltd,l->...td", hidden_states, weights)
