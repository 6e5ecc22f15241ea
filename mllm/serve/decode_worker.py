"""A process of its own that decodes: whatever a damaged or hostile file does to a decoder, it does it here.

In, on standard input: jobs, each a JSON header and the bytes of a file. Out, on standard output: one message when it is
ready, then for each job a JSON header and its windows as float32 samples. Logs nothing, keeps nothing, ends when its
input ends. Loads neither torch nor vLLM; `mllm.serve.decode_pool` starts it and speaks to it.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
from typing import IO, Any

from mllm import audio
from mllm.errors import AudioError, AudioLimitError, MllmError, NotAudioError

MOST_MEMORY_BYTES = 4 * 2**30
"""Of one worker; a file that needs more fails."""
ERRORS: dict[str, type[MllmError]] = {
    kind.__name__: kind for kind in (AudioError, AudioLimitError, NotAudioError, MllmError)
}
"""Errors that cross the pipe by name."""
_LENGTHS = struct.Struct("<IQ")
"""Bytes of the header and of what follows it."""


def send(pipe: IO[bytes], header: dict[str, Any], body: bytes = b"") -> None:
    """Write one message."""
    text = json.dumps(header).encode()
    pipe.write(_LENGTHS.pack(len(text), len(body)))
    pipe.write(text)
    pipe.write(body)
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """Read one message.

    Raises:
        EOFError: the other side is gone.
    """
    header_length, body_length = _LENGTHS.unpack(_read(pipe, _LENGTHS.size))
    header: dict[str, Any] = json.loads(_read(pipe, header_length))
    return header, _read(pipe, body_length)


def main() -> None:
    """Serve until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not come between the answers
    send(answers, {})
    while True:
        try:
            job, body = receive(sys.stdin.buffer)
        except EOFError:
            return
        send(answers, *_answer(job, body))


def _answer(job: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        source = job.pop("path") or body
        most_channels = job.pop("max_channels")
        channels = audio.probe(source).channels
        if most_channels is not None and channels > most_channels:
            raise AudioError(
                f"the given audio has {channels} channels; at most {most_channels} are accepted, so mix it down"
            )
        hearing = audio.hear(source, **job)
    except MllmError as error:
        name = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in ERRORS)
        return {"error": name, "message": str(error)}, b""
    except OSError as error:
        return {"error": "AudioError", "message": f"the given audio cannot be read ({error.strerror})"}, b""
    except MemoryError:
        return {"error": "AudioError", "message": "the given audio needs too much memory to decode"}, b""
    header = {
        "lengths": [len(window.samples) for window in hearing.windows],
        "seconds_heard": hearing.seconds_heard,
        "total_seconds": hearing.total_seconds,
    }
    return header, b"".join(window.samples.tobytes() for window in hearing.windows)


def _read(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return data


if __name__ == "__main__":
    main()
