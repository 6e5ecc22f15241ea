"""Rendered music becomes units of a build: which pieces there are, and how a unit of them is made.

In: the settings of a build. Out: units, and in the folder of a unit tracks, records about them, and recordings in their
places. The scores are parsed once, by a unit of their own. Knows nothing of how music is made or of other sources.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import importlib.util
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mllm.errors import ConfigError
from mllm.instruct_data import build_asking, build_parts, data_set, library
from mllm.instruct_data.build_config import BuildConfig, ScoresSection
from mllm.instruct_data.build_parts import Parts, Summary, Unit
from mllm.instruct_data.fonts import Font, FontChoice, parse_font
from mllm.instruct_data.pieces import PieceMaker, PieceSettings, write_piece
from mllm.instruct_data.score_readers import MUSIC21_COLLECTIONS
from mllm.instruct_data.scores import Tune
from mllm.instruct_data.tracks import SPLITS, Track

PIECES_PER_UNIT = 25
FONT_FOLDERS = ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3")
FONT_ENDINGS = (".sf2", ".sf3")
_FEWEST_TO_SPLIT = 10
"""Of fewer pieces, no split gets one only because its share is not 0."""
_PLANNED_SHARE = 0.8
"""Of the hours that were asked for; the rest is added when it is known how long the pieces are."""


def with_fonts(config: BuildConfig, say: Callable[[str], object]) -> BuildConfig:
    """The settings with the sound fonts that are used, where music is rendered.

    Args:
        config: the settings; without fonts, those that are found on this machine are taken.
        say: told which font is held out, where the settings do not say.

    Raises:
        ConfigError: there are no fonts, or they lack programs of General MIDI.
    """
    if not config.render.wanted:
        return config
    fonts, held_out = config.render.fonts, config.render.held_out_fonts
    if not fonts:
        fonts = tuple(str(path) for path in found_fonts())
        say(f"sound fonts: {', '.join(Path(path).name for path in fonts) or 'none were found'}")
    if not fonts:
        raise ConfigError(
            f"render.fonts is empty, and no sound font is in {' or '.join(FONT_FOLDERS)}; give one, such as --fonts "
            "FluidR3_GM.sf2 (Debian: apt install fluid-soundfont-gm)"
        )
    if held_out is None:
        fonts, held_out = _last_held_out(fonts, say)
    render = dataclasses.replace(config.render, fonts=fonts, held_out_fonts=held_out)
    for split in SPLITS:
        FontChoice(_settings(dataclasses.replace(config, render=render), split).fonts_heard)
    return dataclasses.replace(config, render=render)


def found_fonts() -> list[Path]:
    """Sound fonts of this machine and the one inside pretty_midi, each name once, by name."""
    places = [path for folder in FONT_FOLDERS for path in sorted(Path(folder).glob("*")) if path.suffix in FONT_ENDINGS]
    if (package := importlib.util.find_spec("pretty_midi")) is not None and package.origin is not None:
        places += sorted(Path(package.origin).parent.glob("*.sf2"))
    found: dict[str, Path] = {}
    for path in places:
        if not path.is_symlink():
            found.setdefault(path.stem.lower(), path)
    return [found[name] for name in sorted(found)]


def units_of(config: BuildConfig) -> list[Unit]:
    """The units of all pieces that are asked for; of hours, those of most of them: pieces may turn out longer."""
    if not config.render.wanted:
        return []
    total = config.render.pieces or math.ceil(_PLANNED_SHARE * _wanted_seconds(config) / config.render.mean_seconds)
    counts = {split: _share(total, share) for split, share in _shares(config).items()}
    counts["train"] = max(total - sum(counts.values()), 0)
    return [unit for split in SPLITS for unit in _units(split, 0, counts[split], 0)]


def more_units(config: BuildConfig, units: Sequence[Unit], seconds: float) -> list[Unit]:
    """Units of further pieces for training, as long as the hours that were asked for are not there.

    Args:
        config: the settings.
        units: that are made.
        seconds: of their pieces.
    """
    lacking = _wanted_seconds(config) - seconds
    if config.render.hours is None or lacking <= 0:
        return []
    made = [unit for unit in units if unit.kind == "pieces"]
    train = [unit for unit in made if unit.split == "train"]
    mean_seconds = seconds / max(sum(unit.count for unit in made), 1)
    return list(_units("train", sum(unit.count for unit in train), math.ceil(lacking / mean_seconds), len(train)))


def score_units(config: BuildConfig) -> list[Unit]:
    """The units that parse scores, one for each collection and folder."""
    count = len(_collections(config.scores)) + len(config.scores.folders) if config.render.wanted else 0
    return [Unit(kind="scores", number=number) for number in range(count)]


def parse_scores(unit: Unit, config: BuildConfig, _: Path) -> Summary:
    """Parse scores into the cache; scores of a folder that cannot be used are told."""
    summary, scores = Summary(), config.scores
    named = list(_collections(scores).items())
    if unit.number < len(named):
        library.load_collection(_cache(scores), *named[unit.number])
        return summary

    def tell(path: Path, why: str) -> None:
        summary.skip("scores", f"{path}: {why}")

    folder = scores.folders[unit.number - len(named)]
    library.load_tunes(_cache(scores), with_music21=False, folders=[_folder(folder, scores)], tell=tell)
    return summary


def make_pieces(unit: Unit, config: BuildConfig, work: Path) -> Summary:
    """Render pieces, ask about them, and move their recordings to their places."""
    maker, parts = _maker(_settings(config, unit.split), config), Parts(Path(config.out))
    tracks: list[Track] = []
    hashes: dict[str, str] = {}
    for index in range(unit.first, unit.first + unit.count):
        piece = maker.make(index)
        hashes[piece.track.path] = build_parts.sha256(write_piece(work, piece))
        tracks.append(piece.track)
    data_set.write_records(work / build_parts.RECORDS, build_asking.about(tracks, config, unit))
    data_set.write_tracks(work / build_parts.TRACKS, tracks)
    build_parts.write_hashes(work, hashes)
    for path in hashes:
        parts.place_recording(work / path, path)
    return Summary(seconds=sum(track.seconds or 0.0 for track in tracks))


def _last_held_out(fonts: tuple[str, ...], say: Callable[[str], object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The fonts without the last by name, and that one."""
    if len(fonts) < 2:
        raise ConfigError(
            f"render.fonts names {fonts[0]} only; give two or more, of which the last by name is kept for testing, or "
            "set render.held_out_fonts"
        )
    ordered = sorted(fonts, key=lambda text: parse_font(text).name.lower())
    say(f"{parse_font(ordered[-1]).path.name} is kept for testing: training never hears it (render.held_out_fonts)")
    return tuple(ordered[:-1]), (ordered[-1],)


