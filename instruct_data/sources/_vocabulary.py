"""Words of data sets in the words of `Track`: instruments, moods, genres and keys.

In: a tag or a text as a data set spells it ("electricguitar", "violins", "Bbm"). Out: the word of our vocabularies, or
None where there is none; `sorted_tags` puts a whole list of tags into the fields of a track. Knows no file.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mllm.errors import ConfigError
from mllm.facts import INSTRUMENTS, KEYS, MAJOR_TONICS, MINOR_TONICS, pitch_class

_SYNONYMS: Mapping[str, str] = {
    "piano": "piano,piano solo,grand piano,upright piano,electric piano,electricpiano,rhodes,e-piano",
    "harpsichord": "harpsichord,harpsicord,cembalo,clavichord",
    "organ": "organ,pipe organ,pipeorgan,church organ,hammond,hammond organ",
    "accordion": "accordion,accordeon,bandoneon,concertina",
    "acoustic guitar": "acoustic guitar,acousticguitar,classical guitar,classicalguitar,nylon guitar,spanish guitar",
    "electric guitar": "electric guitar,electricguitar,distorted guitar,distortion guitar",
    "bass": "bass,bass guitar,electric bass,acousticbassguitar,acoustic bass guitar,doublebass,double bass,"
    "upright bass,contrabass,synth bass",
    "strings": "strings,string,violin,violins,viola,cello,violoncello,fiddle,string section,string quartet,"
    "bowed strings",
    "harp": "harp",
    "choir": "choir,choral,chorus,choirs",
    "brass": "brass,trumpet,trombone,horn,horns,french horn,tuba,cornet,flugelhorn,brass section",
    "saxophone": "saxophone,sax,saxophones,alto sax,tenor sax,soprano sax",
    "woodwind": "woodwind,woodwinds,clarinet,oboe,bassoon,english horn,cor anglais",
    "flute": "flute,flutes,recorder,pan flute,panflute,piccolo,tin whistle",
    "mallets": "mallets,mallet,mallet percussion,mallet_percussion,bell,bells,chimes,glockenspiel,xylophone,vibraphone,"
    "marimba,celesta,music box,tubular bells",
    "synthesizer": "synthesizer,synthesiser,synth,synths,synth lead,synth pad,pad,moog",
    "drums": "drums,drum,drum kit,drum set,drumset,drummachine,drum machine,snare,kick drum,hi-hat,cymbals,cymbal",
}
"""Instruments of `facts.INSTRUMENTS` and what data sets call them or single members of them. "guitar" and "keyboard"
are not there: they may be either of two instruments."""

_KINDS_OF_GUITAR = ("acoustic guitar", "electric guitar")
_WHOLE: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in INSTRUMENTS},
    "guitar": _KINDS_OF_GUITAR,
    "drum": ("drums",),
    "string": ("strings",),
    "synth": ("synthesizer",),
    "mallet_percussion": ("mallets",),
}
"""Words that name the whole of instruments: whoever denies these denies them, who denies "violin" does not deny a
cello."""

_MOOD_WORDS = (
    "aggressive airy angry calm carefree cheerful chill cool dark deep dramatic dreamy eerie emotional energetic epic "
    "exciting fun funny gentle gloomy groovy happy heavy hopeful hypnotic inspiring intense joyful lively lonely "
    "meditative melancholic mellow melodic moody motivational mysterious nostalgic peaceful playful positive powerful "
    "quiet relaxed relaxing romantic sad scary sentimental serene sexy sleepy soft solemn somber spooky strange "
    "suspenseful tender tense uplifting upbeat warm weird"
)
_MOODS = frozenset(_MOOD_WORDS.split())
_MOOD_SPELLINGS: Mapping[str, str] = {"dream": "dreamy", "ambiental": "ambient", "melancholy": "melancholic"}

_GENRE_SPELLINGS: Mapping[str, str] = {
    **{f"{decade}s": f"music of the {decade}s" for decade in (60, 70, 80, 90)},
    "acidjazz": "acid jazz",
    "alternativerock": "alternative rock",
    "bluesrock": "blues rock",
    "bossanova": "bossa nova",
    "clasical": "classical",
    "classicrock": "classic rock",
    "darkambient": "dark ambient",
    "deephouse": "deep house",
    "drumnbass": "drum and bass",
    "easylistening": "easy listening",
    "edm": "electronic dance music",
    "hardrock": "hard rock",
    "heavymetal": "heavy metal",
    "hiphop": "hip hop",
    "hip-hop": "hip hop",
    "idm": "intelligent dance music",
    "instrumentalpop": "instrumental pop",
    "instrumentalrock": "instrumental rock",
    "jazzfunk": "jazz funk",
    "jazzfusion": "jazz fusion",
    "jazzy": "jazz",
    "newage": "new age",
    "newwave": "new wave",
    "popfolk": "pop folk",
    "poprock": "pop rock",
    "postrock": "post-rock",
    "punkrock": "punk rock",
    "rnb": "rhythm and blues",
    "rocknroll": "rock and roll",
    "singersongwriter": "singer-songwriter",
    "synthpop": "synth pop",
    "triphop": "trip hop",
    "worldfusion": "world fusion",
}
"""Genres that data sets write as one word or abbreviate, in words."""

_SINGING_WORDS = (
    "voice voices vocal vocals singer singing singers sung female male rap rapping opera operatic soprano chanting "
    "chant choir choral man woman men women girl"
)
_SINGERS = itertools.product(("male", "female", "man", "woman"), ("vocal", "vocals", "voice", "singer", "singing"))
_SUNG = frozenset(_SINGING_WORDS.split()) | {f"{who} {what}" for who, what in _SINGERS}
_NOT_SUNG = frozenset(
    ["instrumental", *(f"no {what}" for what in ("voice", "voices", "vocal", "vocals", "singer", "singing"))]
)

_TAG_SPELLINGS: Mapping[str, str] = {
    "acousticguitar": "acoustic guitar",
    "acousticbassguitar": "acoustic bass guitar",
    "ambiental": "ambient",
    "classicalguitar": "classical guitar",
    "doublebass": "double bass",
    "dream": "dreamy",
    "drummachine": "drum machine",
    "electricpiano": "electric piano",
    "electricguitar": "electric guitar",
    "harpsicord": "harpsichord",
    "mallet_percussion": "mallet percussion",
    "pipeorgan": "pipe organ",
}
"""Tags that data sets write as one word or misspell."""

_INSTRUMENT_OF = {word: name for name, words in _SYNONYMS.items() for word in words.split(",")}
_MODES: Mapping[str, str] = {
    **dict.fromkeys(("", "maj", "major", "dur", "ionian"), "major"),
    **dict.fromkeys(("m", "min", "minor", "moll", "aeolian"), "minor"),
    "dorian": "dorian",
    "mixolydian": "mixolydian",
}
_KEY = re.compile(r"([A-Ga-g])\s*([#b♯♭]?|-?sharp|-?flat)[\s:_-]*([a-z]*)", re.IGNORECASE)


def instrument(word: str) -> str | None:
    """The name in `facts.INSTRUMENTS` that covers what a data set calls `word`, or None."""
    return _INSTRUMENT_OF.get(_plain(word))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names of instruments, each once, in the order of `facts.INSTRUMENTS`."""
    given = set(names)
    return tuple(name for name in INSTRUMENTS if name in given)


