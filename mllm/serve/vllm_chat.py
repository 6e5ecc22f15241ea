"""Conversations as vLLM's chat route and `LLM.chat` take them, made into prompts by the rules of `mllm.prompt`.

In: messages in our own format: OpenAI's, and the bounds of a stretch. Out: token ids with one placeholder a recording,
and the recordings. Names a local file only in the directory that vLLM was told with `--allowed-local-media-path`.
Itself it fetches and decodes nothing; a server hands it what does.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vllm.inputs import TokensPrompt
from vllm.renderers.base import BaseRenderer
from vllm.tokenizers.hf import HfTokenizer
from vllm.utils.async_utils import make_async

from mllm import checkpoint, contract
from mllm.errors import MessageError, MllmError
from mllm.messages import Audio, Message, Text, parse
from mllm.processing import HeardElsewhere, MusicLLMProcessor, Recording
from mllm.prompt import build_prompt
from mllm.serve import heard
from mllm.serve.vllm_errors import RefusedError
from mllm.serve.vllm_inputs import served_catalogue

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.renderers.params import ChatParams

    from mllm.serve.decode_pool import DecodePool
    from mllm.serve.fetch import Fetcher

CHANGE_THE_PROMPT = ("documents", "continue_final_message", "chat_template")
"""What a request may ask of a chat template, and ours does not offer."""


class MusicLLMRenderer(BaseRenderer[HfTokenizer]):
    """Makes prompts of conversations."""

    def __init__(self, config: VllmConfig, tokenizer: HfTokenizer | None) -> None:
        super().__init__(config, tokenizer)
        model = config.model_config
        directory = contract.find_checkpoint(model.model, revision=model.revision)
        self._processor = checkpoint.open_processor(directory, contract.read_config(directory))
        self._catalogue = served_catalogue(self._processor)
        self._decoders: DecodePool | None = None
        self._fetcher: Fetcher | None = None
        self._files = Path(model.allowed_local_media_path) if model.allowed_local_media_path else None
        self._render_async = make_async(self.render_messages, executor=self._executor)

    @property
    def processor(self) -> MusicLLMProcessor:
        """Of the checkpoint."""
        return self._processor

    def hear_with(self, decoders: DecodePool, fetcher: Fetcher) -> None:
        """From now on have recordings decoded in other processes, and fetched where a request names an address."""
        self._decoders, self._fetcher = decoders, fetcher

    def render_messages(
        self, messages: Sequence[Any], params: ChatParams, remote: Mapping[str, bytes] | None = None
    ) -> tuple[list[Any], Any]:
        """The prompt of one conversation.

        Args:
            messages: `Message` objects, or in the format of `mllm.messages.parse`; keys that are null count as absent.
            params: of the request; what would change the template is refused.
            remote: recordings by their address, already fetched.

        Returns:
            The messages as role and text, and the prompt.

        Raises:
            RefusedError: the conversation is not in the format, or cannot become a prompt.
        """
        try:
            speaks_next = _speaks_next(params)
            parsed = self._parsed(messages, remote, params.chat_template_kwargs.get("tools"))
            audios = self._audios(parsed)
            items = self._processor.look_up(parsed, self._catalogue)
            self._check_number("item", len(items))
            prompt = build_prompt(
                parsed,
                self._processor.tokenizer,
                audio_tokens=[1] * len(audios),
                item_tokens=[1] * len(items),
                markers=self._processor.markers,
                add_generation_prompt=speaks_next,
            )
        except MllmError as error:
            raise RefusedError(error, parameter="tools" if str(error).startswith("tools") else "messages") from error
        rendered = TokensPrompt(prompt_token_ids=list(prompt.input_ids))
        sent = {name: parts for name, parts in (("audio", audios), ("item", items)) if parts}
        if sent:
            rendered["multi_modal_data"] = sent
        said = [{"role": message.role, "content": _words(message)} for message in parsed]
        return said, rendered

    async def render_messages_async(self, messages: Sequence[Any], params: ChatParams) -> tuple[list[Any], Any]:
        """As `render_messages`, beside the server's event loop; recordings are fetched and decoded, if possible."""
        try:
            remote = await self._fetched(messages)
            said, rendered = await self._render_async(messages, params, remote)
            sent = rendered.get("multi_modal_data", {})
            if self._decoders is not None and "audio" in sent:
                self._check_number("audio", len(sent["audio"]))
                decoded = await asyncio.gather(*(_decoded(audio, self._decoders) for audio in sent["audio"]))
                rendered["multi_modal_data"] = {**sent, "audio": list(decoded)}
        except MllmError as error:
            raise RefusedError(error, parameter="messages") from error
        return said, rendered

    async def _fetched(self, messages: Sequence[Any]) -> dict[str, bytes]:
        """The recordings that a conversation names by an address of the web, where there is a fetcher."""
        if self._fetcher is None:
            return {}
        addresses = list(dict.fromkeys(_web_addresses(messages)))
        self._check_number("audio", len(addresses))
        return dict(zip(addresses, await asyncio.gather(*map(self._fetcher.fetch, addresses)), strict=True))

    def _check_number(self, modality: str, given: int) -> None:
        """Refuse what vLLM would refuse too, before any of it is fetched or decoded."""
        most = self.model_config.get_multimodal_config().get_limit_per_prompt(modality)
        if given > most:
            called = "recordings" if modality == "audio" else "catalogue items"
            raise MessageError(f"{given} {called} were sent; at most {most} fit into one request")

    def _parsed(self, messages: Sequence[Any], remote: Mapping[str, bytes] | None, tools: Any) -> tuple[Message, ...]:
        if messages and all(isinstance(message, Message) for message in messages):
            return tuple(messages)
        plain = [_without_nulls(message) for message in messages]
        return parse(plain, base_directory=self._files, remote=remote, tools=_without_nulls(tools))

    def _audios(self, messages: Sequence[Message]) -> list[Audio]:
        parts = [part for message in messages for part in message.parts]
        audios = [part for part in parts if isinstance(part, Audio)]
        if self._files is None and any(isinstance(audio.source, Path) for audio in audios):
            raise MessageError(
                "the conversation names a file, but no directory was opened for that (--allowed-local-media-path); "
                "send the recording itself as input_audio"
            )
        return audios


