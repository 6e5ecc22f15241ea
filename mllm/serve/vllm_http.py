"""Our routes in vLLM's own server, through its entry points for endpoint plug-ins; nothing of vLLM is replaced.

In: vLLM's app and its engine. Out: the routes of `mllm.serve.http_routes`, limits around all routes, unknown fields
refused, and recordings of all routes fetched and decoded with care. vLLM calls it in its API processes, if
`VLLM_PLUGINS` names it.
"""

from __future__ import annotations

import asyncio
import math
import os
import uuid
from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from openai.types import completion_create_params as of_completions
from openai.types.chat import completion_create_params as of_chats
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from vllm import SamplingParams
from vllm.exceptions import GenerationError, VLLMValidationError
from vllm.renderers import ChatParams
from vllm.renderers.params import TokenizeParams
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

from mllm.answer import Answer
from mllm.errors import PromptError
from mllm.messages import Message
from mllm.serve import heard
from mllm.serve.decode_pool import DecodePool
from mllm.serve.fetch import Fetcher
from mllm.serve.http_app import add_routes, tell_errors
from mllm.serve.http_checks import check_before, leave_out
from mllm.serve.http_connections import close_silent
from mllm.serve.http_errors import error_response
from mllm.serve.http_fields import refuse_unknown_fields
from mllm.serve.http_streams import Handler, StreamErrors
from mllm.serve.http_values import refuse_bad_values, restricts_the_answer
from mllm.serve.vllm_errors import RefusedError
from mllm.serve_settings import ServeSettings
from mllm.speech import answer_of

if TYPE_CHECKING:
    from argparse import Namespace

    from fastapi import FastAPI
    from starlette.datastructures import State

    from mllm.serve.vllm_chat import MusicLLMRenderer

STRICT_PATHS = ("/v1/chat/completions", "/v1/completions")
"""Routes of vLLM that pass over fields they do not know, and here refuse them."""
BAD_GRAMMAR = "Invalid grammar specification"
"""How vLLM begins what it says of a schema that it cannot restrict decoding to; of tools it says no more."""
LEFT_OUT = ("/v1/systemone", "/scale_elastic_ep", "/is_scaling_elastic_ep")
"""Routes of vLLM that our models cannot answer, and those with which any client could start and stop engines."""


class MusicEndpoints:
    """The plug-in: entry point of `vllm.endpoint_plugins`."""

    name = "mllm_http"
    required_tasks: ClassVar[tuple[str, ...]] = ("generate",)

    def __init__(self) -> None:
        self._settings = ServeSettings.from_environment(os.environ)
        self._fetcher = Fetcher(
            self._settings.allowed_audio_hosts,
            max_bytes=self._settings.max_upload_bytes,
            seconds=self._settings.fetch_seconds,
        )
        self._app: FastAPI | None = None
        self._speaker: VllmSpeaker | None = None
        self._watch: asyncio.Task[None] | None = None

    def attach_router(self, app: FastAPI) -> None:
        """Add routes, limits and the telling of errors; the model is not there yet."""
        self._app = app
        leave_out(app, LEFT_OUT)
        check_before(app, lambda route: "POST" in route.methods, lambda _: _check_values)
        refuse_unknown_fields(app, STRICT_PATHS, passed_over=_known_to_openai())
        app.add_middleware(StreamErrors, handlers=_HANDLERS)
        add_routes(app, self._the_speaker, self._fetcher, self._settings)

    async def init_state(self, engine_client: Any, state: State, args: Namespace) -> None:  # noqa: ARG002
        """The model is there: recordings of its chats are fetched and decoded as those of our routes."""
        renderer: MusicLLMRenderer = engine_client.renderer
        renderer.hear_with(DecodePool(renderer.processor, self._settings), self._fetcher)
        assert self._app is not None, "vLLM calls attach_router first"
        # vLLM has set handlers of its own by now, and had everything put together.
        tell_errors(self._app)
        for kind, tell in _HANDLERS.items():
            self._app.add_exception_handler(kind, tell)
        self._app.add_exception_handler(ValidationError, _tell_malformed_part)
        self._app.middleware_stack = self._app.build_middleware_stack()
        names = [model.name for model in state.openai_serving_models.base_model_paths]
        self._speaker = VllmSpeaker(engine_client, names)
        self._watch = asyncio.create_task(self._end_silent_connections(state))

    async def _end_silent_connections(self, state: State) -> None:
        while not (hasattr(state, "server") and state.server.started):
            await asyncio.sleep(1.0)
        await close_silent(state.server, self._settings.upload_seconds)

    def _the_speaker(self) -> VllmSpeaker:
        assert self._speaker is not None, "vLLM calls init_state before it serves"
        return self._speaker


def _known_to_openai() -> frozenset[str]:
    """The fields of OpenAI's own chats and completions; clients send some of them, such as `store`, unasked."""
    classes = (of_chats.CompletionCreateParamsBase, of_completions.CompletionCreateParamsBase)
    return frozenset(name for one in classes for name in one.__annotations__)


def _check_values(request: Request, content: Any) -> None:
    refuse_bad_values(content)
    request.state.is_restricted = restricts_the_answer(content)
    request.state.has_tools = isinstance(content, Mapping) and bool(content.get("tools"))


