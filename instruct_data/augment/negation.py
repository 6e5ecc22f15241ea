"""Questions and captions with a negation: what does not play, in one clause or composed of several.

In: one track of which it is known what does not play. Out: exchanges with true answers, among them minimal pairs: the
same question affirmed and negated, or with two words exchanged, so that the answers are opposite. What is asked about
is true of the track and not of another one, or the other way round (`_known.one_that_differs`), so that a question
alone tells nothing of its answer. Knows no wordings.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

from mllm.instruct_data.augment import _known
from mllm.instruct_data.augment._negation_wordings import WORDINGS
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.tracks import Track

SUMMARY = "Negated questions and captions: no drums, everything but a piano, neither one nor the other; minimal pairs."
TRACKS = 1

_LETTERS = "ABCD"
_MOST_OPTIONS = 4


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """True exchanges about what a track lacks, one or a pair of each kind, in any order.

    Args:
        tracks: the one track.
        draw: chances, wordings and other tracks.
    """
    (track,) = tracks
    if not _known.verdicts(track):
        return
    kinds = list(_KINDS)
    draw.rng.shuffle(kinds)
    for kind in kinds:
        yield from kind(track, draw)


def _differing(
    count: int, truth: Callable[[Mapping[str, bool], Sequence[str]], bool | None], *, ordered: bool
) -> Callable[[Track, Track | None], Iterator[tuple[tuple[str, ...], bool]]]:
    """Candidates of `_known.one_that_differs`: instruments of which something is true, false, or neither (None)."""

    def candidates(track: Track, other: Track | None) -> Iterator[tuple[tuple[str, ...], bool]]:
        here = _known.verdicts(track)
        there = _known.verdicts(other) if other is not None else here
        names = [name for name in here if name in there]
        for chosen in (itertools.permutations if ordered else itertools.combinations)(names, count):
            is_true = truth(here, chosen)
            opposite = truth(there, chosen)
            if is_true is None or opposite is None or (other is not None and opposite == is_true):
                continue
            if not _known.overlap(chosen):
                yield chosen, is_true

    return candidates


def _lacks(track: Track, draw: Draw) -> Iterator[Exchange]:
    """Is there no X? And: is it false that there is no X?"""
    for kind, yes_if_playing in (("lacks", False), ("double", True)):
        found = _known.one_that_differs(draw, track, _differing(1, lambda known, names: known[names[0]], ordered=False))
        if found is not None:
            (name,), playing = found
            yield _about_one(draw, kind, name, playing=playing, yes=playing == yes_if_playing)


def _about_one(draw: Draw, kind: str, name: str, *, playing: bool, yes: bool) -> Exchange:
    said = _known.said(draw.rng, name)
    question = _known.worded(WORDINGS[kind], draw, _known.words(said))
    return _yes_or_no(draw, f"{kind}/{name}", question, yes=yes, heard=_heard({said: playing}))


def _pair(track: Track, draw: Draw) -> Iterator[Exchange]:
    """The same question with "a piano" and with "no piano"."""
    found = _known.one_that_differs(draw, track, _differing(1, lambda known, names: known[names[0]], ordered=False))
    if found is None:
        return
    (name,), playing = found
    said = _known.said(draw.rng, name)
    pattern = WORDINGS["pair"].choose(draw.rng, held_out=draw.held_out)
    for kind, some in (("has", _known.with_article(said)), ("lacks", f"no {said}")):
        question = _known.sentence(pattern.format(**_known.words(said), some=some))
        yield _yes_or_no(
            draw, f"pair/{kind}/{name}", question, yes=playing == (kind == "has"), heard=_heard({said: playing})
        )


def _neither(track: Track, draw: Draw) -> Iterator[Exchange]:
    found = _known.one_that_differs(
        draw, track, _differing(2, lambda known, names: not (known[names[0]] or known[names[1]]), ordered=False)
    )
    if found is not None:
        pair, yes = found
        first, second = draw.rng.sample(pair, 2)
        yield _about_two(draw, "neither", track, (first, second), yes=yes)


def _but_no(track: Track, draw: Draw) -> Iterator[Exchange]:
    """A but no B."""
    found = _known.one_that_differs(
        draw, track, _differing(2, lambda known, names: known[names[0]] and not known[names[1]], ordered=True)
    )
    if found is not None:
        (first, second), yes = found
        yield _about_two(draw, "but_no", track, (first, second), yes=yes)


def _exchanged(track: Track, draw: Draw) -> Iterator[Exchange]:
    """A but no B; and the same with the names exchanged, where exactly one of the two plays."""

    def which(known: Mapping[str, bool], names: Sequence[str]) -> bool | None:
        return known[names[0]] if known[names[0]] != known[names[1]] else None

    found = _known.one_that_differs(draw, track, _differing(2, which, ordered=True))
    if found is None:
        return
    (first, second), yes = found
    pattern = WORDINGS["but_no"].choose(draw.rng, held_out=draw.held_out)
    yield _about_two(draw, "pair/but_no", track, (first, second), yes=yes, pattern=pattern)
    yield _about_two(draw, "pair/but_no", track, (second, first), yes=not yes, pattern=pattern)


def _about_two(
    draw: Draw, kind: str, track: Track, names: tuple[str, str], *, yes: bool, pattern: str | None = None
) -> Exchange:
    known = _known.verdicts(track)
    first, second = (_known.said(draw.rng, name) if pattern is None else name for name in names)
    pattern = pattern or WORDINGS[kind].choose(draw.rng, held_out=draw.held_out)
    fields = {f"a_{place}": _known.with_article(name) for place, name in (("first", first), ("second", second))}
    question = pattern.format(first=first, second=second, first_is=_known.words(first)["is"], **fields)
    heard = _heard({first: known[names[0]], second: known[names[1]]})
    return _yes_or_no(draw, kind, _known.sentence(question), yes=yes, heard=heard)


def _all_but_the_first(track: Track, other: Track | None) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Three instruments of which the first does not play and the two others do: in one of the tracks, not in the other.

    Without another track: in this one; and, as what is false, the same with the first two exchanged.
    """
    here = _known.verdicts(track)
    there = _known.verdicts(other) if other is not None else here
    for this, that, is_true in ((here, there, True), (there, here, False)):
        shared = [name for name in this if name in that]
        playing = [name for name in shared if this[name]]
        for first in (name for name in shared if not this[name]):
            for second, third in itertools.combinations(playing, 2):
                if _known.overlap((first, second, third)):
                    continue
                if other is None:
                    yield ((first, second, third) if is_true else (second, first, third)), is_true
                elif that[first] or not (that[second] and that[third]):
                    yield (first, second, third), is_true


