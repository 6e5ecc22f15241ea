"""Which tags say something of music, and how they stand in a sentence.

In: tags as listeners give them. Out: those that describe, and phrases with them. A tag of no known kind is quoted, so
that the sentence is right whatever it is. Knows no items and no recordings.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OPINIONS = _words(
    "addictive all amazing artist artists awesome beautiful best brilliant buy check classic collection cool cute "
    "discover "
    "excellent fav fave favorite favorites favourite favourites fun genius gold good great guilty hate heard hot "
    "legend legends like liked listen live love loved lovely loves masterpiece my never nice owned own perfect "
    "pleasure pleasures radio recommended saw seen sex sexy shit sick single song songs spotify to top tracks "
    "underrated want wonderful worst you crazy demo drugs fantastic fucking friends gay hit lol memories not "
    "perfection "
    "cover covers remix"
)
"""Words of tags that tell of a listener, not of music."""
_KEPT = frozenset({"love songs", "top 40", "classic rock", "cool jazz", "hot jazz", "female vocals"})
_LEAST_LETTERS = 2
_MOST_LETTERS = 28
_DECADE = re.compile(r"(?:19|20)?\d0s")
_YEAR = re.compile(r"(?:19|20)\d\d")
_NATIONS = _words(
    "african american argentinian australian austrian belgian brazilian british canadian celtic chilean chinese "
    "colombian cuban danish dutch english finnish french german greek hungarian icelandic indian irish israeli italian "
    "jamaican japanese korean latin mexican norwegian polish portuguese romanian russian scandinavian scottish spanish "
    "swedish swiss turkish ukrainian welsh"
)
_QUALITIES = _words(
    "acoustic aggressive ambient angry atmospheric bittersweet bouncy bright calm catchy cheerful chill chilled "
    "cinematic dark depressing dramatic dreamy eclectic emotional energetic epic ethereal experimental funky "
    "futuristic gentle gothic groovy happy haunting heavy hypnotic instrumental intense intimate introspective jazzy "
    "joyful lush meditative melancholic melancholy mellow melodic minimal minimalistic moody mysterious mystical noisy "
    "nostalgic orchestral passionate peaceful poetic political powerful progressive psychedelic quiet quirky raw "
    "relaxed relaxing retro romantic sad sensual sentimental slow smooth soft somber soothing soulful spiritual "
    "summery symphonic theatrical traditional tribal upbeat uplifting warm weird"
)
_GENRES = _words(
    "8bit alternative americana baroque bebop bluegrass blues bossa breakbeat chanson chillout chiptune classical "
    "country crunk dance dancehall darkwave disco downtempo drone dub dubstep ebm electro electroclash electronic "
    "electronica electropop emo europop eurodance flamenco folk freestyle funk fusion gospel grime grindcore grunge "
    "hardcore hardstyle hiphop house idm indie industrial jazz jungle klezmer krautrock latin lounge metal metalcore "
    "motown mpb ndw noise oldies opera pop powerpop punk ragga rap reggae reggaeton rnb rock rockabilly samba screamo "
    "shoegaze ska soul soundtrack stoner swing synth synthpop britpop hop ballad ballads fi songwriter "
    "indietronica kpop jrock emocore deathcore tango techno trance trap wave worldbeat"
)
"""Words that end the name of a genre."""
_FEATURES = _words(
    "accordion bass beats cello choir drums flute guitar guitars harmonica harmonies harp horns instrumentals keyboard "
    "lyrics orchestra organ percussion piano riffs saxophone singer singers solo solos strings synth synths "
    "synthesizers trumpet violin vocal vocalist vocalists vocals voice voices"
)
"""Last words of tags that name something that can be heard in music."""


def descriptive(tags: Iterable[str], *, name: str = "") -> tuple[str, ...]:
    """The tags that describe music, in lower case, each once: no opinions, no names of what they were given to."""
    lowered = dict.fromkeys(" ".join(tag.lower().replace("_", " ").split()) for tag in tags)
    return tuple(tag for tag in lowered if _describes(tag, name.lower()))


def _describes(tag: str, name: str) -> bool:
    if not _LEAST_LETTERS <= len(tag) <= _MOST_LETTERS or not re.fullmatch(r"[\w '&+/-]+", tag):
        return False
    if tag == name or (len(tag) > 3 and tag in name):
        return False
    return tag in _KEPT or not (_OPINIONS & set(tag.split()) or tag.isdigit())


def kind(tag: str) -> str:
    """What a tag is: "decade", "year", "nation", "quality", "feature", "genre", or "other"."""
    last = tag.split()[-1]
    if _DECADE.fullmatch(tag) or _YEAR.fullmatch(tag):
        return "decade" if _DECADE.fullmatch(tag) else "year"
    if tag in _NATIONS:
        return "nation"
    if tag in _QUALITIES:
        return "quality"
    if last in _FEATURES:
        return "feature"
    return "genre" if last in _GENRES or re.sub(r".*[- ]", "", tag) in _GENRES else "other"


def shown(tag: str) -> str:
    """The tag as it is written within a sentence."""
    return tag.title() if kind(tag) == "nation" else {"rnb": "R&B", "idm": "IDM", "ebm": "EBM"}.get(tag, tag)


def more(rng: random.Random, tag: str) -> str:
    """What someone asks for who wants this tag: "more rock", "something mellow", "something from the 90s"."""
    tag_shown = shown(tag)
    patterns = {
        "decade": ("something from the {tag}", "a {tag} sound"),
        "year": ('something tagged "{tag}"',),
        "nation": ("something {tag}", "{tag} music"),
        "quality": ("something more {tag}", "something {tag}", "a more {tag} mood"),
        "feature": ("something with {tag}", "music with {tag}"),
        "genre": ("more {tag}", "something closer to {tag}", "some {tag}", "something in the way of {tag}"),
        "other": ('something tagged "{tag}"', 'something people call "{tag}"'),
    }[kind(tag)]
    text = rng.choice(patterns).format(tag=tag_shown)
    return re.sub(r"^a (?=[aeiou8])", "an ", text)


def less(rng: random.Random, tag: str) -> str:
    """What someone asks for who does not want this tag: "less rock", "nothing so mellow"."""
    patterns = {
        "decade": ("nothing from the {tag}", "less of the {tag}"),
        "year": ('nothing tagged "{tag}"',),
        "nation": ("nothing {tag}", "something that is not {tag}"),
        "quality": ("something less {tag}", "nothing so {tag}"),
        "feature": ("something without {tag}", "something less about {tag}"),
        "genre": ("less {tag}", "something farther from {tag}"),
        "other": ('nothing tagged "{tag}"', 'less of what people call "{tag}"'),
    }[kind(tag)]
    return rng.choice(patterns).format(tag=shown(tag))


def quoted(tags: Sequence[str]) -> str:
    """Tags in a sentence: "rock", "indie" and "90s"."""
    marked = [f'"{tag}"' for tag in tags]
    return marked[0] if len(marked) == 1 else f"{', '.join(marked[:-1])} and {marked[-1]}"