def denied(word: str) -> tuple[str, ...]:
    """The instruments that surely do not play where a data set says that `word` does not; none for a part of one."""
    return _WHOLE.get(_plain(word), ())


def genre(word: str) -> str:
    """A genre in words: "hiphop" is "hip hop"."""
    plain = _plain(word)
    return _GENRE_SPELLINGS.get(plain, plain)


def mood(word: str) -> str | None:
    """A mood in words, or None for a tag that names none, such as "film"."""
    plain = _MOOD_SPELLINGS.get(_plain(word), _plain(word))
    return plain if plain in _MOODS else None


def key(text: str) -> str | None:
    """A key as `Track.key` has it: "Bbm", "A# minor" and "bb:min" are "Bb minor"; None for what is no key.

    A small letter alone is none: some write minor keys so, others do not mind their letters.
    """
    found = _KEY.fullmatch(text.strip())
    if found is None or (text.strip()[0].islower() and not found[3]):
        return None
    letter, accidental, word = found.groups()
    mode = "major" if word == "M" else _MODES.get(word.lower())
    if mode is None:
        return None
    sign = {"♯": "#", "♭": "b"}.get(accidental, accidental).lower().removeprefix("-")
    tonic = letter.upper() + {"sharp": "#", "flat": "b"}.get(sign, sign)
    tonics = MINOR_TONICS if mode in ("minor", "dorian") else MAJOR_TONICS
    return f"{tonics[pitch_class(tonic)]} {mode}"