def _everything_but(track: Track, draw: Draw) -> Iterator[Exchange]:
    """Of A, B and C: everything but B?"""
    found = _known.one_that_differs(draw, track, _all_but_the_first)
    if found is None:
        return
    names, yes = found
    known = _known.verdicts(track)
    listed = draw.rng.sample(names, len(names))
    question = _known.worded(WORDINGS["everything_but"], draw, {**_known.words(names[0]), "names": _known.bare(listed)})
    heard = _heard({name: known[name] for name in listed})
    yield _yes_or_no(draw, "everything_but", question, yes=yes, heard=heard)


def _except(track: Track, draw: Draw) -> Iterator[Exchange]:
    """Everything that plays but one, which plays or does not."""
    found = _known.one_that_differs(draw, track, _differing(1, lambda known, names: known[names[0]], ordered=False))
    if found is None or not _known.is_complete(track):
        return
    (name,), playing = found
    others = [one for one in track.playing or () if one not in _known.MEMBERS[name]]
    rest = f"I hear {_known.listed(others)}" if others else "I hear nothing else"
    if not playing:
        rest = f"There {_known.words(name)['is']} no {name}. {rest}"
    elif others:
        rest = f"{rest} besides the {name}"
    question = _known.worded(WORDINGS["except"], draw, _known.words(name))
    yield Exchange(turns=((question, f"{rest}."),), template="negation/except")


def _which(track: Track, draw: Draw) -> Iterator[Exchange]:
    """Which of these does not play? With two options also: which plays?

    Each option is what one of as many tracks lacks and the others have; any of them could be the one asked about.
    """
    others = [one for one in draw.others if one.id != track.id]
    draw.rng.shuffle(others)
    for count in range(min(_MOST_OPTIONS, len(others) + 1), 1, -1):
        missing = _missing_from_one(draw, [track, *others[: count - 1]])
        if missing is None:
            continue
        choices = draw.rng.sample(missing, count)
        correct = choices.index(missing[0])
        yield _choice(draw, "which_not", choices, correct)
        if count == 2:
            yield _choice(draw, "which", choices, 1 - correct)
        return


def _missing_from_one(draw: Draw, tracks: Sequence[Track]) -> list[str] | None:
    """Of each track an instrument that it lacks and all the others have."""
    known = [_known.verdicts(track) for track in tracks]
    chosen: list[str] = []
    for here in known:
        elsewhere = [one for one in known if one is not here]
        fitting = [n for n, plays in here.items() if not plays and all(one.get(n, False) for one in elsewhere)]
        if not fitting:
            return None
        chosen.append(draw.rng.choice(fitting))
    return None if _known.overlap(chosen) else chosen


