"""The settings of a build: YAML files and words such as `render.hours=20` become one checked `BuildConfig`.

In: a file, or none, and overriding words. Out: settings whose every mistake is told in one error. Opens no source and
no sound font, and knows nothing of how a data set is built.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mllm import registry
from mllm.errors import ConfigError
from mllm.instruct_data.endpoint import EndpointSettings
from mllm.settings import config_from_dict, near
from mllm.train import setting_files

SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 600.0
"""Of a piece."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoresSection:
    """Which scores are rendered beside what the styles compose."""

    music21: bool = True
    """Whether the free collections of music21's corpus are used."""
    folders: tuple[str, ...] = ()
    """Folders of MIDI, MusicXML and ABC files of your own."""
    licence: str | None = None
    """Of the scores in `folders`; needed where there are any."""
    pop909: str | None = None
    """Folder of POP909."""
    openewld: str | None = None
    """Folder of OpenEWLD."""
    cache: str | None = None
    """Folder in which parsed scores are kept for further builds; of a cluster, one that every machine sees. None: in
    the user's folder for caches."""

    def __post_init__(self) -> None:
        if self.folders and not self.licence:
            raise ConfigError("licence is missing; say under which licence the scores in folders are")

    @property
    def any(self) -> bool:
        """Whether there are scores at all."""
        return self.music21 or bool(self.folders or self.pop909 or self.openewld)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderSection:
    """What music is made, with labels that are exact."""

    hours: float | None = None
    """Hours of music, at least; give this or `pieces`."""
    pieces: int | None = None
    """Number of pieces."""
    seconds: tuple[float, ...] = (20.0, 60.0)
    """Shortest and longest piece."""
    styles: tuple[str, ...] | None = None
    """Files of instruct_data/styles that compose; None: all; an empty list: scores only."""
    composed: float = 0.75
    """Share of the pieces that styles compose where there are scores too, in [0, 1]."""
    fonts: tuple[str, ...] = ()
    """Sound fonts, each PATH or PATH@WEIGHT; empty: those that are found on this machine."""
    held_out_fonts: tuple[str, ...] | None = None
    """Sound fonts of the test split, which training never hears; None: the last of `fonts` by name."""
    format: Literal["flac", "opus", "ogg"] = "flac"
    """Of the recordings; flac keeps them exactly, opus takes about a tenth of the place."""
    effects: bool = True
    """Whether room, noise, equaliser, coding and clipping vary; otherwise pieces sound as they were played."""
    validation: float | None = None
    """Share of the pieces for validation; None: that of `split`."""
    test: float | None = None
    """Share of the pieces for testing, with held-out tunes, fonts and wordings; None: that of `split`."""

    def __post_init__(self) -> None:
        problems = []
        if self.hours is not None and self.pieces is not None:
            problems.append("hours and pieces were both given; give one of them")
        if self.hours is not None and not self.hours > 0:
            problems.append(f"hours is {self.hours}; expected more than 0")
        if self.pieces is not None and self.pieces < 1:
            problems.append(f"pieces is {self.pieces}; expected 1 or more")
        if len(self.seconds) != 2 or not SHORTEST_SECONDS <= self.seconds[0] <= self.seconds[1] <= LONGEST_SECONDS:
            problems.append(
                f"seconds is {list(self.seconds)}; expected the shortest and the longest, such as [20, 60], "
                f"{SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g}"
            )
        problems += _out_of_range(self, ("composed", "validation", "test"))
        known = registry.names("style")
        problems += [
            f"styles names {name!r}, which there is not{near(name, known)}"
            for name in self.styles or ()
            if name not in known
        ]
        if problems:
            raise ConfigError("; ".join(problems))

    @property
    def wanted(self) -> bool:
        """Whether anything is rendered."""
        return self.hours is not None or self.pieces is not None

    @property
    def mean_seconds(self) -> float:
        """Of a piece."""
        return (self.seconds[0] + self.seconds[1]) / 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceSection:
    """A data set of others, or a folder of your own."""

    name: str
    """File name in instruct_data/sources; `folder` for recordings and a table of your own."""
    path: str
    """Folder of its files."""
    audio: Literal["copy", "link", "reference"] = "copy"
    """What becomes of its recordings: copied into the data set; hard-linked, which takes no place; or named where they
    are, so that the data set cannot be moved to another machine."""
    evaluation: bool = False
    """Must be true for a benchmark, which then is in the test split only and is never trained on."""
    most: int | None = None
    """At most so many rows are read; None: all."""
    options: Mapping[str, Any] | None = None
    """Further settings, which the source itself takes, such as `licence` of a folder; given beside the others."""

    def __post_init__(self) -> None:
        problems = [f"{key} is empty" for key in ("name", "path") if not getattr(self, key)]
        if self.most is not None and self.most < 1:
            problems.append(f"most is {self.most}; expected 1 or more")
        if problems:
            raise ConfigError("; ".join(problems))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConversationsSection:
    """What is asked about recordings whose facts are known."""

    per_track: int = 6
    """Conversations about each recording."""
    weights: Mapping[str, Any] | None = None
    """How often a kind (a file of instruct_data/augment) is drawn, 1 where it is not named; 0: never."""

    def __post_init__(self) -> None:
        problems = []
        if self.per_track < 1:
            problems.append(f"per_track is {self.per_track}; expected 1 or more")
        known = registry.names("augmentation")
        for name, weight in (self.weights or {}).items():
            if name not in known:
                problems.append(f"weights names {name!r}, which there is not{near(name, known)}")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight >= 0:
                problems.append(f"weights.{name} is {weight!r}; expected 0 or more")
        if problems:
            raise ConfigError("; ".join(problems))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitSection:
    """What is kept from training; whole families (a tune, a song with its remixes) go to one side."""

    validation: float = 0.05
    """Share of the families, in [0, 0.5]."""
    test: float = 0.05
    """Share of the families, in [0, 0.5]."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}; expected 0 to 0.5"
            for name in ("validation", "test")
            if not 0 <= getattr(self, name) <= 0.5
        ]
        if problems:
            raise ConfigError("; ".join(problems))


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildConfig:
    """A whole build."""

    out: str
    """Folder of the data set."""
    seed: int
    """0 or more; the same seed and settings give the same files."""
    workers: int
    """Processes that make it."""
    engine: Literal["local", "ray"]
    """Where these are: on this machine, or in a Ray cluster."""
    ray_address: str
    """host:port of the cluster, "auto" for the one that this machine belongs to, "local" for one that is started."""
    render: RenderSection
    scores: ScoresSection
    """Given as `render.scores`."""
    sources: tuple[SourceSection, ...]
    conversations: ConversationsSection
    split: SplitSection
    writer: EndpointSettings | None = None
    """A language model that writes captions from facts and paraphrases them, behind any OpenAI-compatible address;
    None: they are composed here. What was asked and answered is kept in the folder `writer` of the data set."""

    def plain(self) -> dict[str, Any]:
        """As YAML would hold it, with what decides the content of the data set only."""
        settings: dict[str, Any] = setting_files.plain(dataclasses.asdict(self))
        for name in ("out", "workers", "engine", "ray_address"):
            del settings[name]
        settings["render"]["scores"] = settings.pop("scores")
        del settings["render"]["scores"]["cache"]
        return settings


SECTIONS: dict[str, type[Any]] = {
    "render": RenderSection,
    "scores": ScoresSection,
    "conversations": ConversationsSection,
    "split": SplitSection,
}
_PLACES = {"scores": "render.scores"}
"""Where a section stands that is not at the top."""
_LISTS = ("folders", "styles", "fonts", "held_out_fonts")
"""Settings that are lists, for which one text may stand alone."""
_GIVEN_BY_BUILDS = ("seed", "per_track")
"""Options of sources that a build decides."""
_SINGLE = ("out", "seed", "workers", "engine", "ray_address")
_ENGINES = ("local", "ray")


def read(path: Path | None, words: Sequence[str] = (), *, given: Mapping[str, Any] | None = None) -> BuildConfig:
    """Read the settings of a build.

    Args:
        path: YAML file; what it names under `include` is read before it, and its own settings win. None: no file.
        words: `key.sub=value`, which win over the file; the value is read as YAML.
        given: settings that win over both, as the file would hold them.

    Raises:
        ConfigError: naming everything that is wrong.
    """
    settings, problems = setting_files.read(path, words, given=given)
    source = "the settings" if path is None else str(path)
    known = (*_SINGLE, "render", "sources", "conversations", "split", "writer")
    problems += [f"{key} is not a setting{_hint(key, known)}" for key in settings if key not in known]
    single = _read_single(settings, problems)
    sections = _read_sections(settings, problems)
    sources = _read_sources(settings.get("sources"), problems)
    writer = _read_writer(settings.get("writer"), problems)
    if not problems and not sources and not sections["render"].wanted:
        problems.append(
            "nothing to build was given; give render.hours, render.pieces or sources, or mllm data build --folder or "
            "--hours"
        )
    if problems:
        raise ConfigError(f"{source}: {'; '.join(problems)}")
    return BuildConfig(sources=sources, writer=writer, **single, **sections)


def _read_single(settings: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """What stands at the top."""
    cores = os.cpu_count() or 1
    single = {"out": None, "seed": 0, "workers": cores, "engine": "local", "ray_address": "local"}
    single |= {name: settings[name] for name in single if settings.get(name) is not None}
    if single["out"] is None:
        problems.append("out is missing; give the folder of the data set")
    for name in ("out", "ray_address"):
        value = single[name]
        if value is not None and (not isinstance(value, str) or not value or "\0" in value):
            problems.append(f"{name} is {value!r}; expected {'a folder' if name == 'out' else 'host:port'}")
    for name, least in (("seed", 0), ("workers", 1)):
        value = single[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            problems.append(f"{name} is {value!r}; expected a whole number, {least} or more")
    if single["engine"] not in _ENGINES:
        problems.append(f"engine is {single['engine']!r}; expected {' or '.join(_ENGINES)}")
    return single


def _read_writer(given: Any, problems: list[str]) -> EndpointSettings | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        problems.append(f"writer is {given!r}; expected settings, `key: value`, base and model at least")
        return None
    try:
        writer: EndpointSettings = config_from_dict(EndpointSettings, given)
    except ConfigError as error:
        problems.append(f"writer: {str(error).removeprefix('endpoint: ')}")
        return None
    return writer


def _read_sections(settings: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    given = dict(settings)
    if isinstance(given.get("render"), Mapping):
        given["render"] = dict(given["render"])
        given["scores"] = given["render"].pop("scores", None)
    else:
        given.pop("scores", None)
    sections: dict[str, Any] = {}
    for name, kind in SECTIONS.items():
        place = _PLACES.get(name, name)
        section = {} if given.get(name) is None else given[name]
        if not isinstance(section, Mapping):
            problems.append(f"{place} is {section!r}; expected settings, `key: value`")
            continue
        try:
            sections[name] = _section(kind, section)
        except ConfigError as error:
            problems.append(setting_files.placed(str(error), place, {*section, *_fields(kind)}))
    return sections


def _section(kind: type[Any], section: Mapping[str, Any]) -> Any:
    """A section; `weights` is no flat setting, so it is put in last."""
    if kind is not ConversationsSection or section.get("weights") is None:
        return config_from_dict(kind, _with_lists(section))
    weights = section["weights"]
    if not isinstance(weights, Mapping):
        raise ConfigError(f"weights is {weights!r}; expected numbers by kind, such as {{when: 2}}")
    flat = config_from_dict(kind, {key: value for key, value in section.items() if key != "weights"})
    return dataclasses.replace(flat, weights=dict(weights))


def _read_sources(given: Any, problems: list[str]) -> tuple[SourceSection, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        problems.append(f"sources is {given!r}; expected a list, such as [{{name: folder, path: my_music}}]")
        return ()
    read: list[SourceSection] = []
    for number, one in enumerate(given):
        place = f"sources[{number}]"
        if not isinstance(one, Mapping):
            problems.append(f"{place} is {one!r}; expected name and path, such as {{name: folder, path: my_music}}")
            continue
        try:
            read.append(_source(one))
        except ConfigError as error:
            problems.append(setting_files.placed(str(error), place, {*one, *_fields(SourceSection)}))
    return tuple(read)


def _source(given: Mapping[str, Any]) -> SourceSection:
    """A source; what is no setting of every source must be one that this source takes."""
    known, name = registry.names("source"), given.get("name")
    if isinstance(name, str) and name not in known:
        raise ConfigError(
            f"name is {name!r}, which there is not{near(name, known)}; expected one of: {', '.join(known)}"
        )
    fields = [field for field in _fields(SourceSection) if field != "options"]
    more = options_of(name) if isinstance(name, str) else ()
    problems = [
        f"{key} is not a setting of this source{near(key, (*fields, *more))}"
        for key in given
        if key not in fields and key not in more
    ]
    try:
        section = config_from_dict(SourceSection, {key: value for key, value in given.items() if key in fields})
    except ConfigError as error:
        problems.append(str(error))
    if problems:
        raise ConfigError("; ".join(problems))
    options = {key: value for key, value in given.items() if key in more and value is not None}
    return dataclasses.replace(section, options=options)


def options_of(source: str) -> tuple[str, ...]:
    """Names of the settings that a source takes beside those that all take."""
    found = inspect.signature(registry.find("source", source).records).parameters.values()
    return tuple(one.name for one in found if one.kind is one.KEYWORD_ONLY and one.name not in _GIVEN_BY_BUILDS)


def _out_of_range(section: Any, names: Sequence[str]) -> list[str]:
    return [
        f"{name} is {getattr(section, name)}; expected 0 to 1"
        for name in names
        if getattr(section, name) is not None and not 0 <= getattr(section, name) <= 1
    ]


def _with_lists(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: [value] if key in _LISTS and isinstance(value, str) else value for key, value in section.items()}


def _fields(kind: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _hint(key: str, known: Sequence[str]) -> str:
    """As `near`; for a key that belongs into a section, where it belongs."""
    places = [f"{_PLACES.get(name, name)}.{key}" for name, kind in SECTIONS.items() if key in _fields(kind)]
    return f" (did you mean {' or '.join(map(repr, places))}?)" if places else near(key, known)
