"""Ultravox and its kin: models that hear and whose code is no part of transformers.

In: questions. Out: answers of a server that runs one. Their checkpoints bring code of their own, which is not run here;
vLLM has it: `vllm serve fixie-ai/ultravox-v0_5-llama-3_2-1b`, then `--model ultravox=http://127.0.0.1:8000/v1`.
"""

from __future__ import annotations

from mllm.errors import ConfigError
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models import endpoint

TITLE = "Ultravox, behind the address of a server that runs it"
NEEDS = "a server: vllm serve fixie-ai/ultravox-v0_5-llama-3_2-1b"


def open_model(place: str | None, settings: ModelSettings) -> Model:
    """Reach the server.

    Raises:
        ConfigError: no address was given, or as `endpoint.open_model`.
    """
    if place is None or not place.startswith(("http://", "https://")):
        given = "nothing" if place is None else repr(place)
        raise ConfigError(
            f"--model ultravox: given {given}, expected the address of a server that runs it; its checkpoints bring "
            f"code of their own, which mllm does not run. Start {NEEDS.removeprefix('a server: ')}, then give "
            "ultravox=http://127.0.0.1:8000/v1"
        )
    return endpoint.open_model(place, settings)
