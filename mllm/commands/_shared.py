"""What the commands have in common: their options, the loaded model, and what is told beside the answer.

In: parsed options. Out: a `Listener`, and sentences on standard error. Imports nothing heavy at the top.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveInt

from mllm import terminal
from mllm.commands import _start_up
from mllm.errors import ConfigError
from mllm.terminal import Progress

if TYPE_CHECKING:
    from mllm.answer import Answer
    from mllm.listener import Listener

SMALL_MODEL_PARAMETERS = 50_000_000
"""A smaller model computes on one thread unless OMP_NUM_THREADS says otherwise: its matrices are so small that a second
thread mostly waits, and where the processors are busy all threads wait for the slowest."""
UNHEARD_SECONDS = 0.5
"""From so much unheard sound on, a warning is given."""


def add_model_arguments(parser: ArgumentParser, *, max_new_tokens: int) -> None:
    """The options of every command that answers.

    Args:
        parser: of the command.
        max_new_tokens: the command's default.
    """
    parser.add_argument(
        "--model", metavar="DIR", help="directory or name of a checkpoint (default: the reference checkpoint)"
    )
    parser.add_argument("--seed", type=NonNegativeInt, default=0, help="of answers with a temperature (default: 0)")
    parser.add_argument(
        "--max-new-tokens",
        type=PositiveInt,
        default=max_new_tokens,
        help=f"longest answer, in tokens (default: {max_new_tokens})",
    )
    parser.add_argument(
        "--temperature",
        type=NonNegativeFloat,
        default=0.0,
        help="0: the most probable answer (default); above 0: answers are drawn, the higher the freer",
    )


def add_batch_arguments(parser: ArgumentParser, line: str) -> None:
    """The options of a command that can run over many lines; `line` shows one of them."""
    parser.add_argument("--batch", metavar="IN.jsonl", help=f"answer every line of this file; a line is {line}")
    parser.add_argument("--out", metavar="OUT.jsonl", help="where the answers of --batch go; - prints them")


def is_batch(options: Namespace, *, words: list[str]) -> bool:
    """Whether the command runs over a file of lines.

    Args:
        options: with `batch` and `out`.
        words: files and other words given on the command line; a batch takes none.

    Raises:
        ConfigError: the options contradict each other.
    """
    if options.batch is None and options.out is None:
        return False
    if options.batch is None or options.out is None:
        raise ConfigError("--batch IN.jsonl and --out OUT.jsonl go together; give both")
    if words:
        raise ConfigError(f"{words[0]!r} was given beside --batch; put it into a line of the batch file")
    return True


def speaking(options: Namespace) -> dict[str, Any]:
    """The options that `Listener.respond` takes."""
    return {"max_new_tokens": options.max_new_tokens, "temperature": options.temperature}


def open_listener(model: str | None, *, catalogue: str | None = None, seed: int) -> Listener:
    """Load a model.

    Args:
        model: directory or name of a checkpoint; None: the reference checkpoint.
        catalogue: directory of a catalogue; None for no items.
        seed: of answers with a temperature.

    Raises:
        CheckpointError: it is absent, incomplete or altered.
        CatalogueError: the catalogue is absent, damaged, or not for this model.
    """
    quiet_libraries()
    with terminal.progress("loading the model"), _start_up.lean():
        import torch

        from mllm.listener import Listener

        listener = Listener.load(model, catalogue=catalogue, seed=seed)
    parameters = sum(parameter.numel() for parameter in listener.model.parameters())
    if parameters < SMALL_MODEL_PARAMETERS and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    return listener


def quiet_libraries() -> None:
    """Keep what libraries tell their developers off the command line; errors stay errors."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not sys.warnoptions:
        for library in ("torch", "transformers", "huggingface_hub"):
            warnings.filterwarnings("ignore", module=rf"{library}\b")
    # Where it is installed, DeepSpeed is imported by others, and warns on standard output, where answers go.
    logging.getLogger("DeepSpeed").addFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def warn_of_unheard(answer: Answer, what: str) -> None:
    """Tell where less than the whole was heard."""
    if answer.total_seconds - answer.seconds_heard > UNHEARD_SECONDS:
        terminal.say(f"heard {answer.seconds_heard:.0f} s of the {answer.total_seconds:.0f} s of {what}")


def streaming(shown: Progress, *, before: str = "") -> Callable[[str], None]:
    """A function that prints pieces of an answer as they come.

    Args:
        shown: ends before the first piece.
        before: printed before the first piece.
    """
    lead = [before]

    def write(piece: str) -> None:
        shown.stop()
        print(lead.pop() if lead else "", piece, sep="", end="", flush=True)

    return write
