"""A checkpoint opened by vLLM in this process, which gives the answers that transformers gives.

In: conversations. Out: answers, and how likely given answers are. vLLM finds the model by its plug-in; prompts are made
here by the rules of `mllm.prompt`, one placeholder a recording, as the plug-in takes them.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from mllm import checkpoint, contract
from mllm.answer import Answer
from mllm.errors import AudioError, ConfigError, MessageError, MllmError
from mllm.eval.model import ModelSettings
from mllm.messages import Audio, Item, Message, Text
from mllm.processing import Heard, HeardElsewhere
from mllm.prompt import IGNORE_INDEX, Prompt, build_prompt
from mllm.speech import answer_of

MOST_RECORDINGS = 8
"""In one conversation."""
_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}
"""What vLLM is told where the user says nothing else: one process, 1 GiB of cache on a CPU, no reports to anybody."""


class VllmEngine:
    """vLLM with a checkpoint in it.

    Args:
        directory: of the checkpoint.
        settings: how many questions are answered at once, and the threads.

    Raises:
        ConfigError: vLLM is not installed, or cannot open it.
    """

    def __init__(self, directory: Path, settings: ModelSettings) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise ConfigError(
                "--engine vllm needs vLLM, which is not installed: make install-serve (on a GPU: pip install "
                "'mllm-music[serve]'); or leave --engine out"
            )
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        config = contract.read_config(directory)
        contract.check_servable(config, directory)
        self._processor = checkpoint.open_processor(directory, config)
        self._llm = _open(directory, settings)
        atexit.register(self.close)
        stated = self._llm.llm_engine.model_config.try_get_generation_config().get("eos_token_id") or []
        self._ends = {self._processor.tokenizer.eos_token_id, *(stated if isinstance(stated, list) else [stated])}
        self._heard = functools.lru_cache(maxsize=4096)(self._listen)

    def close(self) -> None:
        """Give back what vLLM holds; nothing can be asked afterwards."""
        atexit.unregister(self.close)
        if self._llm is None:
            return
        from vllm.distributed import cleanup_dist_env_and_memory

        self._llm.llm_engine.engine_core.shutdown()
        self._llm = None
        cleanup_dist_env_and_memory()

    def answers(self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[Answer | MllmError]:
        """The most probable answer to each conversation, token by token, or why there is none."""
        from vllm import SamplingParams

        settings = SamplingParams(
            temperature=0.0, max_tokens=max_new_tokens, logprobs=0, stop_token_ids=sorted(self._ends), ignore_eos=True
        )
        prepared = [self._prepared(conversation, max_new_tokens) for conversation in conversations]
        outputs = self._generate([one[0] for one in prepared if not isinstance(one, MllmError)], settings)
        return [one if isinstance(one, MllmError) else self._answer(next(outputs), one[1]) for one in prepared]

    def likelihoods(
        self, asked: Sequence[tuple[Sequence[Message], Sequence[str]]]
    ) -> list[tuple[float, ...] | MllmError]:
        """Log-probability of each of several answers to a conversation, its end included; one entry a conversation."""
        from vllm import SamplingParams

        settings = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0)
        prepared = [self._answered(conversation, texts) for conversation, texts in asked]
        wanted = [prompt for one in prepared if not isinstance(one, MllmError) for prompt, _ in one]
        outputs = self._generate(wanted, settings)
        return [
            one if isinstance(one, MllmError) else tuple(_of_the_last(next(outputs), count) for _, count in one)
            for one in prepared
        ]

    def _generate(self, prompts: list[dict[str, Any]], settings: Any) -> Iterator[Any]:
        return iter(self._llm.generate(prompts, settings, use_tqdm=False) if prompts else [])

    def _prepared(
        self, conversation: Sequence[Message], max_new_tokens: int
    ) -> tuple[dict[str, Any], list[Heard]] | MllmError:
        """What vLLM is given, and what is heard of each recording; why it cannot be answered, where it cannot."""
        try:
            heard, _ = self._check(conversation, max_new_tokens, add_generation_prompt=True)
            prompt = self._prompt(conversation, [1] * len(heard), add_generation_prompt=True)
        except MllmError as error:
            return error
        return self._given(conversation, prompt.input_ids), heard

    def _answered(
        self, conversation: Sequence[Message], texts: Sequence[str]
    ) -> list[tuple[dict[str, Any], int]] | MllmError:
        """For each answer the whole conversation as vLLM is given it, and of how many tokens the answer is."""
        found = []
        try:
            heard, begun = self._check(conversation, 1, add_generation_prompt=True)
            for text in texts:
                whole = (*conversation, Message(role="assistant", parts=(Text(text=text),)))
                # vLLM says at least one token more.
                _, checked = self._check(whole, 1, add_generation_prompt=False)
                end = max(place for place, label in enumerate(checked.labels) if label != IGNORE_INDEX) + 1
                count = end - len(begun.input_ids)
                prompt = self._prompt(whole, [1] * len(heard), add_generation_prompt=False)
                behind = len(checked.input_ids) - end
                found.append((self._given(conversation, prompt.input_ids[: len(prompt.input_ids) - behind]), count))
        except MllmError as error:
            return error
        return found

    def _check(
        self, conversation: Sequence[Message], max_new_tokens: int, *, add_generation_prompt: bool
    ) -> tuple[list[Heard], Prompt]:
        """What is heard, and the prompt with all soft tokens, which leaves room for so many tokens.

        Raises:
            MllmError: it cannot be answered.
        """
        parts = [part for message in conversation for part in message.parts]
        if any(isinstance(part, Item) for part in parts):
            raise MessageError("the conversation holds catalogue items; evaluate it with --engine transformers")
        recordings = [self._heard(part) for part in parts if isinstance(part, Audio)]
        if len(recordings) > MOST_RECORDINGS:
            raise MessageError(
                f"the conversation has {len(recordings)} recordings; at most {MOST_RECORDINGS} are taken"
            )
        context = self._processor.max_length
        prompt = self._prompt(
            conversation,
            [tokens for _, tokens in recordings],
            add_generation_prompt=add_generation_prompt,
            max_length=None if context is None else context - max_new_tokens,
        )
        return [heard for heard, _ in recordings], prompt

    def _prompt(self, conversation: Sequence[Message], audio_tokens: Sequence[int], **options: Any) -> Prompt:
        processor = self._processor
        return build_prompt(
            conversation, processor.tokenizer, audio_tokens=audio_tokens, markers=processor.markers, **options
        )

    def _given(self, conversation: Sequence[Message], ids: Sequence[int]) -> dict[str, Any]:
        recordings = [part for message in conversation for part in message.parts if isinstance(part, Audio)]
        given: dict[str, Any] = {"prompt_token_ids": list(ids)}
        return {**given, "multi_modal_data": {"audio": list(map(self._sent, recordings))}} if recordings else given

    def _sent(self, audio: Audio) -> Audio:
        """The recording as the plug-in takes it, which by itself would refuse silence."""
        listen = functools.partial(self._processor.listen, audio, require_sound=False)
        return HeardElsewhere(source=audio.source, start=audio.start, end=audio.end, listen=listen)

    def _listen(self, audio: Audio) -> tuple[Heard, int]:
        """How much of a recording is heard, and how many soft tokens it has."""
        try:
            recording = self._processor.listen(audio, require_sound=False)
        except OSError as error:
            raise AudioError(f"{audio.source!s} cannot be read ({error.strerror}); give the path of a file") from error
        return recording.heard, sum(self._processor.num_tokens(len(window)) for window in recording.waveforms)

    def _answer(self, output: Any, heard: Sequence[Heard]) -> Answer:
        (said,) = output.outputs
        ids = list(said.token_ids)
        return answer_of(
            self._processor.tokenizer,
            ids,
            [math.exp(one[token].logprob) for one, token in zip(said.logprobs, ids, strict=True)],
            complete=ids[-1] in self._ends,
            seconds_heard=sum(one.seconds_heard for one in heard),
            total_seconds=sum(one.total_seconds for one in heard),
        )


def _open(directory: Path, settings: ModelSettings) -> Any:
    from vllm import LLM

    try:
        return LLM(
            str(directory),
            dtype="float32",  # as the engine of transformers, so that the answers are the same
            max_num_seqs=settings.batch_size,
            limit_mm_per_prompt={"audio": MOST_RECORDINGS},
            skip_mm_profiling=True,
            enforce_eager=True,
            use_tqdm_on_load=False,
        )
    except (ImportError, RuntimeError, ValueError) as error:
        raise ConfigError(f"vLLM cannot open {directory}: {error}; leave --engine vllm out") from error


def _of_the_last(output: Any, count: int) -> float:
    """Sum of the log-probabilities of the last tokens of a prompt."""
    ids, chances = output.prompt_token_ids[-count:], output.prompt_logprobs[-count:]
    return math.fsum(one[token].logprob for one, token in zip(chances, ids, strict=True))
