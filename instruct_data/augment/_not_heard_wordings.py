"""Wordings of questions that take for granted that something is there, in the notation of `phrases`.

In: nothing. Out: `WORDINGS[intent]`, `LEADS` and `UNKNOWABLE[what]`. Fields: `{name}` an instrument or a sound,
`{does}` and `{is}` verbs that agree with it (`_known.words`), `{section}` a part of the form. Knows no answers.
"""

from __future__ import annotations

from mllm.instruct_data.phrases import Phrasings

WORDINGS: dict[str, Phrasings] = {
    "enters": Phrasings(
        train=(
            "[When|At what time|At what moment|At which second] {does} the {name} [first |][come in|enter|start|begin|"
            "join in|set in]?",
            "<know> [when|at what time|at which second] the {name} [{is} first heard|can first be heard|first "
            "{plays}]?",
            "[From when on|From what time on|From which second on] [do I hear|can one hear|do you hear] the {name}?",
            "[How long|How many seconds] [does it take|do I have to wait|must I wait] [until|before] the {name} "
            "[{enters}|{is} heard|can be heard]?",
            "[Give|Tell|Show] me the [time|moment|second] at which the {name} [{enters}|{is} first heard].",
            "[After how many seconds|How far into <it>] {does} the {name} [start|come in|enter]?",
        ),
        held_out=(
            "I keep waiting for the {name}: when will that happen?",
            "Where on the timeline should I put the marker for the arrival of the {name}?",
            "What does the clock say at the first sound of the {name}?",
            "Please note down the entrance of the {name}, in seconds.",
            "For how long is one without the {name} at the start?",
            "Skip ahead to the {name}: which second would that be?",
            "The {name} must come at some point. Which one?",
            "When {does} the {name} make an entrance?",
        ),
    ),
    "stops": Phrasings(
        train=(
            "[When|At what time|At which second] {does} the {name} [stop|end|finish|fall silent|drop out for good]?",
            "[When|At what time] {is} the {name} [last heard|heard for the last time]?",
            "<know> [when|at what time] the {name} {is} heard for the last time?",
            "[Until when|Until which second|How long into <it>] [do I hear|can one hear|do you hear] the {name}?",
            "[Give|Tell|Show] me the [time|moment|second] at which the {name} {is} last heard.",
            "[After how many seconds|At what point] {is} the {name} [over|done|gone for good]?",
        ),
        held_out=(
            "Where would you cut if only the part up to the very last of the {name} should stay?",
            "When have we heard everything of the {name} that there is to hear?",
            "What does the clock say at the final sound of the {name}?",
            "Mark the farewell of the {name}, in seconds.",
            "From which second on will the {name} not return?",
            "When {does} the {name} bow out?",
            "Which second brings the last of the {name}?",
            "The {name} must cease at some point. Which one?",
        ),
    ),
    "entries": Phrasings(
        train=(
            "[How many times|How often] {does} the {name} [come in|enter|set in|start to play|start]<place>?",
            "[In how many stretches|In how many passages] {does} the {name} [play|sound]<place>?",
            "[Count the|Tell me the number of|Give me the number of] [entries|entrances] of the {name}.",
            "<know> [how many times|how often] the {name} {enters}<place>?",
            "[How many|What number of] [entries|entrances] {does} the {name} [have|make]<place>?",
        ),
        held_out=(
            "If I drew each unbroken stretch of the {name} as a bar, how many bars would I draw?",
            "How many separate appearances {does} the {name} put in?",
            "Tally the times that the {name} {enters} after a silence.",
            "Once, twice, more: how often {does} the {name} begin?",
            "The {name}: how many separate turns in all?",
            "Into how many pieces do the rests cut the {name}?",
            "What is the count of appearances for the {name}?",
            "Number of times the {name} {enters}, please?",
        ),
    ),
    "lasting": Phrasings(
        train=(
            "[How long|For how long|For how many seconds] {does} the {name} [play|sound] [in all|in "
            "total|altogether]<place>?",
            "<know> [how long|for how long|for how many seconds] the {name} {plays} [in all|in total|altogether]?",
            "How many seconds of [the <noun>|this <noun>] [have the {name} in them|are with the {name}]?",
            "[Give|Tell] me the total [time|duration|length] of the {name}<place>.",
            "What is the [total|whole|overall] [time|duration|playing time] of the {name}<place>?",
        ),
        held_out=(
            "Add up everything from the {name}: how many seconds is that?",
            "If all silences of the {name} were cut away, how many seconds would be left of that track?",
            "How much time do we spend in the company of the {name}?",
            "Sum of the seconds with the {name}?",
            "Pay by the second for the {name}: how many do I owe?",
            "How many seconds altogether go to the {name}?",
            "Total up the {name} for me, in seconds.",
            "Over what part of the running time, in seconds, {does} the {name} sound?",
        ),
    ),
    "section_begin": Phrasings(
        train=(
            "[When|At what time|At which second] does the {section} [begin|start|come|arrive|set in]?",
            "<know> [when|at what time|at which second] the {section} [begins|starts|comes]?",
            "[Where|At what point] [is|does one find|do I find] the {section}?",
            "[Give|Tell|Show] me the [time|moment|second] at which the {section} [begins|starts].",
            "[How long|How many seconds] [does it take|do I have to wait] [until|before] the {section}?",
        ),
        held_out=(
            "I want to jump straight to the {section}. Which second?",
            "The {section}: starting when?",
            "Put a marker where the {section} opens; what time does it show?",
            "What does the clock say as the {section} gets under way?",
            "How far in is the {section}?",
            "Which second brings the {section}?",
            "When are we first in the {section}?",
            "For an edit I need the start of the {section} in seconds.",
        ),
    ),
    "section_length": Phrasings(
        train=(
            "How long is the [first |]{section}?",
            "[How long|For how many seconds] does the [first |]{section} [last|go on|take]?",
            "What is the [length|duration] of the [first |]{section}?",
            "<know> how long the [first |]{section} [is|lasts|takes]?",
            "[Give|Tell] me the [length|duration] of the [first |]{section}.",
            "How many seconds does the [first |]{section} [last|have|take]?",
        ),
        held_out=(
            "Measure the {section} for me, the first if there are several.",
            "The opening {section}: how many seconds from start to end?",
            "How much time is given to the {section} when it first comes round?",
            "I need the running time of the {section}.",
            "From its first note to its last, how long is the {section} the first time?",
            "Would you clock the {section}?",
            "How big is the {section} in seconds, the first time round?",
            "Duration of the {section}, please?",
        ),
    ),
    "key_change": Phrasings(
        train=(
            "[When|At what time|At which second] does the key change?",
            "[When|At what time|Where] does [it|the <noun>|this <noun>|the music] [modulate|change key|go to another "
            "key]?",
            "[To|Into] [which|what] key does [it|the <noun>|this <noun>] [modulate|change|move]?",
            "<know> [when|at what time|at which second] the key changes?",
            "[Give|Tell|Show] me the [time|moment|second] of the [first |][key change|change of key|modulation].",
            "What is the [new key|key after the change|second key]<of_it>?",
            "[Which|What] key [follows|comes after] the [first|opening] [key|one]<of_it>?",
        ),
        held_out=(
            "Where is the modulation, and where does it lead?",
            "I hear it shift to another tonality: which one, and when?",
            "Mark the spot at which a new key takes over.",
            "After the key switch, where are we?",
            "Which second brings the new tonic?",
            "What key does the lift take us to?",
            "When must a singer think of another tonic?",
            "The move to a different key: when, and to which?",
        ),
    ),
    "tempo_change": Phrasings(
        train=(
            "[When|At what time|At which second] does the tempo change?",
            "[When|At what time|Where] does [it|the <noun>|this <noun>|the music] [change its tempo|change speed|go "
            "to another "
            "tempo]?",
            "<know> [when|at what time|at which second] the [tempo|speed] changes?",
            "[Give|Tell|Show] me the [time|moment|second] of the [first |][tempo change|change of tempo|change of "
            "speed].",
            "[After how many seconds|At what point] is the [opening|first] [tempo|speed] left?",
            "How long is the [opening|first] tempo kept before [it changes|the change|another one follows]?",
        ),
        held_out=(
            "Where do they alter the pace?",
            "Mark the spot at which the beat stops being as fast as it was.",
            "Which second brings the other speed?",
            "When would a metronome that was set at the start run out of step?",
            "The players leave their first tempo: when?",
            "At what moment should a conductor show a different pulse?",
            "Find me the change of pace, in seconds.",
            "How far in does the speed turn into another one?",
        ),
    ),
}
"""Questions by intent."""

