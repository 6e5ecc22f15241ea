"""Facts about a track as short phrases, and true captions composed of them without a language model.

In: a `Track`, a random generator. Out: phrases and sentences. Says nothing that the track does not. Knows no requests.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from mllm.instruct_data.augment import _known, _tags
from mllm.instruct_data.tracks import Track

_MOST_TAGS = 5
_NOUNS = ("piece", "piece", "track", "recording")


def facts(track: Track) -> dict[str, str]:
    """What is known of a track, by what it is about, each a phrase that can stand in a list."""
    found: dict[str, str] = {}
    if track.style:
        found["style"] = track.style
    if moods := [mood for mood in track.moods or () if _tags.kind(mood) == "quality"]:
        found["mood"] = " and ".join(moods)
    if word := _known.speed(track):
        found["speed"] = {"moderate": "mid-tempo"}.get(word, word)
    if track.tempo_bpm is not None:
        found["tempo"] = f"about {round(track.tempo_bpm)} BPM"
    if track.meter:
        found["meter"] = f"{track.meter} time"
    if track.key:
        found["key"] = track.key
    if track.playing:
        found["instruments"] = _known.listed(track.playing)
    if track.vocals or (track.vocals is False and "choir" not in (track.playing or ())):
        found["voice"] = "with singing" if track.vocals else "no singing"
    if tags := _further_tags(track):
        found["tags"] = _known.bare([_tags.shown(tag) for tag in tags])
    return found


def _further_tags(track: Track) -> list[str]:
    """Tags that say something that no other field does; none that names an instrument, as they may contradict."""
    told = {track.style, *(track.moods or ())}
    tags = _tags.descriptive(track.tags or (), name=track.title or "")
    return [tag for tag in tags if tag not in told and _tags.kind(tag) not in ("feature", "year")][:_MOST_TAGS]


def writing(rng: random.Random, known: Mapping[str, str]) -> str:
    """Two to four sentences with all the facts."""
    sentences = [_first(rng, known)]
    rest = [_instruments(rng, known), _measures(rng, known), _voice(rng, known), _tagged(rng, known)]
    rest = [sentence for sentence in rest if sentence]
    rng.shuffle(rest)
    return " ".join([*sentences, *rest])


def summary(rng: random.Random, known: Mapping[str, str]) -> str:
    """One short sentence with what matters most."""
    text = _noun_phrase(rng, known)
    if "instruments" in known:
        text += f" with {known['instruments']}"
    elif "tags" in known:
        text += f", {known['tags']}"
    elif "tempo" in known:
        text += f" at {known['tempo']}"
    return f"{_known.sentence(text)}."


def retelling(rng: random.Random, known: Mapping[str, str]) -> str:
    """Sentences of everyday English."""
    lead = rng.choice(("Imagine {it}.", "What you would hear is {it}.", "Think of {it}.", "It is {it}, really."))
    sentences = [lead.format(it=_noun_phrase(rng, known))]
    if "instruments" in known:
        pattern = rng.choice(("You get {x}.", "There is work for {x}.", "On it you would find {x}."))
        sentences.append(pattern.format(x=known["instruments"]))
    if "tempo" in known:
        pattern = rng.choice(("Your foot would tap at {x}.", "It goes along at {x}.", "The beat runs at {x}."))
        sentences.append(pattern.format(x=known["tempo"]))
    if "voice" in known:
        sentences.append("Somebody sings." if known["voice"] == "with singing" else "Nobody sings.")
    elif "key" in known:
        sentences.append(f"On a keyboard you would find it in {known['key']}.")
    return " ".join(sentences)


def attributes(rng: random.Random, known: Mapping[str, str]) -> str:
    """Sentences that add facts to others that are known."""
    parts = [
        _plain(rng, known),
        _instruments(rng, known),
        _measures(rng, known),
        _voice(rng, known),
        _tagged(rng, known),
    ]
    return " ".join(part for part in parts if part)


def _first(rng: random.Random, known: Mapping[str, str]) -> str:
    lead = rng.choice(("This is {it}.", "{it}.", "Here is {it}.", "We hear {it}.", "What plays is {it}."))
    return _known.sentence(lead.format(it=_noun_phrase(rng, known)))


def _noun_phrase(rng: random.Random, known: Mapping[str, str]) -> str:
    """A noun with what stands before it: "a slow, calm jazz swing piece"."""
    before = ", ".join(known[name] for name in ("speed", "mood") if name in known)
    words = [part for part in (before, known.get("style", ""), rng.choice(_NOUNS)) if part]
    text = " ".join(words)
    return f"{'an' if text[0].lower() in 'aeiou' else 'a'} {text}"


def _plain(rng: random.Random, known: Mapping[str, str]) -> str:
    """Style, mood and speed as a sentence of their own."""
    if not {"style", "mood", "speed"} & set(known):
        return ""
    return f"It is {_noun_phrase(rng, known)}."


def _instruments(rng: random.Random, known: Mapping[str, str]) -> str:
    if "instruments" not in known:
        return ""
    patterns = (
        "It is played by {x}.",
        "One hears {x}.",
        "You hear {x}.",
        "It is scored for {x}.",
        "It features {x}.",
    )
    return rng.choice(patterns).format(x=known["instruments"])


def _measures(rng: random.Random, known: Mapping[str, str]) -> str:
    """Tempo, meter and key in one sentence."""
    places = [known[name] for name in ("key", "meter") if name in known]
    rng.shuffle(places)
    where = f"in {' and in '.join(places)}" if places else ""
    if "tempo" not in known:
        return f"It is {where}." if where else ""
    tempo = rng.choice(("It moves at {x}", "It is played at {x}", "The tempo is {x}")).format(x=known["tempo"])
    if not where:
        return f"{tempo}."
    return rng.choice((f"{tempo}, {where}.", f"It is {where}, at {known['tempo']}."))


def _voice(rng: random.Random, known: Mapping[str, str]) -> str:
    if "voice" not in known:
        return ""
    sung = ("There is singing.", "Someone sings.", "It is sung.")
    unsung = ("There is no singing.", "Nobody sings.", "It has no singing.")
    return rng.choice(sung if known["voice"] == "with singing" else unsung)


def _tagged(rng: random.Random, known: Mapping[str, str]) -> str:
    if "tags" not in known:
        return ""
    return rng.choice(("Words for it: {x}.", "Listeners would tag it as {x}.", "Tags: {x}.")).format(x=known["tags"])


COMPOSERS = {"writing": writing, "summary": summary, "retelling": retelling, "attributes": attributes}
"""By kind: how a text is composed of facts."""
