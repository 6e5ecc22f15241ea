"""Ten ways of asking one thing, for four things; none of them is among the wordings of training.

In: nothing. Out: `WORDINGS[fact]`. Fields: `{name}` an instrument, `{a_name}` the same with its article, `{is}` and
`{does}` verbs that agree with it. They differ in who speaks, in register and in construction, and mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping

WORDINGS: Mapping[str, tuple[str, ...]] = {
    "tempo": (
        "Imagine a drummer counting this in: at how many beats per minute would the count be?",
        "I am tapping my foot along. How many taps a minute does that make, one for each beat?",
        "Which figure belongs behind the little quarter-note-equals sign at the top of the score, in BPM?",
        "My DJ software asks for the beats per minute of this file. What do I type?",
        "yo how many bpm we talking here",
        "To line up a click track with the music, I would dial in which BPM?",
        "A conductor lost the metronome marking of this one. Restore it, please, as beats per minute.",
        "Express the pace of the music as a number of beats each minute.",
        "Were I to run in step with the beat, what would my steps per minute be?",
        "Fill in the blank: the pulse ticks along at ___ beats per minute.",
    ),
    "key": (
        "A pianist wants to improvise over this and asks you for the key. What do you answer?",
        "Around which tonic does the music revolve, and is the mode major or minor?",
        "Complete the caption: 'Prelude in ___', naming the key that is heard here.",
        "If you had to label the harmony with one tonal centre plus major or minor, what would the label read?",
        "yo whats the key on this one, major or minor too",
        "My harmonica player needs to know the key before the session. What shall I write?",
        "Transcribing this, which key would you note down at the head of the first staff, with its mode?",
        "The tune comes home to one note and one scale. Spell out that home key for me.",
        "A singer asks how it would be listed in a fake book: under which key?",
        "Hum the home note in your mind, judge whether the third is large or small, and report the key.",
    ),
    "meter": (
        "How would you fill in the two stacked numbers after the clef?",
        "A conductor wonders which beating pattern to use. Under which time signature is this written?",
        "Counting along from one strong beat to the next, which time signature do you arrive at?",
        "yo if u had to clap it, which time sig would that be",
        "Before we sight-read it, I should write the meter on the board. What goes there?",
        "Into which kind of measure, written as a fraction, do the beats fall?",
        "My notation program wants a time signature before I may enter this tune. What do I choose?",
        "Say how the bars are built, as one number over another.",
        "A dance teacher asks in what time the music goes. Reply with the time signature.",
        "Fill in the blank: a bar of this music would be notated in ___ time.",
    ),
    "presence": (
        "Suppose I had to pay the musicians: would anybody send me a bill for {a_name}?",
        "Listening from start to end, does your ear meet {a_name}?",
        "I collect recordings with {a_name}. Does this one belong in my collection?",
        "yo is that {a_name} on there or nah",
        "Would a stage plan for this show a place for {a_name}?",
        "Somebody swears that {a_name} can be made out. Should I believe it?",
        "If the credits were complete, would they mention {a_name}?",
        "Tick the box if it applies, yes or no: {name}.",
        "Does the sound of {a_name} reach you at any moment of the recording?",
        "Picture everybody who took part: has anyone come with {a_name}?",
    ),
}
"""By what is asked for."""