LEADS = Phrasings(
    train=(
        "[I love|I like|I enjoy|What a fine thing is|I am listening to|I cannot get enough of] the {name}<place>.",
        "[The {name}|That {name}] [caught my ear|made me curious].",
        "[Because of|About|Speaking of] the {name}<place>:",
        "[My teacher|A friend] [praised|pointed out|told me about] the {name}<place>.",
        "[Listen to|Notice|Hear] the {name}<place>[!|.]",
    ),
    held_out=(
        "The {name} gave me goosebumps.",
        "Wow, the {name}!",
        "I came for the {name}.",
        "Never mind the rest, it is all about the {name}.",
        "I was moved by how the {name} blended in.",
        "The {name} won me over, so:",
        "We were just discussing the {name} of this recording.",
        "A listener asks, enchanted by the {name}:",
    ),
)
"""Sentences that take an instrument for granted and are followed by a question."""

UNKNOWABLE: dict[str, Phrasings] = {
    "the artist": Phrasings(
        train=(
            "Who [plays|is playing|played] the {name}<place>?",
            "<know> who [plays|is playing|played] the {name}?",
            "[Name|Tell me the name of|Identify] [the person|the musician|whoever is] [playing|behind] the {name}.",
            "[Whose {name} is this|Whose is the {name}|By whom {is} the {name} played]?",
            "[Which|What] [musician|player|artist|performer] [plays|is on|recorded] the {name}<place>?",
        ),
        held_out=(
            "Whom should the sleeve notes credit with the {name}?",
            "Is it somebody famous at the {name}?",
            "Put a name to the sound of the {name}, please.",
            "To whom do I send my compliments for the {name}?",
            "Which hands or lungs are behind the {name}?",
            "The {name}: played by?",
            "Who sat in the studio for the {name}?",
            "Who gets paid for the {name}?",
        ),
    ),
    "the composer": Phrasings(
        train=(
            "Who [wrote|composed|arranged] [the part of the {name}|what the {name} {plays}|the music of the {name}]?",
            "<know> who [wrote|composed] [the part of|the notes for] the {name}?",
            "[Which|What] composer [wrote|thought of] [the part of the {name}|what the {name} {plays}]?",
            "[Name|Tell me|Give me] the [composer|author|writer] of the part of the {name}.",
        ),
        held_out=(
            "Whose pen did the lines of the {name} come from?",
            "Which author put notes in front of the {name}?",
            "Who invented what we hear from the {name}?",
            "The material of the {name}: by which composer?",
            "Who gets the royalties for writing the {name} lines?",
            "Who had the idea behind the phrases of the {name}?",
            "Where credit is due for composing: who made up the part of the {name}?",
            "Who thought up the notes of the {name}?",
        ),
    ),
    "the year": Phrasings(
        train=(
            "[When|In what year|In which year] did they record the {name}?",
            "<know> [when|in which year] they recorded the {name}?",
            "[In which|In what] [year|decade] was the part of the {name} [recorded|taped|played in]?",
            "[How old|How many years old] is the recording of the {name}?",
        ),
        held_out=(
            "What date is on the tape with the {name}?",
            "Which year did the session with the {name} take place?",
            "How long ago did they capture the {name}?",
            "Was the {name} put on tape before or after the year 2000?",
            "The session for the {name}: which year?",
            "When did the microphones pick up the {name}?",
            "On what day was the {name} laid down?",
            "Date the take of the {name}.",
        ),
    ),
    "that": Phrasings(
        train=(
            "[Which|What] [brand|make|model] {is} the {name}[| they used| in question]?",
            "[How much|What] did the {name} cost?",
            "How [old|expensive|heavy] {is} the {name} [that they used|in question|of the player]?",
            "<know> [which brand|which make|what model] the {name} {is}?",
            "[What colour|Which colour|What color] {is} the {name}?",
            "[In which shop|Where|For how much] did they buy the {name}?",
        ),
        held_out=(
            "Which workshop built the {name}?",
            "Name the manufacturer behind the {name}.",
            "What would I pay for the {name} second-hand?",
            "How many owners has the {name} had?",
            "Is the {name} of this recording for sale?",
            "Which serial number {does} the {name} carry?",
            "Was the {name} rented or owned?",
            "What logo would I see on the {name}?",
        ),
    ),
}
"""Questions about an instrument that no recording answers, by the words of the answer (`wordings.CANNOT_TELL`)."""