def key_of_number(number: int, *, first: str) -> str:
    """A key that is given as 0 to 23, major keys first, counted in semitones from the tonic `first`.

    Raises:
        ConfigError: there is no such key.
    """
    if not 0 <= number < len(KEYS):
        raise ConfigError(f"{number} is no key; expected 0 to {len(KEYS) - 1}")
    return KEYS[(number + pitch_class(first)) % 12 + (number // 12) * 12]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SortedTags:
    """Tags by what they speak of; each field is None where no tag speaks of it."""

    instruments: tuple[str, ...] | None
    absent: tuple[str, ...] | None
    style: str | None
    moods: tuple[str, ...] | None
    vocals: bool | None
    tags: tuple[str, ...] | None

    def fields(self) -> dict[str, Any]:
        """As fields of a `Track`."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def sorted_tags(
    words: Iterable[str], *, genres: Collection[str] = (), instruments: Iterable[str] = (), moods: Iterable[str] = ()
) -> SortedTags:
    """Put tags into the fields of a track.

    A style is given where the tags name exactly one genre: of several none is the style. What has no place of its own
    stays a tag, and so do the words of members of an instrument ("violin" is "strings" and stays a tag), genres and
    moods. "no piano" makes the piano absent; where tags contradict each other, nothing is said.

    Args:
        words: tags of any kind.
        genres: those of them that are genres.
        instruments: tags that name instruments, which may be in `words` too.
        moods: tags that name moods, which may be in `words` too.
    """
    plain = list(dict.fromkeys(_plain(word) for word in (*words, *instruments, *moods) if word.strip()))
    heard = {name for word in plain if (name := instrument(word))}
    refused = {name for word in plain if word.startswith("no ") for name in denied(word.removeprefix("no "))}
    sung, unsung = bool(_SUNG & set(plain)), bool(_NOT_SUNG & set(plain))
    named = list(dict.fromkeys(genre(word) for word in plain if word in genres or genre(word) in genres))
    felt = tuple(dict.fromkeys(found for word in plain if (found := mood(word))))
    doubtful = heard & refused
    tags = tuple(dict.fromkeys(_as_tag(word, named) for word in plain if not _has_its_place(word)))
    return SortedTags(
        instruments=in_order(heard - doubtful) or None,
        absent=in_order(refused - doubtful) or None,
        style=named[0] if len(named) == 1 else None,
        moods=felt or None,
        vocals=None if sung == unsung else sung,
        tags=tags or None,
    )


def _has_its_place(word: str) -> bool:
    """Whether nothing is lost when a tag is no tag any more: a name of `INSTRUMENTS`, or a denial."""
    return word in INSTRUMENTS or word.startswith(("no ", "not "))


def _as_tag(word: str, genres: Collection[str]) -> str:
    if genre(word) in genres:
        return genre(word)
    return _TAG_SPELLINGS.get(word, word)


def _plain(word: str) -> str:
    return " ".join(word.lower().split())
