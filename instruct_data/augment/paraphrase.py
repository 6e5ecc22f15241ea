"""Captions in other words, which say the same of instruments, numbers, keys and what is missing.

In: tracks with captions (or with facts to compose one of); a language model behind an address, or nothing. Out: records
or exchanges. Without a model, words are exchanged for others of the same meaning, first sentences are put otherwise and
further ones reordered. Every paraphrase is compared with its caption, and left out where it says more or less.
Knows no sources.
"""

from __future__ import annotations

import collections
import dataclasses
import random
import re
from collections.abc import Iterable, Iterator, Sequence

from mllm.errors import MllmError
from mllm.instruct_data.augment import _captions, _known, _mentions
from mllm.instruct_data.augment._caption_wordings import ORDERS, REQUESTS
from mllm.instruct_data.endpoint import Chat, Endpoint
from mllm.instruct_data.exchanges import Draw, Exchange
from mllm.instruct_data.records import Record, conversation
from mllm.instruct_data.tracks import Track
from mllm.instruct_data.wordings import QUESTIONS

SUMMARY = "Captions in other words, with every instrument, number and negation kept."
TRACKS = 1

_LONGER = 1.6
"""Largest ratio of the lengths of a paraphrase and its caption."""
_CHANGED = 0.7
"""Chance of each word that has others of the same meaning to be exchanged."""
_ALIKE: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"about (?=\d)", ("around ", "roughly ", "close to ")),
    (r"around (?=\d)", ("about ", "roughly ")),
    (r"approximately (?=\d)", ("about ", "around ")),
    (r"BPM", ("beats per minute",)),
    (r"slow", ("unhurried", "slow-paced")),
    (r"fast", ("quick", "fast-paced", "rapid")),
    (r"mid-tempo", ("moderately paced",)),
    (r"calm", ("peaceful", "tranquil")),
    (r"peaceful", ("calm", "tranquil")),
    (r"relaxing", ("soothing", "calming")),
    (r"soothing", ("relaxing", "calming")),
    (r"mellow", ("gentle", "soft-toned")),
    (r"happy", ("cheerful", "joyful")),
    (r"sad", ("sorrowful", "mournful")),
    (r"dark", ("sombre", "gloomy")),
    (r"energetic", ("lively", "vigorous")),
    (r"upbeat", ("lively", "spirited")),
    (r"dreamy", ("dreamlike",)),
    (r"emotional", ("moving",)),
    (r"piece of music", ("composition", "musical piece")),
    (r"song", ("track", "tune")),
    (r"track", ("piece", "recording")),
    (r"recording", ("track",)),
    (r"piece(?! of music)", ("track", "composition")),
    (r"features", ("includes", "makes use of")),
    (r"includes", ("features", "contains")),
    (r"contains", ("includes", "features")),
    (r"consists of", ("is made up of",)),
    (r"is played by", ("is performed by",)),
    (r"is played on", ("is performed on",)),
    (r"is scored for", ("is written for",)),
    (r"is accompanied by", ("is backed by", "is supported by")),
    (r"accompanied by", ("backed by", "supported by")),
    (r"you hear", ("one hears", "you can hear")),
    (r"we hear", ("one hears", "you hear")),
    (r"(?<=is )heard", ("audible",)),
    (r"(?<=are )heard", ("audible",)),
    (r"(?<=there is )a lot of", ("much",)),
    (r"melody", ("melodic line",)),
    (r"in the background", ("behind it all",)),
    (r"throughout(?=[.,])", ("from start to finish",)),
    (r"(?:may|might) be", ("could be",)),
    (r"can be (?=played|used|heard)", ("could be ",)),
    (r"someone sings", ("somebody sings",)),
    (r"nobody sings", ("no one sings",)),
    (r"there is no singing", ("nobody sings", "no one sings")),
    (r"it moves", ("it goes along", "it proceeds")),
    (r"words for it", ("fitting words",)),
    (r"it is in", ("it stands in",)),
)
"""Words and others that mean the same; the first that fits is taken."""
_EXCHANGE = re.compile(
    "|".join(rf"(?P<w{number}>(?<![\w-]){pattern}(?![\w-]))" for number, (pattern, _) in enumerate(_ALIKE)),
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_MOVABLE = re.compile(r"(?:It (?!also)|There |The (?!other|same|latter|former)|Nobody |Someone |You hear )")
_FRAMES = ("This is {it}", "Here is {it}", "What we have here is {it}", "{it}", "What one hears is {it}", "It is {it}")
_FRAMED = re.compile(
    r"(?:(?:This|It) is |Here is |Here we have |We hear |What plays is |What you would hear is )?(?P<it>an? .*)",
    re.IGNORECASE,
)
_VERBS = re.compile(r"\b(?:is|are|was|were|has|have|plays?|sings?|carr(?:y|ies)|can|features?|contains?|includes?)\b")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Task:
    """A caption to be put otherwise."""

    track: Track
    number: int
    caption: str


def exchanges(tracks: Sequence[Track], draw: Draw) -> Iterator[Exchange]:
    """A caption of the track in other words: as its caption, and as what is asked for.

    Args:
        tracks: the one track.
        draw: chances and wordings.
    """
    (track,) = tracks
    tasks = _tasks(track, draw.rng)
    if tasks:
        task = draw.rng.choice(tasks)
        if (text := reworded(draw.rng, task.caption)) is not None:
            for kind, question in _questions(draw.rng, task, held_out=draw.held_out):
                yield Exchange(turns=((question, text),), template=f"paraphrase/{kind}")


def records(tracks: Iterable[Track], *, seed: int, writer: Endpoint | None = None) -> Iterator[Record]:
    """Two records for each caption that can be put otherwise: the paraphrase as a caption, and as what is asked for.

    Args:
        tracks: the recordings.
        seed: of wordings, and of paraphrases where they are made here.
        writer: a language model that writes the paraphrases; None: they are made here. One that is not kept to the
            caption's instruments, numbers, keys and negations is left out, and the log says why.
    """
    tasks = (
        (task, rng) for track in tracks for rng in [random.Random(f"{seed}/{track.id}")] for task in _tasks(track, rng)
    )
    if writer is None:
        for task, rng in tasks:
            if (text := reworded(rng, task.caption)) is not None:
                yield from _records(task, text, rng)
        return
    waiting: collections.deque[tuple[_Task, random.Random, Chat]] = collections.deque()

    def chats() -> Iterator[Chat]:
        for task, rng in tasks:
            order = {"role": "system", "content": ORDERS["reword"]}
            waiting.append((task, rng, [order, {"role": "user", "content": task.caption}]))
            yield waiting[-1][2]

    for answer in writer.answers(chats()):
        task, rng, chat = waiting.popleft()
        if isinstance(answer, MllmError):
            continue
        if problems := differences(task.caption, answer):
            writer.refuse(chat, "; ".join(problems))
        else:
            yield from _records(task, answer, rng)


def reworded(rng: random.Random, caption: str) -> str | None:
    """The caption in other words, or None where none were found that say the same."""
    sentences = _SENTENCE_END.split(caption.strip())
    text = " ".join([_framed(rng, sentences[0]), *_reordered(rng, sentences[1:])])
    text = _EXCHANGE.sub(lambda found: _exchanged(rng, found), text)
    text = re.sub(r"\b(a)n?(?= [a-z])", lambda found: _article(found, text), text, flags=re.IGNORECASE)
    text = re.sub(r"(^|[.!?] )([a-z])", lambda found: found[1] + found[2].upper(), text)
    return None if text == caption or differences(caption, text) else text


def differences(caption: str, paraphrase: str) -> list[str]:
    """Why a paraphrase does not say what its caption says: sentences, none where it does."""
    problems = [*_mentions.added(caption, paraphrase), *_mentions.lost(caption, paraphrase)]
    if paraphrase.strip().lower() == caption.strip().lower():
        problems.append("it is the caption itself")
    if len(paraphrase) > max(_LONGER * len(caption), len(caption) + 40):
        problems.append(f"it has {len(paraphrase)} characters, its caption {len(caption)}")
    return problems


def _framed(rng: random.Random, sentence: str) -> str:
    """A first sentence that names what plays, with another beginning."""
    found = _FRAMED.fullmatch(sentence)
    if found is None or _VERBS.search(found["it"]):
        return sentence
    text = found["it"][0].lower() + found["it"][1:]
    frames = [frame for frame in _FRAMES if frame.format(it=text).lower() != sentence.lower()]
    return _known.sentence(rng.choice(frames).format(it=text))


def _reordered(rng: random.Random, sentences: list[str]) -> list[str]:
    """Further sentences in another order, where none leans on the one before."""
    if all(_MOVABLE.match(sentence) for sentence in sentences):
        return rng.sample(sentences, len(sentences))
    return sentences


def _exchanged(rng: random.Random, found: re.Match[str]) -> str:
    if rng.random() > _CHANGED or found.lastgroup is None:
        return found[0]
    new = rng.choice(_ALIKE[int(found.lastgroup[1:])][1])
    return _known.sentence(new) if found[0][0].isupper() and found[0] != "BPM" else new


def _article(found: re.Match[str], text: str) -> str:
    """The indefinite article that the next word takes."""
    follows = text[found.end() + 1]
    return f"{found[1]}n" if follows in "aeio" or text[found.end() + 1 :].startswith(("un", "up")) else found[1]


def _tasks(track: Track, rng: random.Random) -> list[_Task]:
    """The captions of a track; a composed one where people wrote none."""
    captions = list(track.captions or ())
    if not captions and len(known := _captions.facts(track)) >= 3:
        captions = [_captions.writing(rng, known)]
    return [_Task(track=track, number=number, caption=" ".join(text.split())) for number, text in enumerate(captions)]


def _questions(rng: random.Random, task: _Task, *, held_out: bool) -> list[tuple[str, str]]:
    """What is asked, by kind."""
    caption = QUESTIONS["caption"].choose(rng, held_out=held_out)
    reword = REQUESTS["reword"].choose(rng, held_out=held_out).replace("{caption}", task.caption)
    return [("caption", caption), ("reword", _known.sentence(reword))]


def _records(task: _Task, text: str, rng: random.Random) -> Iterator[Record]:
    track = task.track
    for kind, question in _questions(rng, task, held_out=track.split == "test"):
        yield Record(
            id=f"paraphrase/{track.id}/{task.number}/{kind}",
            messages=conversation([track], [(question, text)]),
            task="paraphrase",
            template=f"paraphrase/{kind}",
            source=track.source,
            licence=track.licence,
            split=track.split,
            tracks=(track.id,),
            families=(track.family,),
        )
