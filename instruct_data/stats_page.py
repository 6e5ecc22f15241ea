"""The page of a data set: one HTML file with charts, and recordings to be heard beside their facts and questions.

In: counts and a sample of tracks with their records. Out: a file that any browser opens from disk, without a network;
recordings stand inside it (Opus, mono, at most 30 s each, up to a bound) or are linked by their paths. All that comes
from the data is escaped, and the page allows no script but its own.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import os
import random
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import soundfile

from mllm import audio
from mllm.errors import AudioError
from mllm.instruct_data import charts
from mllm.instruct_data.checking import turns_of
from mllm.instruct_data.records import Record
from mllm.instruct_data.statistics import Statistics, ordered, splits_of
from mllm.instruct_data.tracks import Track

LONGEST_SECONDS = 30.0
RECORDS_OF_A_TRACK = 12
_RATE_HZ = 24_000
_BLOCK_FRAMES = 24_000
_OPUS_COMPRESSION = 0.85
"""Of libsndfile, from 0 (256 kbit/s) to 1 (6 kbit/s): about 40 kbit/s."""
_CAPTIONS_SHOWN = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """A track that is shown, and records about it."""

    track: Track
    records: list[Record]


class Sampler:
    """Chooses tracks while they are read, each as likely as every other, and then keeps their records."""

    def __init__(self, count: int, seed: int) -> None:
        """Nothing was read yet."""
        self._count = count
        self._rng = random.Random(seed)
        self._read = 0
        self._samples: list[Sample] = []
        self._by_id: dict[str, Sample] | None = None

    def add_track(self, track: Track) -> None:
        """Perhaps choose a track; to be called before the first record."""
        self._read += 1
        if len(self._samples) < self._count:
            self._samples.append(Sample(track=track, records=[]))
        elif (place := self._rng.randrange(self._read)) < self._count:
            self._samples[place] = Sample(track=track, records=[])

    def add_record(self, record: Record) -> None:
        """Keep a record of a chosen track."""
        if self._by_id is None:
            self._by_id = {sample.track.id: sample for sample in self._samples}
        for identity in record.tracks:
            sample = self._by_id.get(identity)
            if sample is not None and len(sample.records) < RECORDS_OF_A_TRACK:
                sample.records.append(record)

    @property
    def samples(self) -> Sequence[Sample]:
        """The chosen tracks with their records."""
        return self._samples


def write(
    path: Path,
    statistics: Statistics,
    samples: Sequence[Sample],
    *,
    folder: Path,
    unfinished: bool = False,
    most_bytes: int | None,
) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        statistics: of the whole data set.
        samples: what is shown of it.
        folder: where the paths of recordings begin.
        unfinished: whether the data set is not whole, which the page then says.
        most_bytes: of recordings inside the page; None: all are linked by paths relative to the page.

    Raises:
        OSError: the file cannot be written.
    """
    style, script = (_asset(name) for name in ("style.css", "script.js"))
    policy = (
        f"default-src 'none'; media-src data: file: 'self'; style-src 'sha256-{_digest(style)}'; "
        f"script-src 'sha256-{_digest(script)}'"
    )
    sounds = _Sounds(folder, path.parent, most_bytes)
    title = escape(f"{folder.resolve().name}: what is in it")
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n{_banner(statistics, unfinished)}"
        f"{_tiles(statistics)}\n</header>\n<main>\n{_splits(statistics)}\n{_charts(statistics)}\n"
        f"{_samples(samples, sounds)}\n</main>\n<script>{script}</script>\n</body>\n</html>\n"
    )
    beside = path.with_name(f"{path.name}.half")
    beside.write_text(page, encoding="utf-8", errors="replace")
    beside.replace(path)


