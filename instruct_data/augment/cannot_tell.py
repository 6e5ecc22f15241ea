"""Questions that no recording answers: the price, the composer's birthday, the record label, who mixed it.

In: one track, of which nothing need be known. Out: questions whose answer is that it cannot be told, in the words of
`dialogue.cannot_tell`. Only what sound never tells is asked: not the genre, the mood or the singing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mllm.instruct_data.asked import ask, phrasings
from mllm.instruct_data.dialogue import cannot_tell
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import CANNOT_TELL

SUMMARY = "What sound cannot say, with the answer that it cannot be told."
TRACKS = 1

_NEVER_HEARD = ("the title", "the artist", "the composer", "the year", "the album", "the place")
"""Of what the dialogues of the reference backbone ask; "that" also asks for times and sections, which may be known."""


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """One question about each thing that cannot be told of these tracks or any others, in random order."""
    del tracks
    wordings = all_wordings()
    for what in draw.rng.sample(sorted(wordings), len(wordings)):
        question = ask(draw, wordings[what])
        yield Exchange(turns=((question, cannot_tell(what)),), template=f"cannot_tell/{what}")


def all_wordings() -> Mapping[str, Phrasings]:
    """The wordings by what is asked for, in the words of the answer."""
    return {what: CANNOT_TELL[what] for what in _NEVER_HEARD} | dict(phrasings("cannot_tell"))