def _speaks_next(params: ChatParams) -> bool:
    """Whether the assistant speaks next; a request that would change the template is refused.

    vLLM hands over other settings with every request, which templates that do not know them pass over.
    """
    asked = {**params.chat_template_kwargs, "chat_template": params.chat_template}
    wrong = [name for name in CHANGE_THE_PROMPT if asked.get(name)]
    if wrong:
        raise MessageError(f"{', '.join(wrong)}: this model's chat template is fixed and knows none; leave it out")
    return bool(asked.get("add_generation_prompt", True))


def _without_nulls(value: Any) -> Any:
    """Plain lists and dictionaries; clients send keys that they leave open as null."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return value
    return [_without_nulls(one) for one in value]


def _web_addresses(messages: Sequence[Any]) -> list[str]:
    """What stands in `audio_url` and is no data: URL; whatever is malformed is told later, by the parser."""
    found = []
    for message in _without_nulls(messages):
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else []:
            named = part.get("audio_url") if isinstance(part, dict) else None
            url = named.get("url") if isinstance(named, dict) else None
            if isinstance(url, str) and url.lower().startswith(("http:", "https:")):
                found.append(url)
    return found


async def _decoded(audio: Audio, decoders: DecodePool) -> Audio:
    """The recording with its windows; one that was heard before most likely lies in vLLM's cache and is not decoded."""
    before = await asyncio.to_thread(decoders.heard_before, audio)
    if before is not None:
        heard.note(before)
        return _elsewhere(audio, functools.partial(decoders.hear, audio))
    recording = await decoders.hear_async(audio)
    heard.note(recording.heard)
    return _elsewhere(audio, lambda: recording)


def _elsewhere(audio: Audio, listen: Callable[[], Recording]) -> Audio:
    return HeardElsewhere(source=audio.source, start=audio.start, end=audio.end, listen=listen)


def _words(message: Message) -> str:
    return "\n".join(part.text for part in message.parts if isinstance(part, Text))
