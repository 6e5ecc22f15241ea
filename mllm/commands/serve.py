"""`mllm serve [MODEL]`: vLLM's own OpenAI server, with our model in it.

In: parsed options. Out: this process becomes the server, which says on standard error when it is ready. Knows how the
server is started, not how it works.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveFloat, PositiveInt, restricted_number_type

from mllm import terminal
from mllm.commands import _shared
from mllm.errors import ConfigError
from mllm.serve_settings import ServeSettings

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from mllm.configuration import MusicLLMConfig

SUMMARY = "answer over HTTP, through vLLM's OpenAI-compatible server"
USAGE = "[MODEL | --model DIR] [--port N] [--host ADDRESS] [options] [-- OPTIONS OF VLLM]"

SERVER = "mllm.serve.vllm_server"
MODEL_NAME = "mllm"
"""What a request may call the model; the directory of the checkpoint is its other name."""
PLUGINS = ("mllm", "mllm_http")
"""Our plug-ins of vLLM; those that add routes are loaded only if they are named."""
KEYS = "mllm.serve.http_keys.ApiKeys"
TOOLS = Path(__file__).parents[1] / "serve" / "vllm_tools.py"
"""Reads the calls of tools that a model writes."""
ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
}
"""Unless set otherwise: nothing is reported to anybody; what a request holds of recordings goes back to the system when
it is answered, instead of staying with glibc; oneDNN keeps compiled kernels of few shapes, instead of 1,024, each of
which takes some 0.4 MB and comes with a number of tokens in a step that was not there before."""
CACHE_SPACE = ("VLLM_CPU_KVCACHE_SPACE", "--kv-cache-memory-bytes")
"""A variable and an option that say how much memory the cache of keys and values takes on a CPU."""
CACHED_REQUESTS = 32
MOST_CACHED_BYTES = 2**30
EXECUTOR = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
"""On a CPU the model runs in the process that schedules. vLLM would start one more process for it, which imports all
libraries once more, so as to bind each thread to a core: on two cores, 12 s until the server is ready."""
BINDING = "VLLM_CPU_OMP_THREADS_BIND"
_SPREADING = re.compile(r"--.*(?:parallel|distributed|nodes).*|-(?:[tp]p|dp\w*|[dp]cp)(?:=.*)?")
"""Options of vLLM about more processes than one."""

LIMITS: dict[str, tuple[type, str]] = {
    "max_upload_mib": (PositiveInt, "largest request, and largest recording fetched, in MiB"),
    "max_held_mib": (PositiveInt, "requests held in memory while they are read, in MiB together"),
    "max_audio_minutes": (PositiveFloat, "longest recording"),
    "max_channels": (PositiveInt, "most channels of a recording"),
    "max_audios": (PositiveInt, "most recordings in one request"),
    "max_items": (PositiveInt, "most catalogue items in one request"),
    "max_requests": (PositiveInt, "requests answered or waiting; one more gets status 429"),
    "upload_seconds": (PositiveFloat, "until a request must have arrived"),
    "fetch_seconds": (PositiveFloat, "until a recording must have been fetched"),
    "decode_seconds": (PositiveFloat, "until a recording must have been decoded"),
    "request_seconds": (PositiveFloat, "until a request must have been answered"),
    "decode_workers": (PositiveInt, "processes that decode"),
}
"""Fields of `ServeSettings` that are options under the same name."""

Port = restricted_number_type("Port", int, [(">=", 1), ("<=", 65535)])


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("words", nargs="*", metavar="MODEL", help="the same as --model, and behind -- options of vLLM")
    parser.add_argument(
        "--model", metavar="DIR", help="directory or name of a checkpoint (default: the reference checkpoint)"
    )
    parser.add_argument("--port", type=Port, default=8000, help="where it listens (default: 8000)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address it listens on (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument("--catalog", metavar="DIR", help="catalogue whose items conversations may name")
    parser.add_argument(
        "--api-key-file",
        metavar="FILE",
        help="ask every request for the key in the first line of this file (default: $VLLM_API_KEY, or none)",
    )
    parser.add_argument(
        "--allowed-audio-host",
        dest="allowed_audio_hosts",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="recordings may be fetched from this host; may be given several times (default: from none)",
    )
    for name, (kind, what) in LIMITS.items():
        default = getattr(ServeSettings(), name)
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=kind, default=default, help=f"{what} (default: {default:g})")


def run(options: Namespace) -> int:
    """Become the server; what stands behind `--` is handed to it.

    Raises:
        ConfigError: vLLM or our part of it is not installed, or there is no key where one was named.
        CheckpointError: there is no such checkpoint.
        CatalogueError: there is no such catalogue, or it is not for this model.
    """
    if not _is_installed():
        raise ConfigError(
            "serving needs vLLM, which is not installed; where there is a GPU: pip install 'mllm-music[serve]', "
            "where there is none: make install-serve"
        )
    if not _is_plugged_in():
        raise ConfigError(
            "vLLM would serve without the routes and limits of mllm, as its installation is older than its files; "
            "install it again (in a clone: pip install --no-deps -e .)"
        )
    first = next((i for i, word in enumerate(options.words) if word.startswith("-")), len(options.words))
    named, others = options.words[:first], options.words[first:]
    models = [*named, *([] if options.model is None else [options.model])]
    if len(models) > 1:
        raise ConfigError(f"{' and '.join(map(repr, models))} were given; expected one checkpoint: mllm serve [MODEL]")
    model = models[0] if models else None
    settings = _settings(options)
    directory, config = _checkpoint(model, settings.catalog)
    words = ["--model", directory, "--served-model-name", MODEL_NAME, directory]
    words += ["--host", options.host, "--port", str(options.port)]
    words += ["--limit-mm-per-prompt", _limits(settings), "--middleware", KEYS]
    given = {word.partition("=")[0].replace("_", "-") for word in others}
    if "--enable-lora" in given:
        words.append("--enable-tower-connector-lora")
    if not given & {"--tool-call-parser", "--enable-auto-tool-choice"}:
        words += ["--enable-auto-tool-choice", "--tool-parser-plugin", str(TOOLS), "--tool-call-parser", MODEL_NAME]
    environment = {**ENVIRONMENT, **os.environ}
    if _is_for_cpu():
        more, environment = _for_cpu(config.text_config, others, environment)
        words += more
    sys.stdout.flush()
    key = {} if options.api_key_file is None else {"VLLM_API_KEY": _key(Path(options.api_key_file))}
    environment = {**environment, **settings.to_environment(), **key, "VLLM_PLUGINS": _plugins()}
    os.execve(sys.executable, [sys.executable, "-m", SERVER, *words, *others], environment)  # noqa: S606 (no shell)


def _settings(options: Namespace) -> ServeSettings:
    given = {field.name: getattr(options, field.name) for field in dataclasses.fields(ServeSettings)}
    return ServeSettings(**{**given, "allowed_audio_hosts": tuple(options.allowed_audio_hosts)})


def _limits(settings: ServeSettings) -> str:
    """How many parts of each kind a request may hold, as vLLM is told it."""
    limits = {"audio": settings.max_audios}
    return json.dumps(limits if settings.catalog is None else {**limits, "item": settings.max_items})


def _key(file: Path) -> str:
    """The first line of a file."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the API key cannot be read from {str(file)!r} ({error}); give a file that holds it"
        ) from error
    if not lines or not lines[0].strip():
        raise ConfigError(f"the first line of {str(file)!r} is empty; expected the API key")
    return lines[0].strip()


