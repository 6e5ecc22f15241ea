"""Wordings of questions with a negation, in the notation of `phrases`.

In: nothing. Out: `WORDINGS[intent]`. Fields: `{name}` an instrument, `{a_name}` the same with its article, `{is}` and
the like verbs that agree with it (`_known.words`), `{some}` "a piano" or "no piano", `{names}` several instruments,
`{first}` and `{second}` two. Knows no answers.
"""

from __future__ import annotations

from mllm.instruct_data.phrases import Phrasings

_LACKING = (
    "[there {is} no {name}<place>|no {name} {plays}<place>|no {name} {is} [used|heard|played]<place>|<it> has no "
    "{name}|<it> [does without|gets along without|is without|lacks|leaves out|makes no use of] {a_name}|nobody plays "
    "{a_name}<place>|[you|we|listeners] [cannot|do not|never] hear {a_name}<place>|the "
    "[band|arrangement|line-up|ensemble] "
    "[has no {name}|is without {a_name}|includes no {name}|does without {a_name}]]"
)
"""Clauses that say that an instrument does not play."""


def _about_lacking(*patterns: str) -> tuple[str, ...]:
    """Patterns with such a clause in the place of each `<<>>`."""
    return tuple(pattern.replace("<<>>", _LACKING) for pattern in patterns)


