"""Facts of a track against one another: times in order and inside the recording, known names, tempo and beats."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence

from mllm import facts
from mllm.errors import ConfigError
from mllm.instruct_data import checking
from mllm.instruct_data.checking import Known
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.rows import Row
from mllm.instruct_data.tracks import MODES, Track

SUMMARY = "the facts of a track do not contradict one another"
_BEYOND_SECONDS = 0.5
"""An instrument may ring on for so long after the end, and labels are as exact as that."""
_TEMPO_TOLERANCE = 0.06
_FEWEST_BEATS = 8


class Check(checking.Check):
    """Looks at one track at a time."""

    def of_track(self, row: Row[Track], known: Known) -> Iterator[Finding]:  # noqa: ARG002
        """Of each track."""
        track = row.value
        where = f"{row.place} (track {track.id!r})"
        for kind, what in itertools.chain(_times(track), _names(track), _tempo(track), _instruments(track)):
            yield self.found("error", kind, where, what, "correct the labels of this track")


def _times(track: Track) -> Iterator[tuple[str, str]]:
    for name, times in _moments(track):
        if any(later < earlier for earlier, later in itertools.pairwise(times)):
            yield "times out of order", f"the times of {name} do not rise"
        if times and times[0] < -_BEYOND_SECONDS:
            yield "time before the beginning", f"{name} begin at {times[0]:.2f} s"
        if track.seconds is not None and times and max(times) > track.seconds + _BEYOND_SECONDS:
            yield (
                "time after the end",
                f"{name} go on to {max(times):.1f} s, and the recording ends at {track.seconds:.1f} s",
            )
    for name, spans in _spans(track):
        if wrong := next((span for span in spans if span[1] < span[0]), None):
            yield "span that ends before it begins", f"{name} from {wrong[0]:.2f} to {wrong[1]:.2f} s"
        last = max((end for _, end in spans), default=0.0)
        if track.seconds is not None and last > track.seconds + _BEYOND_SECONDS:
            yield "time after the end", f"{name} until {last:.1f} s, and the recording ends at {track.seconds:.1f} s"
    if track.start is not None and track.end is not None and track.end <= track.start:
        yield "span that ends before it begins", f"the track from {track.start:.2f} to {track.end:.2f} s of its file"


def _moments(track: Track) -> Iterator[tuple[str, Sequence[float]]]:
    yield "beats", track.beats or ()
    yield "downbeats", track.downbeats or ()
    for name in ("tempo_curve", "keys", "dynamics"):
        yield name, [one[0] for one in getattr(track, name) or ()]


def _spans(track: Track) -> Iterator[tuple[str, Sequence[tuple[float, float]]]]:
    for name, spans in (track.activity or {}).items():
        yield f"{name} plays", spans
    for name in ("chords", "sections"):
        yield name, [(begin, end) for begin, end, _ in getattr(track, name) or ()]


def _names(track: Track) -> Iterator[tuple[str, str]]:
    keys = [track.key] if track.key is not None else []
    for key in dict.fromkeys([*keys, *(key for _, key in track.keys or ())]):
        if not _is_key(key):
            yield "unknown key", f"the key is {key!r}; expected a tonic and one of {', '.join(MODES)}"
    if track.meter is not None and track.meter not in facts.METERS:
        yield "unknown meter", f"the meter is {track.meter!r}; expected one of {', '.join(facts.METERS)}"
    named = {*(track.playing or ()), *(track.absent or ()), *(track.registers or ())}
    if strange := sorted(named - set(facts.INSTRUMENTS)):
        yield "unknown instrument", f"{', '.join(map(repr, strange))}; expected names of mllm.facts.INSTRUMENTS"


def _is_key(key: str) -> bool:
    tonic, _, mode = key.partition(" ")
    try:
        facts.pitch_class(tonic)
    except ConfigError:
        return False
    return mode in MODES


def _tempo(track: Track) -> Iterator[tuple[str, str]]:
    if track.tempo_bpm is not None and not 20 <= track.tempo_bpm <= 400:
        yield "impossible tempo", f"the tempo is {track.tempo_bpm:g} BPM; expected 20 to 400"
        return
    if track.tempo_bpm is None or track.beats is None or len(track.beats) < _FEWEST_BEATS:
        return
    gaps = [later - earlier for earlier, later in itertools.pairwise(track.beats) if later > earlier]
    if not gaps:
        return
    near = sum(1 for gap in gaps if abs(60 / gap / track.tempo_bpm - 1) <= _TEMPO_TOLERANCE)
    beaten = 60 / statistics.median(gaps)
    # With a changing tempo the one that holds longest need not be the median, but some beats have it.
    if near < 0.1 * len(gaps) and abs(beaten / track.tempo_bpm - 1) > _TEMPO_TOLERANCE:
        yield (
            "tempo that the beats contradict",
            f"the tempo is {track.tempo_bpm:g} BPM, and its beats are {beaten:.0f} a minute",
        )


def _instruments(track: Track) -> Iterator[tuple[str, str]]:
    playing = set(track.playing or ())
    if both := sorted(playing & set(track.absent or ())):
        yield "instrument that plays and is absent", f"{', '.join(both)} stand among both"
    if track.activity is not None and track.instruments is not None and playing != set(track.instruments):
        other = sorted(playing ^ set(track.instruments))
        yield "instruments unlike the activity", f"{', '.join(other)} stand in one of them only"
    for name, (lowest, highest) in (track.registers or {}).items():
        if not 0 <= lowest <= highest <= 127:
            yield "impossible register", f"{name} from pitch {lowest} to {highest}; expected 0 to 127, lowest first"