def _choice(draw: Draw, kind: str, choices: Sequence[str], correct: int) -> Exchange:
    lettered = [f"({letter}) {name}" for letter, name in zip(_LETTERS, choices, strict=False)]
    question = _known.worded(WORDINGS[kind], draw, {"options": " ".join(lettered)})
    return Exchange(
        turns=((question, f"{lettered[correct]}."),),
        template=f"negation/{kind}/{len(choices)}",
        choices=tuple(choices),
        correct=correct,
    )


def _caption(track: Track, draw: Draw) -> Iterator[Exchange]:
    """A caption with a negation: is it true?

    All of it but one thing is true of the track and of another one; the one thing is true of either.
    """
    other = _known.another(draw, track)
    if other is None:
        return
    here, there = _caption_facts(track), _caption_facts(other)
    shared = {name: value for name, value in here.items() if there.get(name) == value}
    known, known_there = _known.verdicts(track), _known.verdicts(other)
    both = {name: plays for name, plays in known.items() if known_there.get(name) == plays}
    deciding = [name for name in here if name in there and name not in shared]
    silent_in_both = [name for name, plays in both.items() if not plays]
    differing = [name for name in known if name in known_there and name not in both]
    use_fact = bool(deciding and silent_in_both) and (not differing or draw.rng.random() < 0.4)
    if use_fact:
        decides, lacking = draw.rng.choice(deciding), draw.rng.choice(silent_in_both)
        yes = draw.rng.random() < 0.5
        shared[decides] = (here if yes else there)[decides]
        why = f"it is {here[decides]}" + (f", and I hear no {lacking}" if yes else f", not {there[decides]}")
    elif differing:
        lacking = draw.rng.choice(differing)
        yes = not known[lacking]
        why = _heard({lacking: known[lacking]})
    else:
        return
    playing = [n for n, plays in both.items() if plays and not _known.overlap((n, lacking))]
    text = _composed(draw, shared, playing[:1] if draw.rng.random() < 0.6 else [], [lacking])
    fields = {"caption": _known.sentence(text), "caption_inside": text}
    yield _yes_or_no(draw, "caption", _known.worded(WORDINGS["caption"], draw, fields), yes=yes, heard=why)


def _describe(track: Track, draw: Draw) -> Iterator[Exchange]:
    """A caption that says which of some instruments are missing."""
    found = _known.one_that_differs(draw, track, _differing(2, lambda known, names: known[names[0]], ordered=True))
    if found is None:
        return
    names = draw.rng.sample(found[0], 2)
    known = _known.verdicts(track)
    playing, silent = [n for n in names if known[n]], [n for n in names if not known[n]]
    text = _composed(draw, _caption_facts(track), playing, silent)
    question = _known.worded(WORDINGS["describe"], draw, {"names": _known.bare(names)})
    yield Exchange(turns=((question, f"{_known.sentence(text)}."),), template="negation/describe")


def _caption_facts(track: Track) -> dict[str, str]:
    """What a caption can say of a track beside its instruments, as it stands after "it is"."""
    mode, speed = _known.mode(track), _known.speed(track)
    facts = {
        "speed": "mid-tempo" if speed == "moderate" else speed,
        "mode": mode and f"in a {mode} key",
        "meter": track.meter and f"in {track.meter} time",
    }
    return {name: value for name, value in facts.items() if value}


def _composed(draw: Draw, facts: Mapping[str, str], playing: Sequence[str], silent: Sequence[str]) -> str:
    """A caption: "a slow piece in a minor key with a piano, without drums"."""
    noun = draw.rng.choice(("piece", "piece", "track", "recording", "piece of music"))
    text = f"a {facts['speed']} {noun}" if "speed" in facts else f"a {noun}"
    if places := [facts[name] for name in ("mode", "meter") if name in facts]:
        text += f" {' and '.join(places)}"
    if playing:
        text += f" with {_known.listed(playing)}"
    if not silent:
        return text
    without, no = f"without {_known.listed(silent, 'or')}", f"no {' and no '.join(silent)}"
    if playing:
        return text + draw.rng.choice((f", {without}", f" but {no}", f", but {without}"))
    return text + draw.rng.choice((f" {without}", f" with {no}", f" that has {no}"))


def _heard(known: Mapping[str, bool]) -> str:
    return _known.heard([n for n, plays in known.items() if plays], [n for n, plays in known.items() if not plays])


def _yes_or_no(draw: Draw, kind: str, question: str, *, yes: bool, heard: str) -> Exchange:
    return Exchange(
        turns=((question, _known.answered(draw.rng, yes=yes, clause=heard)),),
        template=f"negation/{kind}",
        label="yes" if yes else "no",
    )


_KINDS = (_lacks, _pair, _neither, _but_no, _exchanged, _everything_but, _except, _which, _caption, _describe)
