"""`mllm export MODEL --out DIR`: a directory that holds all of a checkpoint, for vLLM, transformers and other machines.

In: parsed options. Out: the directory, and one line on standard output. Knows how to ask for it, not how it is made.
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from mllm.commands import _shared, _start_up
from mllm.errors import ConfigError

SUMMARY = "put a checkpoint and its frozen parts into one directory"
USAGE = "MODEL --out DIR [--merge] [--copy]"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="directory or name of a checkpoint")
    parser.add_argument("--out", metavar="DIR", help="directory to write; an older checkpoint there is replaced")
    parser.add_argument("--merge", action="store_true", help="merge the LoRA into the backbone, which is written anew")
    parser.add_argument("--copy", action="store_true", help="copy the frozen parts instead of linking to them")


def run(options: Namespace) -> int:
    """Export."""
    if len(options.models) != 1:
        raise ConfigError(f"{len(options.models)} checkpoints were given; expected one: mllm export MODEL --out DIR")
    if options.out is None:
        raise ConfigError("--out is missing; give the directory to write")
    _shared.quiet_libraries()
    with _shared.progress("exporting"):
        with _start_up.lean():
            from mllm.export import ExportConfig, export
        made = export(
            ExportConfig(model=options.models[0], out=Path(options.out), merge=options.merge, copy=options.copy)
        )
    print(f"checkpoint: {made.directory}; linked: {made.linked_bytes} bytes; written: {made.written_bytes} bytes")
    return 0
