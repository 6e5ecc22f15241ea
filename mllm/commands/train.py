"""`mllm train CONFIG [key.sub=value ...]` and `mllm train --data FOLDER --out DIR`: fine-tune, or go on with it.

In: parsed options. Out: a checkpoint; what is done now on standard error. Knows how to ask for it, not how it is done.
Under `torchrun` and `deepspeed` this runs in every process, and the first of them speaks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from mllm import terminal
from mllm.commands import _shared
from mllm.errors import ConfigError

SUMMARY = "fine-tune on conversations, or on a folder of your own music"
USAGE = "[CONFIG.yaml] [key.sub=value ...] [--data FOLDER] [--out DIR] [--model DIR] [--dry-run]"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="CONFIG.yaml key.sub=value",
        help="settings of the run (scripts/configs), and single settings that win over them",
    )
    parser.add_argument(
        "--data",
        action="append",
        metavar="FOLDER",
        help="what is learnt from: a folder of music, or a JSONL file of conversations; may be given several times",
    )
    parser.add_argument("--out", metavar="DIR", help="where the finished checkpoint goes")
    parser.add_argument("--model", metavar="DIR", help="checkpoint to go on from (default: the reference checkpoint)")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check the data, count tokens, estimate memory and time, show the first three prompts; train nothing",
    )
    parser.add_argument("--local_rank", metavar="N", help="what the launcher of DeepSpeed adds; of no meaning here")


def run(options: Namespace) -> int:
    """Train.

    Raises:
        ConfigError: settings or data are wrong; everything that is wrong is named.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    files = [word for word in options.words if "=" not in word]
    if len(files) > 1:
        raise ConfigError(f"{' and '.join(map(repr, files))} were given; expected one YAML file and key.sub=value")
    if not files and not options.data and not any(word.startswith("data.train=") for word in options.words):
        raise ConfigError(
            "nothing to learn from was given; expected mllm train CONFIG.yaml, or mllm train --data FOLDER --out DIR"
        )
    _shared.quiet_libraries()
    from mllm.train import launch, run_config

    words = [word for word in options.words if "=" in word]
    config = run_config.read(Path(files[0]) if files else None, words, given=_given(options))
    if options.dry_run:
        from mllm.train import rehearsal

        print(rehearsal.rehearse(config, terminal.say))
        return 0
    from mllm.train import stage

    with terminal.progress("starting") as shown:

        def tell(sentence: str) -> None:
            shown.tell(sentence)
            if sentence.startswith("training"):
                shown.stop()
            if not sentence.startswith("encoding"):
                terminal.say(sentence)

        finished = stage.run(config, tell)
    if launch.is_first():
        print(_summary(finished))
    return 0


def _given(options: Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if options.data:
        given["data"] = {"train": options.data}
    if options.out is not None:
        given["out"] = options.out
    if options.model is not None:
        given["model"] = {"start": options.model}
    return given


def _summary(finished: Any) -> str:
    if not finished.metrics:
        return f"{finished.out} was finished before with these settings; nothing was done"
    figures = "  ".join(f"{name} {value:.4g}" for name, value in finished.metrics.items())
    return f"{finished.out}  {figures}"
