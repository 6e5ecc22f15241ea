"""`mllm caption FILE...`: what the music is like, in a sentence or two for each file.

In: parsed options. Out: captions on standard output, one a line, or a file of results. Knows how to ask, not how the
model hears.
"""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from mllm import terminal
from mllm.answer import MAX_NEW_TOKENS
from mllm.commands import _batch, _shared
from mllm.describe import CAPTION_QUESTION
from mllm.errors import AudioError, ConfigError

SUMMARY = "say in words what each recording is like"
USAGE = "FILE... [options] | --batch IN.jsonl --out OUT.jsonl [options]"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="recordings, each captioned on its own")
    _shared.add_batch_arguments(parser, '{"id": ..., "path": ...}')
    _shared.add_model_arguments(parser, max_new_tokens=MAX_NEW_TOKENS)


def run(options: Namespace) -> int:
    """Caption the files; the exit status is 2 if none could be heard, 1 if some could not."""
    if _shared.is_batch(options, words=options.files):
        return _batch.run(options, lambda line: _batch.recording_of(line, CAPTION_QUESTION), _batch.spoken)
    if not options.files:
        raise ConfigError("no recording was given; expected: mllm caption FILE...")
    listener = _shared.open_listener(options.model, seed=options.seed)
    failed = 0
    for file in options.files:
        label = f"{file}: " if len(options.files) > 1 else ""
        try:
            with terminal.progress(f"listening to {file}") as shown:
                write = _shared.streaming(shown, before=label)
                answer = listener.caption(file, stream=write, **_shared.speaking(options))
        except AudioError as error:
            terminal.say(str(error))
            failed += 1
            continue
        print()
        _shared.warn_of_unheard(answer, file)
    return 0 if not failed else 2 if failed == len(options.files) else 1
