"""vLLM beside transformers, for tests: an engine in this process, and what both say.

In: checkpoints and conversations. Out: answers with their log-probabilities, and the fixtures `directory`, `catalogue`
and `music`. Knows no test.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from mllm import serve
from mllm.listener import Listener
from mllm.serve_settings import ServeSettings
from tests.tiny_checkpoint import write_catalogue, write_checkpoint, write_music

MARKS_OF_VLLM = [
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
                max_num_seqs=32,
                limit_mm_per_prompt={"audio": 4} if catalogue is None else {"audio": 4, "item": 3},
                enable_mm_embeds=True,
                skip_mm_profiling=True,
                allowed_local_media_path="/",
                **{"enforce_eager": True, **options},
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
