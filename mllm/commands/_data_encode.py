"""`mllm data encode DATA...`: what the frozen encoder makes of a training's recordings, computed once and kept.

In: parsed options. Out: a store, a summary on standard output, and a line on standard error for each recording that
failed. Knows how to ask for it, not how it is done.
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveFloat, PositiveInt

from mllm import terminal
from mllm.commands import _shared, _start_up
from mllm.errors import ConfigError

SUMMARY = "compute what the encoder makes of recordings, ahead of a training"
USAGE = "DATA... --store DIR [--model DIR] [--max-gib N] [--workers N] [--ray ADDRESS]"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "data",
        nargs="*",
        metavar="DATA",
        help='JSONL files with a conversation {"messages": [...]} a line, data sets, recordings, folders',
    )
    parser.add_argument("--store", metavar="DIR", help="where it is kept; several runs may fill one store at once")
    parser.add_argument(
        "--model", metavar="DIR", help="directory or name of a checkpoint (default: the reference checkpoint)"
    )
    parser.add_argument(
        "--max-gib",
        type=PositiveFloat,
        help="most GiB of the store; what was used longest ago goes (default: no bound)",
    )
    parser.add_argument(
        "--workers", type=PositiveInt, default=1, help="processes, each with an encoder of its own (default: 1)"
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="have up to so many workers in a Ray cluster: host:port, 'auto', or 'local' for one that is started here",
    )


def run(options: Namespace) -> int:
    """Encode; the exit status is 1 if a recording or a line failed."""
    if not options.data:
        raise ConfigError("no data was given; expected: mllm data encode DATA.jsonl --store DIR")
    if options.store is None:
        raise ConfigError("--store is missing; give the directory in which the encodings are kept")
    from mllm.train import recordings

    mentions = recordings.mentions([Path(word) for word in options.data])
    _shared.quiet_libraries()
    with terminal.progress("starting") as shown:
        with _start_up.lean():
            from mllm.listener import find_model
            from mllm.train import encode, encode_ray
            from mllm.train.encoding_store import EncodingStore

        config = encode.EncodeConfig(
            model=str(find_model(options.model)),
            store=Path(options.store),
            max_bytes=None if options.max_gib is None else round(options.max_gib * 2**30),
            workers=options.workers,
        )
        if options.ray is not None:
            spread = encode_ray.on_ray(options.ray)
        else:
            spread = encode.in_this_process if options.workers == 1 else encode.in_processes
        summary = encode.Summary()

        def tell(outcome: encode.Outcome) -> None:
            summary.add(outcome)
            if outcome.error:
                terminal.say(outcome.error)
            shown.tell(f"encoding: {summary.recordings} recordings, {summary.seconds:.0f} s of audio")

        encode.encode(mentions, config, spread, tell)
    print(
        f"windows: {summary.made} made, {summary.found} found; recordings failed: {summary.failed}; "
        f"audio: {summary.seconds:.1f} s; store: {EncodingStore(config.store).measure()} bytes"
    )
    if summary.evicted:
        terminal.say(f"{summary.evicted} recordings went to make room for others; give a larger --max-gib to keep all")
    return 1 if summary.failed else 0