class VllmSpeaker:
    """Answers conversations with vLLM's engine.

    Args:
        engine: vLLM's `EngineClient`, whose renderer is ours.
        model_names: what a request may call the model.
    """

    def __init__(self, engine: Any, model_names: Collection[str]) -> None:
        self._engine = engine
        self._names = tuple(model_names)

    @property
    def model_names(self) -> Collection[str]:
        """What a request may call the model."""
        return self._names

    async def say(
        self, messages: Sequence[Message], *, max_new_tokens: int, schema: Mapping[str, Any] | None = None
    ) -> Answer:
        """The most probable answer, one that the schema admits if there is one.

        Raises:
            MllmError: the conversation cannot be answered.
        """
        context: int = self._engine.model_config.max_model_len
        longest = min(max_new_tokens, context - 1)
        with heard.collected() as parts:
            prompt = await self._prompt(messages, context - longest)
        settings: dict[str, Any] = {"temperature": 0.0, "max_tokens": longest, "logprobs": 0}
        if schema is not None:
            settings["structured_outputs"] = StructuredOutputsParams(json=dict(schema))
        (said,) = (await self._generate(prompt, settings)).outputs
        ids = list(said.token_ids)
        chances = said.logprobs if schema is None else await self._chances(prompt, ids)
        return answer_of(
            self._engine.renderer.tokenizer,
            ids,
            [math.exp(one[token].logprob) for one, token in zip(chances, ids, strict=True)],
            complete=said.finish_reason == "stop",
            seconds_heard=sum(one.seconds_heard for one in parts),
            total_seconds=sum(one.total_seconds for one in parts),
        )

    async def _chances(self, prompt: Any, ids: list[int]) -> list[Any]:
        """Log-probabilities that the model itself gives to an answer.

        Where a schema restricts decoding, vLLM tells probabilities among what the schema admits, with which a model
        that would rather say something else looks sure.
        """
        read = {**prompt, "prompt_token_ids": [*prompt["prompt_token_ids"], *ids[:-1]]}
        settings = {"temperature": 0.0, "max_tokens": 1, "prompt_logprobs": 0, "logprob_token_ids": [ids[-1]]}
        output = await self._generate(read, settings)
        return [*output.prompt_logprobs[len(prompt["prompt_token_ids"]) :], output.outputs[0].logprobs[0]]

    async def _generate(self, prompt: Any, settings: Mapping[str, Any]) -> Any:
        """The finished output; given up in the engine when this is cancelled."""
        parameters = SamplingParams(detokenize=False, output_kind=RequestOutputKind.FINAL_ONLY, **settings)
        final = None
        async for output in self._engine.generate(prompt, parameters, f"mllm-{uuid.uuid4().hex}"):
            final = output
        assert final is not None, "vLLM ends a generation with its output"
        return final

    async def _prompt(self, messages: Sequence[Message], longest: int) -> Any:
        params = TokenizeParams(max_total_tokens=longest, add_special_tokens=False)
        try:
            _, (prompt,) = await self._engine.renderer.render_chat_async([list(messages)], ChatParams(), params)
        except RefusedError as error:
            raise error.reason from error
        except VLLMValidationError as error:
            raise PromptError(str(error)) from error
        return prompt


async def _tell_vllm_validation(request: Request, error: Exception) -> Response:
    """What vLLM refuses, in its words, without the parameters that it writes behind them."""
    assert isinstance(error, VLLMValidationError)
    if isinstance(error, RefusedError):
        return error_response(error.http_status, error.message, param=error.parameter)
    said = str(error.args[0])
    if said.startswith(BAD_GRAMMAR) and getattr(request.state, "has_tools", False):
        message = "decoding cannot be restricted to the parameters of these functions; give them simpler schemas"
        return error_response(HTTPStatus.BAD_REQUEST, message, param="tools")
    return error_response(HTTPStatus.BAD_REQUEST, said, param=error.parameter)


async def _tell_broken_off(request: Request, error: Exception) -> Response:
    """An answer that the engine broke off, saying no more than that.

    It does so where a grammar admits nothing more: it never ends (`{"$ref": "#"}`), other fields forbid what it asks
    for, or the library that compiles grammars fails. That is the request's fault; else it is the server's.
    """
    assert isinstance(error, GenerationError)
    if error.status_code != HTTPStatus.INTERNAL_SERVER_ERROR or not getattr(request.state, "is_restricted", False):
        return error_response(error.status_code, str(error))
    message = (
        "no answer can be given in the form that was asked for (schema, pattern or grammar, with the tokens allowed); "
        "ask for a simpler form"
    )
    return error_response(HTTPStatus.BAD_REQUEST, message)


async def _tell_malformed_part(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """A part of a message that vLLM itself does not understand; it lists all that it could have been."""
    assert isinstance(error, ValidationError)
    message = "a part of a message is not understood; expected text, input_audio or audio_url, each with its own key"
    return error_response(HTTPStatus.BAD_REQUEST, message, param="messages")


_HANDLERS: dict[type[Exception], Handler] = {
    VLLMValidationError: _tell_vllm_validation,
    GenerationError: _tell_broken_off,
}
"""What tells errors of vLLM, before an answer has begun and in the middle of a stream."""