def _asset(name: str) -> str:
    return (Path(__file__).with_name("page") / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _banner(statistics: Statistics, unfinished: bool) -> str:
    told = []
    if unfinished:
        told.append("This data set is not finished: a build is under way or was ended. What you see is a part of it.")
    if statistics.bad_rows:
        told.append(f"{statistics.bad_rows:,} rows or files cannot be read; mllm data check names them.")
    return "".join(f'<p class="banner" role="status">{escape(text)}</p>' for text in told)


def _tiles(statistics: Statistics) -> str:
    hours = statistics.hours
    length = (f"{hours:,.1f}", "hours of music") if hours >= 1 else (f"{60 * hours:.1f}", "minutes of music")
    figures = (
        length,
        (f"{statistics.tracks.total():,}", "recordings"),
        (f"{statistics.records.total():,}", "conversations"),
        (f"{len(statistics.task_by_split):,}", "tasks"),
        (f"{len(statistics.of_records.get('template', {})):,}", "templates"),
    )
    return f'<ul class="tiles">{"".join(f"<li><b>{number}</b>{name}</li>" for number, name in figures)}</ul>'


def _splits(statistics: Statistics) -> str:
    splits = splits_of(statistics.tracks | statistics.records)
    head = "".join(f'<th scope="col">{escape(split)}</th>' for split in splits)
    rows = [
        ("recordings", [f"{statistics.tracks[split]:,}" for split in splits]),
        ("hours", [f"{statistics.seconds.get(split, 0.0) / 3600:,.2f}" for split in splits]),
        ("conversations", [f"{statistics.records[split]:,}" for split in splits]),
    ]
    rows += [
        (f"task {task}", [f"{counts[split]:,}" for split in splits])
        for task, counts in sorted(statistics.task_by_split.items())
    ]
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, cells in rows
    )
    return (
        "<h2>Splits and tasks</h2>\n"
        '<div class="card scrolls" tabindex="0" role="region" aria-label="Splits and tasks">'
        f'<table><thead><tr><th scope="col"></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _charts(statistics: Statistics) -> str:
    return "\n".join(
        f'<h2>{title}</h2>\n<div class="charts">{"".join(_card(name, counts) for name, counts in given.items())}</div>'
        for title, given in (("Recordings", statistics.of_tracks), ("Conversations", statistics.of_records))
        if given
    )


def _card(name: str, counts: Mapping[str, int]) -> str:
    chart = charts.bars(name, ordered(name, counts))
    return f'<section class="card"><h3>{escape(name)}</h3>{chart}</section>'


def _samples(samples: Sequence[Sample], sounds: _Sounds) -> str:
    if not samples:
        return ""
    tasks = sorted({record.task for sample in samples for record in sample.records})
    options = "".join(f'<option value="{escape(task)}">{escape(task)}</option>' for task in tasks)
    return (
        '<h2>Some of it, to be heard</h2>\n<div class="filter"><label>Task <select id="task">'
        f'<option value="">all tasks</option>{options}</select></label>'
        f'<span id="shown" class="soft" role="status"></span></div>\n'
        f"{''.join(_sample(sample, sounds) for sample in samples)}"
    )


def _sample(sample: Sample, sounds: _Sounds) -> str:
    track = sample.track
    name = track.title or track.id
    chips = f'<span class="chip">{escape(track.split)}</span>' + "".join(
        f'<span class="chip plain">{escape(text)}</span>' for text in (track.source, track.licence)
    )
    captions = "".join(f"<blockquote>{escape(text)}</blockquote>" for text in (track.captions or ())[:_CAPTIONS_SHOWN])
    asked = "".join(_asked(record) for record in sample.records)
    return (
        f'<article class="card sample" aria-label="{escape(name)}"><div class="head"><h3>{escape(name)}</h3>{chips}'
        f"</div>{sounds.player(track)}{_timeline(track)}{_facts(track)}{captions}"
        f'<ul class="asked">{asked}</ul></article>\n'
    )


def _timeline(track: Track) -> str:
    lanes = {name: list(spans) for name, spans in (track.activity or {}).items()}
    blocks = {name: list(getattr(track, name)) for name in ("sections", "chords") if getattr(track, name)}
    ends = [end for spans in lanes.values() for _, end in spans] + [end for row in blocks.values() for _, end, _ in row]
    seconds = track.seconds or max(ends, default=0.0)
    if not ends or seconds <= 0:
        return ""
    return f'<div class="timeline-box" data-seconds="{seconds:.3f}">{charts.timeline(seconds, lanes, blocks)}</div>'


def _facts(track: Track) -> str:
    facts = (
        ("tempo", f"{track.tempo_bpm:g} BPM" if track.tempo_bpm is not None else None),
        ("key", track.key),
        ("meter", track.meter),
        ("style", track.style),
        ("drums", track.drum_pattern),
        ("instruments", ", ".join(track.playing) if track.playing and track.activity is None else None),
        ("moods", ", ".join(track.moods) if track.moods else None),
        ("tags", ", ".join(track.tags) if track.tags else None),
        ("length", f"{track.seconds:.1f} s" if track.seconds is not None else None),
    )
    given = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts if value)
    return f"<dl>{given}</dl>"


def _asked(record: Record) -> str:
    turns = "".join(
        f'<p class="question">{escape(question)}</p><p class="answer">{escape(answer)}</p>'
        for question, answer in turns_of(record.messages)
    )
    several = " · with another recording" if len(record.tracks) > 1 else ""
    return (
        f'<li data-task="{escape(record.task)}"><span class="task">{escape(record.task)} · '
        f"{escape(record.template)}{several}</span>{turns}</li>"
    )


class _Sounds:
    """Players of recordings: inside the page until it is full, or linked."""

    def __init__(self, folder: Path, beside: Path, most_bytes: int | None) -> None:
        self._folder = folder
        self._beside = beside
        self._left = most_bytes

    def player(self, track: Track) -> str:
        """A player of a track, or why there is none."""
        label = escape(track.title or track.id)
        if self._left is None:
            return f'<audio controls preload="none" aria-label="{label}" src="{escape(self._link(track))}"></audio>'
        if self._left <= 0:
            return '<p class="soft">Not in this page, which is full; --links links all recordings.</p>'
        try:
            encoded = base64.b64encode(_opus(self._folder / track.path, track)).decode()
        except AudioError as error:
            return f'<p class="soft">Cannot be heard: {escape(str(error))}</p>'
        self._left -= len(encoded)
        return f'<audio controls preload="metadata" aria-label="{label}" src="data:audio/ogg;base64,{encoded}"></audio>'

    def _link(self, track: Track) -> str:
        path = os.path.relpath((self._folder / track.path).absolute(), self._beside.absolute())
        bounds = f"#t={track.start or 0:g}" + (f",{track.end:g}" if track.end is not None else "")
        return quote(Path(path).as_posix()) + (bounds if (track.start, track.end) != (None, None) else "")


def _opus(path: Path, track: Track) -> bytes:
    """The beginning of a track in Ogg Opus.

    Raises:
        AudioError: it cannot be heard.
    """
    begin = track.start or 0.0
    end = min(begin + LONGEST_SECONDS, track.end if track.end is not None else begin + LONGEST_SECONDS)
    samples = audio.load(path, sample_rate_hz=_RATE_HZ, start=begin, end=end, require_sound=False).samples
    file = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", _RATE_HZ, 1, format="OGG", subtype="OPUS", compression_level=_OPUS_COMPRESSION
    ) as out:
        for at in range(0, len(samples), _BLOCK_FRAMES):
            out.write(samples[at : at + _BLOCK_FRAMES])
    return file.getvalue()
