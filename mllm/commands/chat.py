"""`mllm chat [FILE...]`: a conversation about recordings, in which the model remembers what was said.

In: parsed options, and lines from standard input. Out: answers on standard output as they come. A line that starts with
"/" is an order, any other a question. Works on a terminal and with lines from a pipe.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from mllm import terminal
from mllm.answer import MAX_NEW_TOKENS
from mllm.commands import _shared
from mllm.errors import AudioError, ConfigError, MllmError, PromptError
from mllm.messages import Audio, Message, Text

if TYPE_CHECKING:
    from mllm.listener import Listener

SUMMARY = "talk about recordings, question after question"
USAGE = "[FILE...] [options]"
ORDERS = """\
/add FILE   let the model hear a recording together with your next question
/forget     forget the conversation and all recordings (also: /reset)
/help       show this
/quit       end (also: /exit, or the end of input)"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="recordings to talk about; more with /add")
    _shared.add_model_arguments(parser, max_new_tokens=MAX_NEW_TOKENS)


def run(options: Namespace) -> int:
    """Talk until the input ends; the exit status is 1 if, away from a terminal, something could not be answered."""
    recordings = [_found(name) for name in options.files]
    conversation = Conversation(_shared.open_listener(options.model, seed=options.seed), options, recordings)
    interactive = sys.stdin.isatty()
    if interactive:
        terminal.say("ask about the recordings; /add FILE, /forget, /help, /quit")
    failed = False
    for line in _lines(interactive):
        if line in ("/quit", "/exit"):
            break
        try:
            conversation.take(line)
        except AudioError as error:
            if conversation.opening:
                raise
            failed = True
            terminal.say(f"{error} (this recording is left out)")
        except MllmError as error:
            failed = True
            terminal.say(str(error))
    return 1 if failed and not interactive else 0


class Conversation:
    """What was said so far, and the recordings that go with the next question.

    Args:
        listener: answers.
        options: of the command.
        recordings: heard with the first question.
    """

    def __init__(self, listener: Listener, options: Namespace, recordings: list[Audio]) -> None:
        self._listener = listener
        self._speaking = _shared.speaking(options)
        self._said: list[Message] = []
        self._waiting = recordings
        self.opening = bool(recordings)
        """Whether the recordings named on the command line have not been heard yet."""

    def take(self, line: str) -> None:
        """Follow an order or answer a question.

        Raises:
            AudioError: a recording cannot be heard; it is left out of the conversation.
            ConfigError: there is no such order.
            PromptError: the conversation has become longer than the context.
        """
        if not line.startswith("/"):
            if line:
                self._answer(line)
            return
        order, _, rest = line.partition(" ")
        if order == "/add" and rest.strip():
            self._waiting.append(_found(rest.strip().strip("\"'")))
            terminal.say(f"{rest.strip()} goes with your next question")
        elif order in ("/forget", "/reset") and not rest.strip():
            self._said, self._waiting, self.opening = [], [], False
            terminal.say("everything is forgotten")
        elif order == "/help":
            print(ORDERS, flush=True)
        else:
            raise ConfigError(f"there is no order {line!r}; expected /add FILE, /forget, /help or /quit")

    def _answer(self, question: str) -> None:
        asked = Message(role="user", parts=(*self._waiting, Text(text=question)))
        with terminal.progress("listening" if self._waiting else "thinking") as shown:
            try:
                write = _shared.streaming(shown)
                answer = self._listener.respond([*self._said, asked], stream=write, **self._speaking)
            except AudioError:
                self._waiting = [audio for audio in self._waiting if self._can_be_heard(audio)]
                raise
            except PromptError as error:
                raise PromptError(f"{error} In a chat, /forget begins anew.") from error
        print(flush=True)
        if self._waiting:
            _shared.warn_of_unheard(answer, "the recordings")
        # An empty answer cannot be told again as the assistant's words.
        self._said += [asked, Message(role="assistant", parts=(Text(text=answer.text or "..."),))]
        self._waiting, self.opening = [], False

    def _can_be_heard(self, audio: Audio) -> bool:
        try:
            self._listener.hear(audio)
        except AudioError:
            return False
        return True


def _found(name: str) -> Audio:
    """The recording of that name, if there is audio in it at all; the whole is heard with the first question.

    Raises:
        AudioError: it is missing, empty, or not audio.
    """
    from mllm import audio

    try:
        audio.probe(name)
    except OSError as error:
        raise AudioError(f"{name} cannot be read ({error.strerror}); give the path of a file") from error
    return Audio(source=Path(name))


def _lines(interactive: bool) -> Iterator[str]:
    """What the user writes, without white space around it, until the input ends."""
    if not interactive:
        for line in sys.stdin:
            yield line.strip()
        return
    if importlib.util.find_spec("readline") is not None:
        importlib.import_module("readline")  # its import gives `input` a history and editing
    while True:
        try:
            yield input("> ").strip()
        except EOFError:
            print()
            return