def _plugins() -> str:
    """What vLLM may load: our plug-ins, and those that it would load if nothing were named."""
    named = os.environ.get("VLLM_PLUGINS")
    groups = ("general", "io_processor", "platform", "stat_logger")
    found = [entry.name for one in groups for entry in importlib.metadata.entry_points(group=f"vllm.{one}_plugins")]
    return ",".join(dict.fromkeys([*PLUGINS, *(found if named is None else named.split(","))]))


def _for_cpu(
    backbone: PreTrainedConfig, others: list[str], environment: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Options for vLLM on a CPU and its environment, where neither its options nor its environment say otherwise."""
    words = ["--dtype", "float32", "--enforce-eager"]
    variable, option = CACHE_SPACE
    if variable not in environment and not any(word.startswith(option) for word in others):
        words += [option, str(_cache_bytes(backbone))]
    if BINDING not in environment and not any(map(_SPREADING.fullmatch, others)):
        words += ["--distributed-executor-backend", EXECUTOR]
        environment = {"OMP_NUM_THREADS": str(_threads(backbone)), **environment, BINDING: "nobind"}
    return words, environment


def _threads(backbone: PreTrainedConfig) -> int:
    """One for a small backbone, whose second thread would mostly wait; else one for each core."""
    width = backbone.hidden_size
    inner = getattr(backbone, "intermediate_size", None) or 4 * width
    about = backbone.vocab_size * width + backbone.num_hidden_layers * (4 * width + 3 * inner) * width
    return 1 if about < _shared.SMALL_MODEL_PARAMETERS else len(os.sched_getaffinity(0))


def _cache_bytes(backbone: PreTrainedConfig) -> int:
    """Room for the keys and values of 32 requests as long as they may be, in float32, but at most 1 GiB.

    vLLM would take nearly all memory; what it takes it comes to use by and by, however few requests there are at once.
    """
    heads = backbone.num_attention_heads
    width = (getattr(backbone, "head_dim", None) or backbone.hidden_size // heads) * (
        getattr(backbone, "num_key_value_heads", None) or heads
    )
    of_token = 2 * backbone.num_hidden_layers * width * 4
    return int(min(MOST_CACHED_BYTES, CACHED_REQUESTS * backbone.max_position_embeddings * of_token))


def _checkpoint(model: str | None, catalogue: str | None) -> tuple[str, MusicLLMConfig]:
    """The directory of a checkpoint, or its name on the hub, and its settings; the catalogue can be read, too."""
    _shared.quiet_libraries()
    with terminal.progress("looking for the model"):
        from mllm import contract
        from mllm.items import open_for
        from mllm.listener import find_model

        found = find_model(model)
        config = contract.read_config(contract.find_checkpoint(found))
        contract.check_servable(config, found)
        if catalogue is not None:
            open_for(config.space_of_items, catalogue)
    return str(found), config


def _is_installed() -> bool:
    return importlib.util.find_spec("vllm") is not None


def _is_plugged_in() -> bool:
    """Whether vLLM would find our routes; it passes over plug-ins that it is told of and does not find."""
    return bool(importlib.metadata.entry_points(group="vllm.endpoint_plugins", name=PLUGINS[1]))


def _is_for_cpu() -> bool:
    """Whether the vLLM that is installed is one for a CPU."""
    try:
        importlib.metadata.version("vllm-cpu")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