WORDINGS: dict[str, Phrasings] = {
    "lacks": Phrasings(
        train=_about_lacking(
            "Is it <true> that <<>>?",
            "[Am I right|Is it fair to say|Would you agree|Can you confirm|Do you agree] that <<>>?",
            "<<>>[, right?|, correct?|: true or false?|. True?|. Is that so?|: yes or no?]",
            "[My friend|A colleague|The label|Someone|A review] [says|claims|insists] that <<>>. [Is that|Is this] "
            "[right|true|correct|so]?",
            "[Tell me|Say|Check|I wonder|Let me know] <if> <<>>.",
            "{is} {name} [missing from|absent from|left out of] [the <noun>|this <noun>|this]?",
            "Does [this|the <noun>|this <noun>] [do|manage|get by] without {a_name}?",
            "[Was|Is] [this|the <noun>|this <noun>] [made|played|recorded|performed] without {a_name}?",
            "No {name}<place>[?|, right?|, is that so?|, yes or no?]",
            "[Could|Can] [I|you|one] [call|describe] [this|the <noun>] as having no {name}?",
        ),
        held_out=(
            "Would you back me up if I wrote that {name} {does} not feature on this recording?",
            "Is the absence of {name} something you would vouch for?",
            "I am after music that keeps {name} out. Does this qualify?",
            "Zero {name} here: is that how it is?",
            "Did the arranger decide against {name}?",
            "Suppose someone dislikes {name}: would they be spared here?",
            "Is this a {name}-free zone?",
            "After listening closely, would you rule out {name}?",
            "no {name} at all, yes or no?",
            "Can we cross {name} off the list of what plays?",
        ),
    ),
    "double": Phrasings(
        train=_about_lacking(
            "Is it [false|wrong|untrue|incorrect|inaccurate|a mistake to say|wrong to say|not so|an error to claim] "
            "that "
            "<<>>?",
            "Would it be [false|wrong|a mistake|untrue|incorrect|misleading] to [say|claim|write|state] that <<>>?",
            "True or false: it is not [true|the case|so|correct] that <<>>.",
            'Is the [sentence|statement|claim|remark] "<<>>" [false|wrong|untrue|incorrect]?',
            "[A review|My neighbour|The booklet|Someone] says that <<>>. Is [that|this] [wrong|false|untrue|a "
            "mistake]?",
            "[This|The <noun>|This <noun>] does not [do|manage|get by] without {a_name}[: true or false?|, "
            "correct?|. Is that right?]",
            "Is it [wrong|untrue|false] that {name} {is} [missing|absent|left out|not heard|not used]?",
            "It is not so that {name} {is} [missing|absent|left out]<place>[: true or false?|. Is this correct?|. "
            "Right?]",
        ),
        held_out=(
            "If a critic wrote that no {name} {is} to be found anywhere here, would the critic be mistaken?",
            "Should I correct the note in my catalogue that says 'without {name}'?",
            "Would 'no {name}' be an untruthful label for this recording?",
            "Does it contradict what you hear to say that nobody uses {a_name}?",
            'Someone tagged this "no {name}". Did they get it wrong?',
            "Do you reject the claim that {name} {is} lacking here?",
            "Would I be lying if I said that this gets by without {name}?",
            "Fact check: it is untrue that they have no {name} there. Yes or no?",
            "Is 'has no {name}' a false description of what is playing?",
        ),
    ),
    "pair": Phrasings(
        train=(
            "[Is it <true> that|Would you say that|Do you agree that|Can you confirm that|Is it your impression that] "
            "there {is} {some}<place>?",
            "[Does|Did] the [arrangement|line-up|band|ensemble|mix|instrumentation] [have|include|contain|feature] "
            "{some}?",
            "[This|The <noun>|This <noun>] [has|contains|features|includes|uses] {some}[, right?|: true or false?|, "
            "correct?"
            "|. Is that so?|: yes or no?]",
            "True or false: [I|you|we|listeners] hear {some}<place>.",
            "[Tell me|Check|Say|Let me know] <if> there {is} {some}<place>.",
            "[My friend|A review|The sleeve] says there {is} {some}<place>. [Is that|Is this] [right|true|correct]?",
            "Is this [a <noun>|music|a recording] with {some}?",
            "[Is|Was] this [played|performed|arranged|scored] with {some}?",
        ),
        held_out=(
            "Would a playlist of music with {some} be the place for this?",
            "Is 'with {some}' a true description?",
            "I noted '{some}' for this one. Did I note it correctly?",
            "Does a listener find {some} in these sounds?",
            "So what we have here comes with {some}, yes?",
            "Please verify: with {some}.",
            "Would the credits honestly list {some}?",
            "{some} on this one, true?",
        ),
    ),
    "neither": Phrasings(
        train=(
            "[Is it <true> that|Would you say that|Do you agree that|Can you confirm that] [neither {a_first} nor "
            "{a_second} "
            "can be heard|there is neither {a_first} nor {a_second}|one hears neither {a_first} nor "
            "{a_second}|nobody plays "
            "{a_first} or {a_second}|{first} and {second} are both missing]<place>?",
            "Does [the <noun>|this <noun>|this|it] [have|use|contain|include|feature] neither {a_first} nor "
            "{a_second}?",
            "Neither {a_first} nor {a_second}<place>[: true or false?|, right?|, correct?|. Is that so?|?]",
            "[Are|Were] {first} and {second} both [absent|missing|left out|silent][ here||<place>]?",
            "[Is|Was] [this|this <noun>|the <noun>] [played|made|done|recorded] without {a_first} and without "
            "{a_second}?",
            "[Tell me|Check|Say|Let me know] <if> there is neither {a_first} nor {a_second}<place>.",
            "[My friend|A review|Someone] hears neither {a_first} nor {a_second}<place>. [Right|Is that right|Is "
            "that true]?",
            "No {first} and no {second}<place>[, right?|: true?|?|, is that so?]",
        ),
        held_out=(
            "Can {first} and {second} both be ruled out here?",
            "Would you search in vain for {a_first} as well as for {a_second}?",
            "I want to avoid {first} and {second} alike. Does this one avoid the two?",
            "Not {a_first}, not {a_second} either: is that how it is?",
            "Do the players leave {first} and {second} at home?",
            "Are there zero traces of both {first} and {second}?",
            "Is it correct to write 'no {first}, no {second}' on the sleeve?",
            "Nothing from {a_first} and nothing from {a_second}, yes?",
        ),
    ),
    "but_no": Phrasings(
        train=(
            "[Is it <true> that there {first_is}|Do you hear|Can you hear|{first_is} there|Would you say there "
            "{first_is}] {a_first} "
            "but no {second}"
            "<place>?",
            "Does [the <noun>|this <noun>|this|it] [have|use|contain|include|feature] {a_first} but no {second}?",
            "{a_first}, but no {second}[: true or false?|, right?|, correct?|. Is that so?|: is that what plays?]",
            "[Is|Was] [this|this <noun>|the <noun>] [played|made|arranged] with {a_first} and without {a_second}?",
            "[Tell me|Check|Say|Let me know] <if> [one hears|you hear|there {first_is}] {a_first} and no "
            "{second}<place>.",
            "[My friend|A review|Someone] hears {a_first} but no {second}<place>. [Right|Is that right|Is that true]?",
            "{first_is} there {a_first}<place>, without {a_second}?",
        ),
        held_out=(
            "{first} yes, {second} no: does that describe it?",
            "I want {first} without any {second} beside it. Is this what I want?",
            "Would 'with {first}, lacking {second}' be true of this?",
            "Have they kept {first} in and {second} out?",
            "Of {first} and {second}, is it only the former that sounds?",
            "{first_is} {a_first} part of this, and {a_second} not?",
            "Do I get {first} here and no {second} along with it?",
            "Does it hold that {first} can be heard and {second} cannot?",
        ),
    ),
    "everything_but": Phrasings(
        train=(
            "[Of|From] {names}, [do you hear|can one hear|does one hear|can I hear|do they play] everything but the "
            "{name}?",
            "[Is it <true> that|Would you say that|Do you agree that] of {names}, all [but|except] the {name} "
            "[play|can be "
            "heard|are there]<place>?",
            "{names}: everything [but|except] the {name}[?|, right?|: true or false?|. Correct?|. Is that so?]",
            "[Consider|Take|Listen for] {names}. [Do all of them play except the {name}|Is everything there but "
            "the {name}|Does everything sound but the {name}|Do they all play, with the exception of the {name}]?",
            "[My friend|A review|The label] [lists|names] {names}. [Do I hear|Is it true that I hear|Would I hear] "
            "all of "
            "[these|them] but the {name}?",
        ),
        held_out=(
            "My list says {names}. Should I strike the {name} and nothing else?",
            "Among {names}, is the one and only absentee the {name}?",
            "{is} the {name} the single thing out of {names} that stays silent?",
            "Someone hears all of {names} save the {name}. Do your ears agree?",
            "Checklist: {names}. Is it a tick for each, with the {name} as the only cross?",
            "Would you tick all of {names} bar the {name}?",
            "Do {names} all take part, the {name} being the lone exception?",
            "All of {names}, minus the {name}: is this the line-up?",
        ),
    ),
    "except": Phrasings(
        train=(
            "[Apart from|Except for|Besides|Leaving out|Not counting|Other than|Setting aside] the {name}, [which "
            "instruments "
            "play|what plays|what do you hear|which instruments are there|what can be heard]<place>?",
            "[Name|List|Tell me|Give me] [every instrument|all the instruments|everything that plays|all that plays] "
            "[but|"
            "except|other than] the {name}.",
            "[Which|What] instruments [play|are used|do you hear|are there]<place>, the {name} [aside|excepted|not "
            "counted]?",
            "[Leave the {name} out|Take the {name} away|Mute the {name}]: [what else plays|which instruments are "
            "left|what "
            "remains]?",
            "[Everything|All instruments|The instruments] but the {name}, please.",
        ),
        held_out=(
            "Pretend nobody asked about the {name}: who else is playing?",
            "Which instruments would still be sounding if someone silenced the {name}?",
            "Ignoring the {name} altogether, what is the line-up?",
            "Strike the {name} from the credits. What is still on the page?",
            "Who is there that does not play the {name}?",
            "the instruments minus the {name}?",
            "Anything beyond the {name}? Go through it for me.",
            "Spare me the {name}; what are the rest of the instruments?",
        ),
    ),
    "which_not": Phrasings(
        train=(
            "Which of these [does not play|is not heard|is missing|cannot be heard|is absent|is not used|is left out]"
            "<place>? {options}",
            "[One of these does not play|One of these is missing|Not all of these play|All but one of these "
            "play]<place>. "
            "Which[ one|] is missing? {options}",
            "[Name|Find|Pick|Choose|Tell me] the one that [does not play|is not there|is missing|is not "
            "heard]<place>. {options}",
            "[Which|What] do you not hear? {options}",
            "[Which one|What] is [not part of|absent from|missing from] [the <noun>|this <noun>|the arrangement|the "
            "line-up]? "
            "{options}",
        ),
        held_out=(
            "Spot the one that stays silent. {options}",
            "Who did not turn up for this session? {options}",
            "Cross out what is nowhere in these sounds. {options}",
            "Which choice names something you would listen for in vain? {options}",
            "Only one of the following took no part. Which? {options}",
            "Pick the odd one out: it makes no sound here. {options}",
            "What did they do without? {options}",
            "Which candidate would you remove from the credits? {options}",
        ),
    ),
    "which": Phrasings(
        train=(
            "Which of these [plays|is heard|is there|can be heard|is used|is part of it]<place>? {options}",
            "[Only one of these plays|One of these is missing, the other is there|Not all of these play]<place>. "
            "Which one "
            "[plays|is there|is heard]? {options}",
            "[Name|Find|Pick|Choose|Tell me] the one that [plays|is there|is heard|can be heard]<place>. {options}",
            "Which [one|of the two] do you hear? {options}",
            "[Which one|What] is [part of|in|heard in] [the <noun>|this <noun>|the arrangement|the line-up]? {options}",
        ),
        held_out=(
            "Spot the one that makes a sound. {options}",
            "Who did turn up for this session? {options}",
            "Underline what is somewhere in these sounds. {options}",
            "Which choice names something you would not listen for in vain? {options}",
            "Just one of the following took part. Which? {options}",
            "Pick the one whose sound is here. {options}",
            "What did they make use of? {options}",
            "Which candidate would you keep in the credits? {options}",
        ),
    ),
    "caption": Phrasings(
        train=(
            "{caption}[: right?|. Right?|. True?|: true or false?|. Is that correct?|. Is this right?|. Correct?]",
            "[Is this|Would you say this is|Is it <true> that this is|Do I hear|Are we listening to] {caption_inside}?",
            "[My|This|The] [caption|description|note] [is|reads|says]: {caption}. [Is it|Is that] "
            "[right|true|correct|accurate]?",
            '[Does|Would] "{caption}." [fit|describe|match] [the <noun>|this <noun>|what you hear|this]?',
            "[Check|Verify|Judge|Review] [this|the|my] [caption|description|sentence]: {caption}.",
            'True or false: "{caption}."',
        ),
        held_out=(
            "I am about to publish this text, is every word of it so? {caption}.",
            "{caption}. Would you sign that?",
            "Hold this sentence against what you hear: {caption}. Does it stand?",
            "A shop sells this as {caption_inside}. Are buyers told the truth?",
            "Somebody described it like this: {caption}. Fair, yes or no?",
            "Is there nothing wrong with calling it {caption_inside}?",
            "Proofread for facts: {caption}. All in order?",
            "Would an honest archivist file this under '{caption_inside}'?",
        ),
    ),
    "describe": Phrasings(
        train=(
            "[Describe|Caption|Sum up] [the <noun>|this <noun>|this], and [say|mention|add|note] which of these [do "
            "not play|are "
            "missing|are not there|cannot be heard]: {names}.",
            "[Write|Give me] a [caption|description|short text] that also [says|tells|states] which of these [are "
            "missing|do "
            "not play|are not heard]: {names}.",
            "[What|Which] of {names} is missing? [Put it into|Say it in|Work it into] a "
            "[caption|description|sentence about "
            "the <noun>].",
            "[Tell me|Say|Write down] what this <noun> is like, and which of [these|the following] it does without: "
            "{names}.",
        ),
        held_out=(
            "I need one line for the archive; it must state which of {names} the recording does not have.",
            "How would you present this to someone who cares about what is left out, of {names}?",
            "Compose a caption, gaps included: look at {names}.",
            "A sentence about it, please, that names the absentees among {names}.",
            "Sketch the music, and tell which of {names} never sound.",
            "What is it, and what is it not? Consider {names}.",
            "Describe this so that nobody expects those of {names} that are absent.",
            "Introduce the piece and be honest about the lack of any of {names}.",
        ),
    ),
}
"""Wordings by intent."""
