"""Asks `mllm serve` about a recording with the `openai` package: a question and one more, streamed.

In: a file, questions, the server's address and key. Out: the answers on standard output as they come; on standard error
what the server could not hear. Needs `pip install openai` and nothing of mllm.

    python docs/examples/openai_client.py song.mp3
    python docs/examples/openai_client.py song.mp3 "Is it in 3/4?" "And how fast?" --base-url http://gpu:8000/v1
"""

from __future__ import annotations

import argparse
import base64
import os
import sys
from pathlib import Path
from typing import Any

import openai

QUESTIONS = ("What is the key?", "Which instruments do you hear?")


def recording(path: Path) -> dict[str, Any]:
    """A file as a part of a message: `input_audio` knows wav and mp3, a data: URL every format."""
    kind = path.suffix.lower().removeprefix(".")
    data = base64.b64encode(path.read_bytes()).decode()
    if kind in ("wav", "mp3"):
        return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}
    return {"type": "audio_url", "audio_url": {"url": f"data:audio/{kind or 'unknown'};base64,{data}"}}


def answer(client: openai.OpenAI, model: str, messages: list[Any]) -> str:
    """The answer to a conversation, printed while it comes."""
    response = client.chat.completions.with_raw_response.create(
        model=model, messages=messages, temperature=0, stream=True
    )
    if unheard := response.headers.get("warning"):
        print(unheard, file=sys.stderr)
    said = ""
    for chunk in response.parse():
        piece = (chunk.choices[0].delta.content or "") if chunk.choices else ""
        print(piece, end="", flush=True)
        said += piece
    print()
    return said


def main() -> int:
    """Ask every question in one conversation; exit status 1 if the server refuses or is not there."""
    parser = argparse.ArgumentParser(description="Ask mllm serve about a recording.")
    parser.add_argument("file", type=Path, help="the recording")
    parser.add_argument("questions", nargs="*", default=QUESTIONS, help="asked one after the other")
    parser.add_argument("--base-url", default="http://127.0.0.1:8000/v1")
    parser.add_argument(
        "--api-key",
        default=os.environ.get("OPENAI_API_KEY", "none"),
        help="default: $OPENAI_API_KEY, which other users of this machine cannot read",
    )
    parser.add_argument("--model", default="mllm")
    options = parser.parse_args()

    client = openai.OpenAI(base_url=options.base_url, api_key=options.api_key)
    messages: list[Any] = []
    try:
        for question in options.questions:
            first = [] if messages else [recording(options.file)]
            messages.append({"role": "user", "content": [*first, {"type": "text", "text": question}]})
            print(f"> {question}")
            messages.append({"role": "assistant", "content": answer(client, options.model, messages)})
    except openai.APIStatusError as error:
        print(error.message, file=sys.stderr)
        return 1
    except openai.APIConnectionError:
        print(f"no server answers at {options.base_url}; start one with mllm serve", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{options.file} cannot be read: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
