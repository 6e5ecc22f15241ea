"""`mllm eval judge RUN_DIR`: have the answers of a run judged by a language model behind an address.

In: parsed options. Out: the figure with its interval and the agreement of the two orders on standard output, and in the
folder of the run `judgement-….json` with every verdict, and the log. Happens only when it is called, and only with the
address that was given.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt

from mllm import terminal
from mllm.errors import ConfigError
from mllm.eval import answers, results, statistic
from mllm.eval import judge as judging
from mllm.eval.judge import Judgement, JudgeSettings
from mllm.eval.statistic import Estimate
from mllm.instruct_data.endpoint import EndpointSettings

SUMMARY = "have answers judged by a language model behind an address, each in both orders"
USAGE = "DIR --base URL --model NAME [--of MODEL] [--against MODEL] [options]"
_MOST_TOKENS = 400


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("folder", metavar="DIR", help="of a finished run")
    parser.add_argument("--base", required=True, metavar="URL", help="such as http://127.0.0.1:8000/v1")
    parser.add_argument("--model", required=True, metavar="NAME", help="of the judge, as its server calls it")
    parser.add_argument("--of", metavar="MODEL", help="the model of the run that is judged (default: the only one)")
    parser.add_argument("--against", metavar="MODEL", help="another one of the run that it is compared with")
    parser.add_argument("--tasks", metavar="A,B", help="whose answers are judged (default: all that have references)")
    parser.add_argument("--limit", type=PositiveInt, metavar="N", help="at most so many questions of each task")
    parser.add_argument("--key-variable", metavar="NAME", help="environment variable that holds the key")
    parser.add_argument("--concurrency", type=PositiveInt, default=4, metavar="N", help="requests at once (default: 4)")
    parser.add_argument("--seed", type=NonNegativeInt, default=0, help="of the bootstrap and of requests (default: 0)")
    parser.add_argument(
        "--resamples", type=PositiveInt, default=statistic.RESAMPLES, metavar="N", help="of the bootstrap"
    )
    parser.add_argument("--json", action="store_true", help="all of it as one JSON object")


def run(options: Namespace) -> int:
    """Judge, write and print; the exit status is 1 where nothing could be judged."""
    folder = Path(options.folder)
    known = list(results.read(folder).models)
    model = options.of or (known[0] if len(known) == 1 else None)
    if model is None:
        raise ConfigError(f"the run has several models: {', '.join(known)}; say which one is judged with --of")
    if model == options.against:
        raise ConfigError(f"--against {model} is the model that is judged; name another one of {', '.join(known)}")
    settings = JudgeSettings(
        endpoint=EndpointSettings(
            base=options.base,
            model=options.model,
            key_variable=options.key_variable,
            temperature=0.0,
            seed=options.seed,
            max_tokens=_MOST_TOKENS,
            concurrency=options.concurrency,
        ),
        log=folder / "judge.log.jsonl",
        model=model,
        against=options.against,
        tasks=tuple(name.strip() for name in (options.tasks or "").split(",") if name.strip()),
        limit=options.limit,
        resamples=options.resamples,
        seed=options.seed,
    )
    with terminal.progress("judging") as progress:
        found = judging.judge(answers.read_lines(folder / results.ANSWERS), settings, progress.tell)
    plain = dataclasses.asdict(found)
    path = folder / f"judgement-{_file_name(found)}.json"
    beside = path.with_name(f"{path.name}.half")
    beside.write_text(json.dumps(plain, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)
    print(json.dumps(plain, ensure_ascii=False, indent=1) if options.json else "\n".join(_told(found)))
    terminal.say(f"every verdict is in {path}")
    return 0 if found.judged else 1


def _file_name(found: Judgement) -> str:
    names = [found.model, *([found.against] if found.against is not None else []), found.judge]
    return "-".join(re.sub(r"[^\w.]+", "_", name) for name in names)


def _told(found: Judgement) -> Iterator[str]:
    what = "mean score, 1 to 5" if found.against is None else f"wins against {found.against}, draws half"
    yield f"{found.model}, judged by {found.judge}: {what}: {_shown(found.value)}"
    if len(found.by_task) > 1:
        for task, value in found.by_task.items():
            yield f"  {task}: {_shown(value)}"
    agreement = "not known" if found.agreement is None else f"{found.agreement:.2f}"
    yield f"both orders agree: {agreement}"
    yield (
        f"{found.judged} of {found.questions} questions judged, {found.empty} of them without asking (empty answers); "
        f"{found.unreadable} verdicts cannot be read, {found.failed} did not come"
    )


def _shown(value: Estimate) -> str:
    numbers: list[Any] = [value.value, value.low, value.high]
    if None in numbers:
        return "–" if value.value is None else f"{value.value:.2f}"
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"
