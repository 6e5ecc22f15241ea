"""LoRAs of the adapters in vLLM: each recording and each item is read with the LoRA of the request that holds it.

vLLM applies a LoRA only to linear layers of its own, and tells one request's rows of a layer's input from another's by
counting soft tokens. Our adapters are made of torch's layers, and those that pool or attend have other numbers of rows
in each. Here their linear layers become vLLM's, so that vLLM loads the weights, and all rows of one call belong to one
LoRA. In: the adapters of a model. Out: how to call them. Knows no requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from vllm.model_executor.layers.linear import ReplicatedLinear


class _OneLora:
    """What a layer with LoRAs calls instead of vLLM's own `PunicaWrapper`: one slot for all rows, or none."""

    def __init__(self) -> None:
        self.slot: int | None = None

    def add_lora_linear(
        self,
        output: Tensor,
        rows: Tensor,
        downs: tuple[Tensor, ...],
        ups: tuple[Tensor, ...],
        scale: float,
        *others: Any,  # noqa: ARG002 (widths of merged layers, which there are none of here)
        **settings: Any,  # noqa: ARG002
    ) -> Tensor:
        """Add `scale * rows @ down.T @ up.T` to the output, in place; (rows, in) and (rows, out)."""
        if self.slot is not None:
            (down,), (up,) = downs, ups
            output += scale * (rows.to(down.dtype) @ down[self.slot, 0].T @ up[self.slot, 0].T).to(output.dtype)
        return output


class AdapterLoras:
    """The LoRAs of some adapters, which must not have been filled with weights yet."""

    def __init__(self, adapters: Iterable[nn.Module | None]) -> None:
        self._adapters = [adapter for adapter in adapters if adapter is not None]
        self._one = _OneLora()
        self._slots: list[int] = []
        self._next = 0
        self._told = False
        for adapter in self._adapters:
            _take_layers_of_vllm(adapter)

    def starts_anew(self) -> None:
        """To be called when vLLM is about to tell which LoRA each recording and item of its next step is read with."""
        self._slots, self._next, self._told = [], 0, True

    def read(
        self, told: Any, inputs: Sequence[Any], tokens_of: Callable[[list[Any]], Sequence[Tensor]]
    ) -> list[Tensor]:
        """Soft tokens of recordings or items, each with its LoRA.

        Args:
            told: vLLM's `PunicaWrapper` of the adapters; its mapping has one entry for each recording and item of a
                step, recordings first; not looked at where no step has begun, as while vLLM tries out the model.
            inputs: those of one kind, the next ones of the step.
            tokens_of: reads some of them.
        """
        layers: list[Any] = [layer for adapter in self._adapters for layer in adapter.modules()]
        for layer in layers:
            if hasattr(layer, "lora_a_stacked"):
                layer.set_mapping(self._one)
        if self._told:
            self._slots, self._told = told.token_lora_indices.tolist(), False
        slots = self._slots[self._next : self._next + len(inputs)] or [-1] * len(inputs)
        self._next += len(inputs)
        found: dict[int, Tensor] = {}
        for slot in dict.fromkeys(slots):
            places = [place for place, one in enumerate(slots) if one == slot]
            self._one.slot = slot if slot >= 0 else None
            found |= dict(zip(places, tokens_of([inputs[place] for place in places]), strict=True))
        self._one.slot = None
        return [found[place] for place in range(len(inputs))]


def _take_layers_of_vllm(module: nn.Module) -> None:
    """Put a linear layer of vLLM, in float32 and whole in each process, in the place of each of torch's."""
    for name, layer in list(module.named_children()):
        if type(layer) is nn.Linear:
            ours = ReplicatedLinear(
                layer.in_features,
                layer.out_features,
                bias=layer.bias is not None,
                params_dtype=torch.float32,
                return_bias=False,
                disable_tp=True,
            )
            setattr(module, name, ours)
        else:
            _take_layers_of_vllm(layer)
