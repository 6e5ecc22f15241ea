"""Phrasings of questions and answers, each list split into those used in training and those kept for the gate.

In: nothing. Out: `QUESTIONS[intent]` with two disjoint tuples, answer and statement patterns. Knows no facts: `{x}`
fields are filled by `dialogue` and `statements`.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phrasings:
    """Ways of asking one thing."""

    train: tuple[str, ...]
    """Used in training."""
    held_out: tuple[str, ...]
    """Used only to test that the backbone understands wordings it was never shown."""


QUESTIONS: dict[str, Phrasings] = {
    "tempo": Phrasings(
        train=(
            "What is the tempo?",
            "What's the tempo of this?",
            "How many beats per minute is it?",
            "How fast is it in BPM?",
            "What BPM is this?",
            "Give the tempo in beats per minute.",
            "Tell me the tempo.",
            "At what tempo is it played?",
            "What is the BPM of this piece?",
            "Which tempo does the music have?",
            "How quick is the beat, in BPM?",
            "Name the tempo of the recording.",
            "What tempo do you hear?",
            "What speed in beats per minute does this song have?",
            "Estimate the tempo.",
            "bpm?",
            "tempo please",
            "I need the BPM of this track.",
            "Could you work out the tempo of this track?",
            "How many BPM does the piece run at?",
            "What would a metronome show for this?",
            "What is the speed of the beat?",
            "Find the beats per minute.",
            "Do you know the tempo of the song?",
        ),
        held_out=(
            "What tempo is the piece played at?",
            "Could you give me the BPM, please?",
            "How many beats are there per minute?",
            "Please state the tempo of this recording in BPM.",
            "What tempo should I set my metronome to?",
            "Can you estimate the beats per minute of this song?",
        ),
    ),
    "key": Phrasings(
        train=(
            "What is the key?",
            "What key is this in?",
            "In which key is the piece?",
            "Which key is it in?",
            "Tell me the key.",
            "Name the key of the music.",
            "What's the musical key of this song?",
            "What is the tonic and the mode?",
            "Which key do you hear?",
            "Give the key of this recording.",
            "Find the key.",
            "key?",
            "Could you work out the key of this track?",
            "What is the tonality of the piece?",
            "In what key was this written?",
            "Which major or minor key is this?",
            "I want to play along: what key is it in?",
            "What key would you say this is in?",
            "Please name the key.",
            "Estimate the key of this piece.",
            "What is the home key?",
            "Do you know which key the song is in?",
        ),
        held_out=(
            "What key is the recording in?",
            "Can you tell me the key of this piece?",
            "Which key is this song played in?",
            "Please give me the musical key.",
            "What is the key of the track?",
            "In which major or minor key is the music?",
        ),
    ),
    "mode": Phrasings(
        train=(
            "Is it major or minor?",
            "Is the piece in a major or a minor key?",
            "Is this in major or in minor?",
            "Which mode is it, major or minor?",
            "What mode is the music in?",
            "Does it sound major or minor?",
            "Tell me whether the key is major or minor.",
            "Major or minor?",
            "Is the mode major, or minor?",
            "Would you call the key minor or major?",
        ),
        held_out=(
            "Is the recording in a major key or a minor key?",
            "Is the music major or minor?",
            "Tell me the mode: major or minor?",
            "Is this song in minor or major?",
        ),
    ),
    "meter": Phrasings(
        train=(
            "What is the meter?",
            "What is the time signature?",
            "Which time signature does it have?",
            "In what meter is the piece?",
            "What meter is this in?",
            "Tell me the time signature.",
            "Name the meter.",
            "Give the time signature of the music.",
            "How is the time signature written?",
            "What's the metre of this piece?",
            "time signature?",
            "Which meter do you hear?",
            "How many beats are in a bar?",
            "What is the time signature of this song?",
            "Find the meter of this track.",
            "Do you know the time signature?",
        ),
        held_out=(
            "What time signature is this in?",
            "Can you tell me the meter of the piece?",
            "Please give the time signature of the recording.",
            "Which meter does the music have?",
            "What is the metre?",
        ),
    ),
    "instruments": Phrasings(
        train=(
            "Which instruments are playing?",
            "What instruments do you hear?",
            "List the instruments.",
            "What instruments are used?",
            "Which instruments can be heard?",
            "Name the instruments in this recording.",
            "What is playing here?",
            "Tell me the instruments.",
            "Give me the instrumentation.",
            "What is the instrumentation of this piece?",
            "What do you hear in terms of instruments?",
            "Who plays? Name the instruments.",
            "instruments?",
            "Which instruments make up this track?",
            "What instruments does the song have?",
            "Identify the instruments.",
            "Could you list all the instruments?",
            "Which instruments are in the arrangement?",
            "What are the instruments in this music?",
        ),
        held_out=(
            "Can you name the instruments that are playing?",
            "What instruments are in this piece?",
            "Please list the instruments you hear.",
            "Which instruments does the recording contain?",
            "What instruments can you hear in the song?",
        ),
    ),
    "has": Phrasings(
        train=(
            "Is there {a_name}?",
            "Is there {a_name} in it?",
            "Do you hear {a_name}?",
            "Can you hear {a_name}?",
            "Does it have {a_name}?",
            "Is {a_name} playing?",
            "Can {a_name} be heard?",
            "Is {name} used in this recording?",
            "Does {a_name} play here?",
            "Is {name} among the instruments?",
            "Is it true that {a_name} is playing?",
            "Does this track contain {name}?",
            "Is {name} part of the arrangement?",
            "Does the music feature {a_name}?",
            "Would you say there is {a_name} here?",
            "{name}?",
            "Any {name} in this?",
            "Is {a_name} present?",
            "There is {a_name}, right?",
            "I think I hear {a_name}. Is that right?",
        ),
        held_out=(
            "Is there {a_name} in this recording?",
            "Can you hear {a_name} in the music?",
            "Does the piece include {a_name}?",
            "Is {name} one of the instruments?",
            "Do you hear {a_name} in this song?",
            "Is it true that there is {a_name} in it?",
        ),
    ),
    "lacks": Phrasings(
        train=(
            "Is there no {name}?",
            "Is there no {name} in it?",
            "Is it true that there is no {name}?",
            "Is it true that no {name} is playing?",
            "Is {name} absent?",
            "Is {name} missing?",
            "Is it without {name}?",
            "Is the recording free of {name}?",
            "Does it lack {name}?",
            "Is it correct that {name} is not playing?",
            "Is it right that you do not hear {name}?",
            "There is no {name}, right?",
            "Is no {name} heard here?",
            "Would you agree that there is no {name}?",
            "I think there is no {name}. Is that right?",
            "Is it the case that {name} does not play?",
            "So no {name} at all?",
            "Does the track do without {name}?",
        ),
        held_out=(
            "Is there no {name} in this recording?",
            "Is it true that {name} is not playing?",
            "Is the piece without {name}?",
            "Is it correct that there is no {name} in the music?",
            "Is {name} absent from this song?",
            "Does the music lack {name}?",
        ),
    ),
    "speed": Phrasings(
        train=(
            "Is it fast or slow?",
            "Is the music slow, moderate or fast?",
            "How fast does it feel?",
            "Is this a slow piece or a fast one?",
            "Would you call the tempo slow or fast?",
            "Does it feel slow or quick?",
            "Is the pace slow, medium or fast?",
        ),
        held_out=(
            "Is this piece slow or fast?",
            "Would you call it slow, moderate or fast?",
            "Is the recording fast or slow?",
        ),
    ),
    "is_key": Phrasings(
        train=(
            "Is it in {key}?",
            "Is the key {key}?",
            "Is this piece in {key}?",
            "Would you say it is in {key}?",
            "Is {key} the key?",
            "Is it true that the key is {key}?",
            "I think it is in {key}. Is that right?",
        ),
        held_out=("Is the recording in {key}?", "Is the key of this song {key}?", "Is it true that it is in {key}?"),
    ),
    "is_mode": Phrasings(
        train=(
            "Is it in a {mode} key?",
            "Is the key {mode}?",
            "Is it {mode}?",
            "Is this piece in {mode}?",
            "Does it have a {mode} key?",
            "Is it true that the mode is {mode}?",
        ),
        held_out=("Is the music in a {mode} key?", "Is this song {mode}?", "Is it true that the key is {mode}?"),
    ),
    "key_and_tempo": Phrasings(
        train=(
            "What are the key and the tempo?",
            "Give me key and tempo.",
            "In which key is it and how fast?",
            "Tell me the key and the BPM.",
            "key and bpm?",
        ),
        held_out=("What key is it in, and what is the tempo?", "Please give the key and the tempo."),
    ),
    "caption": Phrasings(
        train=(
            "Describe the music.",
            "Describe this recording.",
            "Write a caption for this music.",
            "What does it sound like?",
            "Caption this.",
            "Tell me about this piece.",
            "Give a short description.",
            "What is this music like?",
            "Summarise what you hear.",
            "Describe what you hear.",
            "Write one or two sentences about this track.",
            "How would you describe this song?",
        ),
        held_out=("Please describe this music.", "Give me a caption for the recording.", "What do you hear?"),
    ),
    "tags": Phrasings(
        train=("Give tags for this music.", "Tag this recording.", "List tags.", "Which tags fit?"),
        held_out=("Give me tags for this recording.",),
    ),
    "json": Phrasings(
        train=(
            "Describe this recording as JSON.",
            "Give the facts as JSON.",
            "Answer in JSON: what do you hear?",
            "Return a JSON object with the facts.",
        ),
        held_out=("Describe the music as a JSON object.",),
    ),
}
"""Questions by intent. Fields: `{name}` an instrument, `{a_name}` the same with its article, `{key}`, `{mode}`."""

CANNOT_TELL: dict[str, Phrasings] = {
    "the lyrics": Phrasings(
        train=(
            "What are the lyrics?",
            "What is the singer singing about?",
            "Write down the words of the song.",
            "What do the lyrics say?",
            "Transcribe the lyrics.",
        ),
        held_out=("Can you tell me the lyrics?", "What words are sung?"),
    ),
    "the artist": Phrasings(
        train=(
            "Who is the artist?",
            "Who is singing?",
            "Which band is this?",
            "Who plays this song?",
            "Who recorded this?",
            "Name the performer.",
            "What is the name of the singer?",
        ),
        held_out=("Who performs this?", "What is the artist called?", "Which band plays this?"),
    ),
    "the title": Phrasings(
        train=("What is the title?", "What is this song called?", "Name this tune.", "Which song is this?"),
        held_out=("What is the name of this piece?", "What is the song's title?"),
    ),
    "the composer": Phrasings(
        train=("Who composed this?", "Who wrote this music?", "Who is the composer?"),
        held_out=("Which composer wrote this piece?",),
    ),
    "the year": Phrasings(
        train=(
            "When was this recorded?",
            "From which year is this?",
            "How old is this recording?",
            "What year is it from?",
        ),
        held_out=("In which year was this made?", "When was the song released?"),
    ),
    "the album": Phrasings(
        train=("Which album is this from?", "On what album is it?", "What label released this?"),
        held_out=("What album does this song belong to?",),
    ),
    "the language": Phrasings(
        train=("In which language is it sung?", "What language are the words?"),
        held_out=("What language is the singing in?",),
    ),
    "the genre": Phrasings(
        train=(
            "What genre is this?",
            "Which style of music is it?",
            "Is this rock or jazz?",
            "What kind of music is this?",
            "Name the genre.",
        ),
        held_out=("What is the genre of this piece?", "Which genre is it?"),
    ),
    "the mood": Phrasings(
        train=("What is the mood?", "Is it happy or sad?", "Which mood does it have?", "What feeling does it give?"),
        held_out=("What mood is the music in?", "How does the music feel emotionally?"),
    ),
    "who sings": Phrasings(
        train=("Is there a singer?", "Does somebody sing?", "Is the voice male or female?", "Are there vocals?"),
        held_out=("Is anyone singing?", "Do you hear vocals?"),
    ),
    "the place": Phrasings(
        train=("Where was it recorded?", "Which country is this from?", "In which studio was this made?"),
        held_out=("What country does this music come from?",),
    ),
}
"""What sound alone, to this model, does not tell; by the words used in the answer."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "piano": ("piano", "piano", "grand piano", "electric piano"),
    "harpsichord": ("harpsichord", "harpsichord", "clavinet"),
    "organ": ("organ", "organ", "church organ", "pipe organ"),
    "accordion": ("accordion", "accordion", "harmonica"),
    "acoustic guitar": ("acoustic guitar", "acoustic guitar", "nylon guitar"),
    "electric guitar": ("electric guitar", "electric guitar", "distorted guitar"),
    "bass": ("bass", "bass", "bass guitar"),
    "strings": ("strings", "strings", "violin", "cello", "viola", "fiddle", "violins"),
    "harp": ("harp",),
    "choir": ("choir", "choir", "chorus of voices"),
    "brass": ("brass", "brass", "trumpet", "trombone", "horn", "tuba"),
    "saxophone": ("saxophone", "saxophone", "sax"),
    "woodwind": ("woodwind", "clarinet", "oboe", "bassoon"),
    "flute": ("flute", "flute", "piccolo", "recorder", "whistle"),
    "mallets": ("mallets", "xylophone", "glockenspiel", "vibraphone", "marimba", "bells"),
    "synthesizer": ("synthesizer", "synthesizer", "synth"),
    "drums": ("drums", "drums", "drum kit", "percussion", "drum"),
}
"""What people call each instrument of the vocabulary; the first is the vocabulary word."""

PLURAL: frozenset[str] = frozenset(
    {"strings", "drums", "mallets", "bells", "violins", "brass", "percussion", "woodwind"}
)
"""Names that take no article."""


def with_article(name: str) -> str:
    """The name with its indefinite article: "a piano", "an organ", "drums"."""
    if name in PLURAL:
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
