"""Any language model that hears behind an OpenAI-compatible address: vLLM, `mllm serve`, a hosted one.

In: questions. Out: what the server answers to their conversations, the most probable token each time where it obeys;
the confidence where it tells log-probabilities. Recordings are sent along, the exact stretch of each. Nothing is ever
fetched for the server, and the key is written nowhere.
"""

from __future__ import annotations

import base64
import functools
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import soundfile

from mllm import audio
from mllm.errors import ConfigError, EndpointError, MllmError
from mllm.eval.model import Model, ModelSettings
from mllm.eval.models._chat_client import ChatClient, RefusedError
from mllm.eval.models._remembering import Remembering
from mllm.eval.questions import Question, Said
from mllm.messages import Audio, Item, Message, Part, Text

TITLE = "any OpenAI-compatible address, as http://127.0.0.1:8000/v1 or http://127.0.0.1:8000/v1#name-of-the-model"
NEEDS = ""
CONCURRENCY = 8
"""Requests in flight at once."""
_SENT_AS_THEY_ARE = {".wav": "wav", ".mp3": "mp3"}
"""Whole files that every server takes, by the end of their names; all else is sent as wav."""


def open_model(place: str | None, settings: ModelSettings) -> Model:
    """Reach the server and choose its model.

    Raises:
        ConfigError: there is no address, nobody answers there, it has no such model, or the key is not set.
    """
    if place is None:
        raise ConfigError("--model endpoint: give its address, such as endpoint=http://127.0.0.1:8000/v1")
    base, _, name = place.partition("#")
    client = ChatClient(base=base, key=_key(settings.key_variable))
    return Endpoint(client, _served(client, name), settings)


class Endpoint:
    """A model behind an address; `description` grows by the fingerprints that the server tells.

    Args:
        client: that reaches it.
        model: by which name the server knows it.
        settings: how many questions are answered at once.
    """

    listens = True

    def __init__(self, client: ChatClient, model: str, settings: ModelSettings) -> None:
        self.name = model.rstrip("/").rpartition("/")[2]
        self._client = client
        self._model = model
        self._told: dict[str, Any] = {
            "kind": "endpoint",
            "place": client.base,
            "model": model,
            "temperature": 0,
            "seed": 0,
        }
        self.description: Mapping[str, Any] = self._told
        self._tells_chances = True
        self._memory = Remembering(self._respond, at_once=max(settings.batch_size, 2 * CONCURRENCY))

    def answers(self, question: Question) -> bool:
        """What is asked in words about recordings; no items of a catalogue."""
        parts = [part for message in question.messages for part in message.parts]
        return question.kind in ("text", "choice") and not any(isinstance(part, Item) for part in parts)

    def prepare(self, task: str, questions: Sequence[Question], material: Any) -> None:
        """Nothing is learnt."""

    def respond(self, questions: Sequence[Question]) -> Iterator[Said]:
        """Answers in order, several asked at once."""
        return self._memory.respond(questions)

    def _respond(self, questions: Sequence[Question]) -> list[Said]:
        with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="endpoint") as pool:
            return list(pool.map(self._ask, questions))

    def _ask(self, question: Question) -> Said:
        try:
            body = {
                "model": self._model,
                "messages": [_message(message) for message in question.messages],
                "temperature": 0,
                "seed": 0,
                "max_tokens": question.max_new_tokens,
            }
            return self._said(self._sent(body))
        except MllmError as error:
            return Said(error=str(error))

    def _sent(self, body: Mapping[str, Any]) -> Any:
        """The reply; who refuses to tell log-probabilities is not asked for them again."""
        if not self._tells_chances:
            return self._client.post("/chat/completions", body)
        try:
            return self._client.post("/chat/completions", {**body, "logprobs": True})
        except RefusedError as error:
            try:
                reply = self._client.post("/chat/completions", body)
            except EndpointError:
                raise error from None
            self._tells_chances = False
            return reply

    def _said(self, reply: Any) -> Said:
        choices = reply.get("choices") if isinstance(reply, dict) else None
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get("message") if isinstance(choice, dict) else None
        text = message.get("content") if isinstance(message, dict) else None
        if not isinstance(choice, dict) or not isinstance(text, str):
            return Said(error=f"{self._client.base} gives no chat completion")
        if isinstance(fingerprint := reply.get("system_fingerprint"), str):
            self._told["system_fingerprints"] = sorted({fingerprint, *self._told.get("system_fingerprints", ())})
        return Said(text=text.strip(), confidence=_confidence(choice.get("logprobs")))


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(f"the environment variable {variable} (--key-variable) is not set; put the key into it")
    return key