def _settings(config: BuildConfig, split: str) -> PieceSettings:
    render = config.render
    return PieceSettings(
        seed=config.seed,
        split=split,
        fonts=_fonts(render.fonts),
        held_out_fonts=_fonts(render.held_out_fonts or ()),
        styles=dict.fromkeys(render.styles, 1.0) if render.styles else None,
        share_of_tunes=0.0 if not config.scores.any else 1.0 if render.styles == () else 1.0 - render.composed,
        seconds=(render.seconds[0], render.seconds[1]),
        effects=render.effects,
        audio_format=render.format,
    )


def _fonts(texts: Sequence[str]) -> tuple[Font, ...]:
    return tuple(parse_font(text) for text in texts)


_makers: dict[str, tuple[PieceSettings, PieceMaker]] = {}
"""The last maker of this process: its sound fonts take seconds to load and most of the memory."""


def _maker(settings: PieceSettings, config: BuildConfig) -> PieceMaker:
    known = _makers.get("last")
    if known is None or known[0] != settings:
        _makers.clear()
        _makers["last"] = settings, PieceMaker(settings, _parsed(config.scores))
    return _makers["last"][1]


@functools.lru_cache(maxsize=1)
def _parsed(scores: ScoresSection) -> tuple[Tune, ...]:
    """The tunes that `parse_scores` parsed."""
    tunes: list[Tune] = []
    for name, place in _collections(scores).items():
        tunes += library.load_collection(_cache(scores), name, place)
    folders = [_folder(folder, scores) for folder in scores.folders]
    return (*tunes, *library.load_tunes(_cache(scores), with_music21=False, folders=folders))


def _collections(scores: ScoresSection) -> dict[str, Path | None]:
    """The collections that have names, and the folders of those that are not music21's."""
    found: dict[str, Path | None] = dict.fromkeys(MUSIC21_COLLECTIONS) if scores.music21 else {}
    places = {"pop909": scores.pop909, "openewld": scores.openewld}
    return found | {name: Path(place) for name, place in places.items() if place}


def _folder(folder: str, scores: ScoresSection) -> library.ScoreFolder:
    return library.ScoreFolder(path=Path(folder), licence=scores.licence or "")


def _cache(scores: ScoresSection) -> Path:
    """Where parsed scores are kept: other versions of music21 may read them otherwise."""
    if scores.cache:
        return Path(scores.cache)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "mllm" / f"scores-music21-{importlib.metadata.version('music21')}"


def _wanted_seconds(config: BuildConfig) -> float:
    return (config.render.hours or 0.0) * 3600


def _shares(config: BuildConfig) -> dict[str, float]:
    render, split = config.render, config.split
    return {
        "validation": split.validation if render.validation is None else render.validation,
        "test": split.test if render.test is None else render.test,
    }


def _share(total: int, share: float) -> int:
    return max(round(total * share), 1 if share and total >= _FEWEST_TO_SPLIT else 0)


def _units(split: str, first: int, count: int, number: int) -> Iterator[Unit]:
    for begin in range(first, first + count, PIECES_PER_UNIT):
        size = min(PIECES_PER_UNIT, first + count - begin)
        yield Unit(kind="pieces", split=split, number=number, first=begin, count=size)
        number += 1
