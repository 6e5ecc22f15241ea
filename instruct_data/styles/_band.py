"""The players of a piece: who plays which instrument in which sections, and the finished composition.

In: a plan, and from a style which players it wants and what they play. Out: a `Composition`. Knows nothing of what
makes a style.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mllm.instruct_data import instruments
from mllm.instruct_data.composition import Composition, Line
from mllm.instruct_data.patterns import KICK, Row
from mllm.instruct_data.scores import Chord
from mllm.instruct_data.styles import _drums, _figures, _melody
from mllm.instruct_data.styles._chance import happens, one_of, pick
from mllm.instruct_data.styles._melody import Character
from mllm.instruct_data.styles._plan import Passage, Plan
from mllm.instruct_data.styles._titles import title

LICENCE = "CC0-1.0"
SOURCE = "generated"
_GAINS_DB: dict[str, tuple[float, float]] = {
    "melody": (-2.0, 0.0),
    "counter": (-7.0, -3.0),
    "harmony": (-9.0, -4.0),
    "pad": (-11.0, -6.0),
    "bass": (-6.0, -2.0),
    "drums": (-7.0, -2.0),
}
_CENTRES = {"melody": 69.0, "counter": 64.0, "harmony": 60.0, "pad": 60.0, "bass": _figures.BASS_CENTRE}
_NEARLY = 0.03
"""Two notes of one pitch on one line that are nearer than this, in quarter notes, are one."""

Figure = Callable[[Passage], list[Row]]


@dataclasses.dataclass
class Player:
    """One player, and what is played so far."""

    instrument: str
    program: int
    role: str
    gain_db: float
    articulation: str
    spans: list[tuple[Passage, float, float]]
    """Passages in which there is something to play, each with where the player enters and stops."""
    rows: list[Row] = dataclasses.field(default_factory=list)

    @property
    def reach(self) -> tuple[int, int]:
        """Lowest and highest MIDI pitch."""
        # The range of a choir elsewhere is that of a tune; here its basses sing too.
        return (40, 81) if self.instrument == "choir" else instruments.range_of(self.instrument, self.program)

    @property
    def centre(self) -> float:
        """A comfortable MIDI pitch for a tune, neither very low nor very high."""
        low, high = self.reach
        return min(max(0.45 * low + 0.55 * high, 55.0), 76.0)


class Band:
    """Players of one piece.

    Args:
        plan: what the piece is.
        rng: the only source of chance.
    """

    def __init__(self, plan: Plan, rng: np.random.Generator) -> None:
        self.plan = plan
        self._rng = rng
        self._players: list[Player] = []
        self._tunes: dict[int, list[Row]] = {}

    def hire(
        self,
        role: str,
        options: Mapping[str, float],
        *,
        least: float = 0.0,
        where: Callable[[Passage], bool] | None = None,
        programs: Mapping[str, Sequence[int]] | None = None,
        articulation: str = "normal",
        fast: bool = False,
    ) -> Player:
        """A player of one of `options` (weights), preferably of an instrument that nobody plays yet.

        Args:
            role: one of the roles of `composition.Line`.
            options: instruments with weights.
            least: energy of a section from which on this player plays; players of 0 never rest.
            where: says of a passage whether this player may play in it; None: in all.
            programs: General MIDI programs to choose from, by instrument, where not all of them suit.
            articulation: one of `composition.ARTICULATIONS`.
            fast: whether slow sounds do not suit.
        """
        taken = {player.instrument for player in self._players if player.role != "drums"}
        free = {name: weight for name, weight in options.items() if name not in taken}
        name = pick(self._rng, free or options)
        if name == "drums" or (programs and name in programs):
            program = one_of(self._rng, (programs or {}).get(name, (0, 0, 8, 16)))
        else:
            program = instruments.pick_program(self._rng, name, fast=fast, centre=_CENTRES[role])
        player = Player(
            instrument=name,
            program=program,
            role=role,
            gain_db=round(float(self._rng.uniform(*_GAINS_DB[role])), 2),
            articulation=articulation,
            spans=self._spans(least, where),
        )
        self._players.append(player)
        return player

    def play(self, player: Player, figure: Figure) -> None:
        """Lets a player play a figure in all passages of theirs; in the last bar of the piece one long chord."""
        for passage, enters, stops in player.spans:
            rows = [row for row in figure(passage) if enters - _NEARLY <= row[0] < stops - _NEARLY]
            if passage.closes and self.plan.holds_last and player.role in ("harmony", "bass", "drums"):
                last = passage.end - passage.quarters
                rows = [row for row in rows if row[0] < last - _NEARLY] + _last_bar(passage, player, rows)
            player.rows.extend(rows)

    def sing(self, player: Player, character: Character, *, octave: int = 0) -> None:
        """Lets a player play the tune of their passages; the same tune wherever the material is the same."""
        self.play(player, lambda passage: _octaves(self._tune(passage, character, player.centre), octave))

    def sing_along(self, player: Player, steps: int) -> None:
        """Lets a player follow the tune at a distance of so many steps of the scale; 0 doubles it."""
        self.play(player, lambda passage: _melody.in_parallel(passage, self.tune(passage), steps))

    def improvise(self, player: Player, character: Character) -> None:
        """Lets a player play a new tune in every passage of theirs."""
        self.play(player, lambda passage: _melody.tune(passage, self._rng, character, player.centre))

    def drum(self, player: Player, name: str, *, fills: float = 0.7) -> None:
        """Lets a drummer play a groove; its variants may take turns with the sections."""
        variants = _drums.GROOVES[name][self.plan.meter]
        first, second = one_of(self._rng, variants), one_of(self._rng, variants)
        self.play(
            player,
            lambda passage: _drums.drums(
                passage, second if passage.energy > 0.75 else first, name, self._rng, fills=fills
            ),
        )

    def finish(self, *, drum_pattern: str | None) -> Composition:
        """The composition of what was played; players who have nothing to play are left out."""
        plan = self.plan
        lines = [self._line(player) for player in self._players if player.rows]
        drums = any(line.role == "drums" for line in lines)
        return Composition(
            title=title(self._rng),
            family=f"{plan.recipe.style} {plan.seed:016x}",
            style=plan.recipe.style,
            source=SOURCE,
            licence=LICENCE,
            meter=plan.meter,
            end=plan.end,
            keys=plan.keys,
            tempos=plan.tempos,
            chords=heard([chord for passage in plan.passages for chord in passage.chords], lines),
            sections=plan.sections,
            lines=tuple(lines),
            swing=plan.swing,
            dynamics=plan.dynamics,
            drum_pattern=drum_pattern if drums else None,
        )

    def tune(self, passage: Passage) -> list[Row]:
        """The tune that was sung in a passage; empty where there was none."""
        return self._tunes.get(passage.number, [])

    def _tune(self, passage: Passage, character: Character, centre: float) -> list[Row]:
        if passage.number not in self._tunes:
            rng = self.plan.material_rng(passage, "tune")
            self._tunes[passage.number] = _melody.tune(passage, rng, character, centre)
        return self._tunes[passage.number]

    def _spans(self, least: float, where: Callable[[Passage], bool] | None) -> list[tuple[Passage, float, float]]:
        rng = self._rng
        passages = [part for part in self.plan.passages if where is None or where(part)]
        loud = [part for part in passages if part.energy >= least]
        if not loud and passages:
            loud = [max(passages, key=lambda part: part.energy)]
        if least > 0 and len(loud) >= 3 and happens(rng, 0.15):
            del loud[int(rng.integers(len(loud)))]
        spans = [(part, part.onset, part.end) for part in loud]
        if least > 0 and spans and spans[0][0].bars >= 8 and happens(rng, 0.2):
            first = spans[0][0]
            spans[0] = (first, first.onset + one_of(rng, (2, 4)) * first.quarters, first.end)
        if least > 0 and len(spans) > 1 and spans[-1][0].bars >= 8 and happens(rng, 0.12):
            last = spans[-1][0]
            spans[-1] = (last, last.onset, last.end - 4 * last.quarters)
        return spans

    def _line(self, player: Player) -> Line:
        rows = np.array(sorted(player.rows), dtype=np.float64)
        if player.role != "drums":
            rows[:, 2] = within(rows[:, 2], player.reach)
        energies = np.array([part.energy for part in self.plan.passages])
        ends = np.array([part.end for part in self.plan.passages])
        number = np.minimum(np.searchsorted(ends, rows[:, 0] + _NEARLY, side="right"), len(ends) - 1)
        on_one = np.abs((rows[:, 0] + _NEARLY) % self.plan.passages[0].quarters) < 2 * _NEARLY
        velocity = rows[:, 3] + 6.0 * on_one + 12.0 * (energies[number] - 0.6)
        rows[:, 3] = np.clip(np.round(velocity + self._rng.normal(0, 3.5, len(rows))), 25, 124)
        return Line(
            instrument=player.instrument,
            program=player.program,
            role=player.role,
            gain_db=player.gain_db,
            articulation=player.articulation,
            rows=without_clashes(rows, self.plan.end),
        )


def within(pitches: NDArray[np.float64], reach: tuple[int, int]) -> NDArray[np.float64]:
    """Pitches moved by octaves into a range: all together if most are outside, then those that still are."""
    low, high = reach
    middle = float(np.median(pitches))
    moved = pitches + 12 * (np.ceil(max(0.0, low + 2 - middle) / 12) - np.ceil(max(0.0, middle - high + 2) / 12))
    moved = moved + 12 * np.ceil(np.maximum(0, low - moved) / 12) - 12 * np.ceil(np.maximum(0, moved - high) / 12)
    return np.asarray(moved, dtype=np.float64)


def without_clashes(rows: NDArray[np.float64], end: float) -> NDArray[np.float64]:
    """Rows sorted by onset, none after `end`, and no pitch sounding twice at once."""
    rows = rows[np.lexsort((rows[:, 0], rows[:, 2]))]
    together = (np.diff(rows[:, 2]) == 0) & (np.diff(rows[:, 0]) < _NEARLY)
    rows = rows[np.concatenate([[True], ~together])]
    stops = np.minimum(rows[:, 0] + rows[:, 1], end)
    same = np.diff(rows[:, 2]) == 0
    stops[:-1] = np.where(same, np.minimum(stops[:-1], rows[1:, 0]), stops[:-1])
    rows[:, 1] = stops - rows[:, 0]
    rows = rows[rows[:, 1] > 1e-3]
    return rows[np.argsort(rows[:, 0], kind="stable")]


def heard(chords: Sequence[Chord], lines: Sequence[Line]) -> tuple[Chord, ...]:
    """The chords whose root and second tone, which tells the quality, sound while they last."""
    if not chords:
        return ()
    onsets = np.array([chord.onset for chord in chords])
    sounding = np.zeros((len(chords), 12), dtype=bool)
    for line in lines:
        if line.role != "drums":
            classes = line.rows[:, 2].astype(int) % 12
            first = np.searchsorted(onsets, line.rows[:, 0] + _NEARLY, side="right") - 1
            last = np.searchsorted(onsets, line.rows[:, 0] + line.rows[:, 1] - 0.2, side="right") - 1
            sounding[np.maximum(first, 0), classes] = True
            for row in np.flatnonzero(last > first):
                sounding[first[row] : last[row] + 1, classes[row]] = True
    return tuple(
        chord
        for chord, tones in zip(chords, sounding, strict=True)
        if all(tones[pitch_class] for pitch_class in chord.pitch_classes()[:2])
    )


def _octaves(rows: list[Row], octave: int) -> list[Row]:
    return [(onset, duration, pitch + 12 * octave, velocity) for onset, duration, pitch, velocity in rows]


def _last_bar(passage: Passage, player: Player, rows: Sequence[Row]) -> list[Row]:
    """The last chord, held; its lowest note; a stroke of the drums."""
    start, length = passage.end - passage.quarters, passage.quarters * 0.98
    if not any(row[0] >= start - _NEARLY for row in rows):
        return []
    chord = passage.chord_at(start)
    if player.role == "drums":
        first = {row[2] for row in rows if abs(row[0] - start) < _NEARLY}
        return [(start, 0.5, drum, 100.0) for drum in sorted(first | {float(KICK)})]
    if player.role == "bass":
        low = _figures.near(chord.bass, _figures.BASS_CENTRE)
        return [(start, length, float(low), 92.0)]
    middle = float(np.median([row[2] for row in rows]))
    return [(start, length, float(pitch), 84.0) for pitch in _figures.voicing(chord, middle, 4)]
