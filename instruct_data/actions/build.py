"""`mllm data build CONFIG.yaml [key.sub=value ...]`: makes a data set of conversations about music.

In: parsed options. Out: a folder as `data_set` describes it, a summary on standard output, and what was left out on
standard error. Knows how to ask for it, not how it is done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt, PositiveFloat, PositiveInt

from mllm import terminal
from mllm.errors import ConfigError
from mllm.instruct_data.tracks import SPLITS

SUMMARY = "make a data set: rendered music with exact labels, public data sets, a folder of your own"
USAGE = "[CONFIG.yaml] [key.sub=value ...] [--folder DIR [--licence NAME]] [--hours N [--fonts FONT ...]] [--out DIR]"
_SKIPPED_SHOWN = 5


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="CONFIG.yaml key.sub=value",
        help="settings of the build (scripts/configs/data), and single settings that win over them",
    )
    parser.add_argument("--out", metavar="DIR", help="folder of the data set; an unfinished one is finished")
    parser.add_argument("--folder", metavar="DIR", help="recordings of your own, with a table or texts beside them")
    parser.add_argument("--licence", metavar="NAME", help="of all recordings in --folder, such as CC-BY-4.0")
    parser.add_argument("--hours", type=PositiveFloat, metavar="N", help="hours of rendered music with exact labels")
    parser.add_argument(
        "--fonts",
        action="append",
        metavar="FONT",
        help="a sound font that plays it; give it once for each (default: those found on this machine)",
    )
    parser.add_argument("--seed", type=NonNegativeInt, metavar="N", help="of everything (default: 0)")
    parser.add_argument("--workers", type=PositiveInt, metavar="N", help="processes (default: as many as processors)")
    parser.add_argument("--engine", choices=("local", "ray"), help="where these are (default: local)")


def run(options: Namespace) -> int:
    """Build; 0 when the data set is whole, whatever was left out."""
    files = [word for word in options.words if "=" not in word]
    if len(files) > 1:
        raise ConfigError(f"{' and '.join(map(repr, files))} were given; expected one YAML file and key.sub=value")
    if options.licence is not None and options.folder is None:
        raise ConfigError("--licence goes with --folder; in a YAML file it stands beside the source's path")
    from mllm.instruct_data import build, build_config

    words = [word for word in options.words if "=" in word]
    config = build_config.read(Path(files[0]) if files else None, words, given=_given(options))
    with terminal.progress("starting") as shown:
        finished = build.build(config, terminal.say, shown.tell)
    for sentence in _left_out(finished.manifest):
        terminal.say(sentence)
    print(_summary(finished))
    return 0


def _given(options: Namespace) -> dict[str, Any]:
    """What the options say, as a YAML file would."""
    given: dict[str, Any] = {
        name: getattr(options, name)
        for name in ("out", "seed", "workers", "engine")
        if getattr(options, name) is not None
    }
    if options.folder is not None:
        source = {"name": "folder", "path": options.folder}
        given["sources"] = [source | ({"licence": options.licence} if options.licence is not None else {})]
    render = {"hours": options.hours, "fonts": options.fonts}
    if any(value is not None for value in render.values()):
        given["render"] = {name: value for name, value in render.items() if value is not None}
    return given


def _left_out(manifest: dict[str, Any]) -> list[str]:
    """What a person should know of what did not go into the data set."""
    told = [*manifest["remarks"]]
    for place, skipped in manifest["skipped"].items():
        shown = skipped["first"][:_SKIPPED_SHOWN]
        told += [f"{place}: {sentence}" for sentence in shown]
        if skipped["count"] > len(shown):
            told.append(f"{place}: {skipped['count'] - len(shown)} more were skipped (manifest.json names some)")
    told += [f"{count} records were left out: {reason}" for reason, count in manifest["left_out"].items() if count]
    return told


def _summary(finished: Any) -> str:
    splits = finished.manifest["splits"]
    sums = {name: sum(one[name] for one in splits.values()) for name in ("records", "tracks", "hours")}
    by_split = ", ".join(f"{split} {splits[split]['records']}" for split in SPLITS if split in splits)
    made = "was finished before with these settings" if finished.found else "is finished"
    return (
        f"{finished.out} {made}: {sums['records']} records ({by_split}) about {sums['tracks']} recordings, "
        f"{sums['hours']:.2f} hours"
    )