def _served(client: ChatClient, wanted: str) -> str:
    """The name of the model to ask for.

    Raises:
        ConfigError: nobody answers, the key is refused, or it is not clear which model is meant.
    """
    try:
        listed = client.get("/models")
        names = [str(model["id"]) for model in listed["data"]]
    except RefusedError as error:
        if wanted and "status 404" in str(error):
            return wanted  # such a list is not part of every server
        raise ConfigError(f"--model endpoint: {error}; expected the list of its models under /models") from error
    except EndpointError as error:
        raise ConfigError(f"--model endpoint: {error}; start the server, or give another address") from error
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"--model endpoint: {client.base}/models is no list of models; give another address"
        ) from error
    if wanted and wanted not in names:
        raise ConfigError(f"--model endpoint: {client.base} has no model {wanted!r}; it has: {', '.join(names)}")
    if not wanted and len(names) != 1:
        raise ConfigError(
            f"--model endpoint: {client.base} has {len(names)} models; name one behind '#': {', '.join(names)}"
        )
    return wanted or names[0]


def _message(message: Message) -> dict[str, Any]:
    if all(isinstance(part, Text) for part in message.parts):
        return {
            "role": message.role,
            "content": "\n".join(part.text for part in message.parts if isinstance(part, Text)),
        }
    return {"role": message.role, "content": [_part(part) for part in message.parts]}


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, Audio):
        data, written = _sound(part)
        return {"type": "input_audio", "input_audio": {"data": data, "format": written}}
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    raise EndpointError("a catalogue item cannot be sent to another model; leave it out")


@functools.lru_cache(maxsize=64)
def _sound(recording: Audio) -> tuple[str, str]:
    """A recording as base64, and the format of the file: the stretch that is meant and nothing beside it.

    Raises:
        AudioError: it cannot be read.
    """
    source = recording.source
    if recording.start is None and recording.end is None:
        written = "wav" if isinstance(source, bytes) and source[:4] == b"RIFF" else None
        if isinstance(source, Path):
            written = _SENT_AS_THEY_ARE.get(source.suffix.lower())
        if written is not None:
            audio.probe(source)  # says what is wrong with a file better than a server does
            content = source if isinstance(source, bytes) else source.read_bytes()
            return base64.b64encode(content).decode("ascii"), written
    rate = audio.probe(source).sample_rate_hz
    clip = audio.load(source, sample_rate_hz=rate, start=recording.start, end=recording.end, require_sound=False)
    buffer = io.BytesIO()
    soundfile.write(buffer, clip.samples, rate, format="WAV", subtype="PCM_16")
    return base64.b64encode(buffer.getvalue()).decode("ascii"), "wav"


def _confidence(told: Any) -> float | None:
    """Geometric mean of the tokens' probabilities, as for our own answers; None where they are not told."""
    tokens = told.get("content") if isinstance(told, dict) else None
    if not isinstance(tokens, list) or not tokens:
        return None
    logs = [token.get("logprob") if isinstance(token, dict) else None for token in tokens]
    numbers = [float(one) for one in logs if isinstance(one, int | float)]
    return min(1.0, math.exp(math.fsum(numbers) / len(numbers))) if len(numbers) == len(logs) else None
