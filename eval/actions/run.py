"""`mllm eval run`: ask models the questions of tasks, with blind controls beside every score.

In: parsed options. Out: the table on standard output, and in the folder of the run every answer, every number and the
page. Knows no task and no model.
"""

from __future__ import annotations

import shlex
import sys
import webbrowser
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt

from mllm import registry, terminal
from mllm.errors import ConfigError
from mllm.eval import markdown, music, page, statistic, suite
from mllm.eval import run as running
from mllm.eval.model import Model, ModelSettings
from mllm.eval.music import Music
from mllm.settings import near

SUMMARY = "ask models the questions of tasks, with blind controls beside every score"
USAGE = "[--tasks A,B] [--model NAME[=PLACE] ...] [--data KEY=DIR ...] [--out DIR] [options]"
ALL = "all"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--tasks", default=ALL, metavar="A,B", help="files of eval/tasks; mllm eval tasks lists them (default: all)"
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME[=PLACE]",
        help="a file of eval/models and what it opens, such as mllm=my_model, librosa, "
        "endpoint=http://127.0.0.1:8000/v1; may be given several times; a directory alone is a checkpoint of mllm "
        "(default: the reference checkpoint)",
    )
    parser.add_argument(
        "--data", action="append", metavar="KEY=DIR", help="files of a benchmark; may be given several times"
    )
    parser.add_argument("--out", default="runs/eval", metavar="DIR", help="folder of the run (default: runs/eval)")
    parser.add_argument(
        "--engine", choices=("transformers", "vllm"), default="transformers", help="for checkpoints of mllm"
    )
    parser.add_argument(
        "--batch-size", type=PositiveInt, default=32, metavar="N", help="questions answered at once (default: 32)"
    )
    parser.add_argument("--threads", type=PositiveInt, metavar="N", help="that torch computes with")
    parser.add_argument("--seed", type=NonNegativeInt, default=0, help="of everything that is drawn (default: 0)")
    parser.add_argument(
        "--size",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of the usual number of rendered questions, in (0, 1] (default: 1)",
    )
    parser.add_argument("--limit", type=PositiveInt, metavar="N", help="at most about so many questions of each task")
    parser.add_argument(
        "--resamples",
        type=PositiveInt,
        default=statistic.RESAMPLES,
        metavar="N",
        help=f"of the bootstrap (default: {statistic.RESAMPLES})",
    )
    parser.add_argument(
        "--music", metavar="DIR", help="where rendered music is kept (default: in the user's folder for caches)"
    )
    parser.add_argument("--key-variable", metavar="NAME", help="environment variable that holds the key of an address")
    parser.add_argument("--no-open", action="store_true", help="do not show the page in a browser")


def run(options: Namespace) -> int:
    """Ask, score, write and print."""
    if not 0 < options.size <= 1:
        raise ConfigError(f"--size is {options.size:g}; expected more than 0 and at most 1")
    out = Path(options.out)
    settings = running.Settings(
        out=out,
        tasks=_tasks(options.tasks),
        command=shlex.join(["mllm", *sys.argv[1:]]),
        seed=options.seed,
        limit=options.limit,
        resamples=options.resamples,
    )
    places = _places(options.data or [])
    with terminal.progress("evaluating") as progress:
        rendered = Music(
            folder=Path(options.music) if options.music else suite.default_folder(),
            places=places,
            seed=options.seed,
            size=options.size,
            tell=progress.tell,
        )
        found = running.run(settings, _models(options), rendered, progress.tell, terminal.say)
        page_path = page.write(out)
        (out / "report.md").write_text(markdown.table(found), encoding="utf-8")
    print(markdown.table(found))
    terminal.say(f"every answer, every number and the page are in {out}: {page_path}")
    if sys.stdout.isatty() and not options.no_open:
        webbrowser.open(page_path.resolve().as_uri())
    return 0


def _tasks(given: str) -> tuple[str, ...]:
    known = registry.names("task")
    names = known if given == ALL else tuple(name.strip() for name in given.split(",") if name.strip())
    unknown = [f"{name!r} is no task{near(name, known)}" for name in names if name not in known]
    if unknown or not names:
        raise ConfigError(f"--tasks: {'; '.join(unknown) or 'none was given'}; expected some of {', '.join(known)}")
    return tuple(dict.fromkeys(names))


def _models(options: Namespace) -> list[Model]:
    settings = ModelSettings(
        engine=options.engine, batch_size=options.batch_size, threads=options.threads, key_variable=options.key_variable
    )
    return [open_model(text, settings) for text in options.model or ["mllm"]]


def open_model(text: str, settings: ModelSettings) -> Model:
    """The model that `NAME`, `NAME=PLACE` or the directory of a checkpoint names.

    Raises:
        ConfigError: there is no such kind of model, or it cannot be opened.
    """
    known = registry.names("evaluated model")
    name, equals, place = text.partition("=")
    if name not in known:
        if Path(text).is_dir():
            name, place = "mllm", text
        else:
            raise ConfigError(
                f"--model {text}: {name!r} is neither a directory nor one of the models there are{near(name, known)}: "
                f"{', '.join(known)}"
            )
    elif equals and not place:
        raise ConfigError(f"--model {text}: nothing stands behind '='; give a directory, an address or a name")
    opened: Model = registry.find("evaluated model", name).open_model(place or None, settings)
    return opened


def _places(given: list[str]) -> dict[str, Path]:
    known = {*music.keys_of_sources(), *(key for key in _keys_of_tasks())}
    places: dict[str, Path] = {}
    for one in given:
        key, equals, folder = one.partition("=")
        if not (key and equals and folder):
            raise ConfigError(f"--data {one!r}: expected KEY=DIR, such as musiccaps=data/musiccaps")
        if key not in known:
            raise ConfigError(
                f"--data {one!r}: no task reads {key!r}{near(key, known)}; expected one of {', '.join(sorted(known))}"
            )
        if not Path(folder).exists():
            raise ConfigError(f"--data {one!r}: {folder} is not there; give the folder of its files")
        places[key] = Path(folder).absolute()
    return places


def _keys_of_tasks() -> list[str]:
    abouts = [registry.find("task", name).ABOUT for name in registry.names("task")]
    return [key for about in abouts for key in (about.source, *about.also) if key is not None]
