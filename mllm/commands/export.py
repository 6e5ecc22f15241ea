"""`mllm export MODEL --out DIR`: a directory that holds all of a checkpoint, for vLLM, transformers and other machines.

In: parsed options. Out: the directory, and one line on standard output. Knows how to ask for it, not how it is made.
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from mllm import terminal
from mllm.commands import _shared, _start_up
from mllm.errors import ConfigError

SUMMARY = "put a checkpoint and its frozen parts into one directory"
USAGE = "[MODEL | --model DIR] --out DIR [--merge] [--copy]"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="the same as --model")
    parser.add_argument(
        "--model", metavar="DIR", help="directory or name of a checkpoint (default: the reference checkpoint)"
    )
    parser.add_argument("--out", metavar="DIR", help="directory to write; an older checkpoint there is replaced")
    parser.add_argument("--merge", action="store_true", help="merge the LoRA into the backbone, which is written anew")
    parser.add_argument("--copy", action="store_true", help="copy the frozen parts instead of linking to them")


def run(options: Namespace) -> int:
    """Export."""
    models = [*options.models, *([] if options.model is None else [options.model])]
    if len(models) > 1:
        raise ConfigError(
            f"{' and '.join(map(repr, models))} were given; expected one checkpoint: mllm export MODEL --out DIR"
        )
    if options.out is None:
        raise ConfigError("--out is missing; give the directory to write")
    _shared.quiet_libraries()
    with terminal.progress("exporting"):
        with _start_up.lean():
            from mllm.export import ExportConfig, export
            from mllm.listener import find_model
        model = str(find_model(models[0] if models else None))
        made = export(ExportConfig(model=model, out=Path(options.out), merge=options.merge, copy=options.copy))
    print(f"checkpoint: {made.directory}; linked: {made.linked_bytes} bytes; written: {made.written_bytes} bytes")
    return 0
