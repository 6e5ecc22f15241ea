"""Conversations as vLLM's chat route and `LLM.chat` take them, made into prompts by the rules of `mllm.prompt`.

In: messages in our own format: OpenAI's, and the bounds of a stretch. Out: token ids with one placeholder a recording,
and the recordings. Fetches nothing from a network; names a local file only in the directory that vLLM was told with
`--allowed-local-media-path`. Decodes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vllm.exceptions import VLLMValidationError
from vllm.inputs import TokensPrompt
from vllm.renderers.base import BaseRenderer
from vllm.tokenizers.hf import HfTokenizer
from vllm.utils.async_utils import make_async

from mllm import checkpoint, contract
from mllm.errors import MessageError, MllmError
from mllm.messages import Audio, Item, Message, Text, parse
from mllm.prompt import build_prompt

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.renderers.params import ChatParams

CHANGE_THE_PROMPT = ("tools", "documents", "continue_final_message", "chat_template")
"""What a request may ask of a chat template, and ours does not offer."""


class MusicLLMRenderer(BaseRenderer[HfTokenizer]):
    """Makes prompts of conversations."""

    def __init__(self, config: VllmConfig, tokenizer: HfTokenizer | None) -> None:
        super().__init__(config, tokenizer)
        model = config.model_config
        directory = contract.find_checkpoint(model.model, revision=model.revision)
        self._processor = checkpoint.open_processor(directory, contract.read_config(directory))
        self._files = Path(model.allowed_local_media_path) if model.allowed_local_media_path else None
        self._render_async = make_async(self.render_messages, executor=self._executor)

    def render_messages(self, messages: Sequence[Any], params: ChatParams) -> tuple[list[Any], Any]:
        """The prompt of one conversation.

        Args:
            messages: in the format of `mllm.messages.parse`; keys that are null count as absent.
            params: of the request; what would change the template is refused.

        Returns:
            The messages as role and text, and the prompt.

        Raises:
            VLLMValidationError: the conversation is not in the format, or cannot become a prompt.
        """
        try:
            speaks_next = _speaks_next(params)
            parsed = parse([_without_nulls(message) for message in messages], base_directory=self._files)
            audios = self._audios(parsed)
            prompt = build_prompt(
                parsed,
                self._processor.tokenizer,
                audio_tokens=[1] * len(audios),
                markers=self._processor.markers,
                add_generation_prompt=speaks_next,
            )
        except MllmError as error:
            raise VLLMValidationError(str(error), parameter="messages") from error
        rendered = TokensPrompt(prompt_token_ids=list(prompt.input_ids))
        if audios:
            rendered["multi_modal_data"] = {"audio": audios}
        said = [{"role": message.role, "content": _words(message)} for message in parsed]
        return said, rendered

    async def render_messages_async(self, messages: Sequence[Any], params: ChatParams) -> tuple[list[Any], Any]:
        """As `render_messages`, beside the server's event loop."""
        result: tuple[list[Any], Any] = await self._render_async(messages, params)
        return result

    def _audios(self, messages: Sequence[Message]) -> list[Audio]:
        parts = [part for message in messages for part in message.parts]
        if any(isinstance(part, Item) for part in parts):
            raise MessageError("the conversation holds catalogue items, which this model cannot take; leave them out")
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


def _words(message: Message) -> str:
    return "\n".join(part.text for part in message.parts if isinstance(part, Text))
