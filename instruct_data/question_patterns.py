"""Patterns of the questions that can be answered from what is known of a recording.

In: the clauses of `statement_patterns`, of which some questions ask whether they are true. Out: `QUESTIONS[intent]`, in
the notation of `phrases`. Knows no answers and no facts: `{key}` and the like are fields.
"""

from __future__ import annotations

from mllm.instruct_data.statement_patterns import KEY, LACKS, METER, MODE, PLAYS

_CHECKS: tuple[str, ...] = (
    "Is it <true> <that><<>>?",
    "Is it <true> <that><<>>?",
    "<<>>, [right|correct|is that right|is that correct|is it|is that true|is that so|am I right|true]?",
    "True or false: <<>>[.|?]",
    "[Right or wrong|Correct or not|True or not|Yes or no|Fact check|Statement]: <<>>[.|?]",
    "[Would|Do|Could] you <say> <that><<>>?",
    "I [think|believe|guess|suspect|would say|bet|feel|assume|heard|am told|was told] <that><<>>. [Is "
    "that|Is this|Am I|Is it] [right|correct|true|so]?",
    "[Can|Could|Will|Would] you [confirm|verify|check] <that><<>>?",
    "[Tell me|Let me know|Say|Check|Find out|I want to know|I'd like to know|I need to know|I wonder|"
    "Can you tell me|Could you tell me|Do you know|Decide|Judge|Can you say] <if> <<>>[.|?]",
    "[So|And|But|Then|OK, so|Well,] <<>>[?|, right?|, correct?|, yes?]",
    "<<>>[?|. True?|. Correct?|. Right?|. Yes or no?|. Do you agree?|. Agree?|: yes or no?|: true or "
    "false?|. Is that so?]",
    "[My friend|Somebody|My teacher|A friend|Someone|The label|My brother] [says|said|claims|thinks] "
    "<that><<>>. [Is that|Is this|Is it] [right|correct|true|so]?",
    "[Does it seem|Does it sound like|Does it appear|Is it your impression|Is it obvious|Is it clear] <that><<>>?",
    "Could it be <that><<>>?",
)
"""Ways of asking whether a clause, `<<>>`, is true."""


def _checks(clauses: str) -> tuple[str, ...]:
    """Patterns that ask whether one of the clauses is true."""
    return tuple(check.replace("<<>>", clauses) for check in _CHECKS)


QUESTIONS: dict[str, tuple[str, ...]] = {
    "tempo": (
        "What [is|'s] the [tempo|BPM|speed|beat rate|pulse rate|metronome mark|metronome marking|tempo "
        "marking]<of_it>[| in BPM| in beats per minute]?",
        "[What|Which] [tempo|BPM|speed in BPM] [is|does] <it> [at|in|have|run at|play at|go at|move at|use]?",
        "How many [beats per minute|BPM|beats a minute|beats in a minute|beats each minute] [is <it>|does "
        "<it> have|does <it> run at|are in <this>|do you count|do you hear|can you count|go by]?",
        "How fast is [<it>|the beat|the pulse|the rhythm|the tempo][ in BPM| in beats per minute| in "
        "numbers, as BPM|, in BPM]?",
        "How [fast|quick|quickly] does [<it>|the beat|the pulse] [go|run|move|tick], in [BPM|beats per minute]?",
        "<tell> the [tempo|BPM|beats per minute|number of beats per minute|speed in BPM|tempo in BPM|"
        "metronome number]<of_it>.",
        "<know> [the tempo|the BPM|what the tempo is|what BPM <it> is|how many beats per minute <it> has|"
        "the beats per minute|the speed in BPM]<of_it>?",
        "At [what|which] [tempo|BPM|speed in beats per minute] [is <it> played|does <it> go|was <it> "
        "recorded|should I practise <it>|do they play|is the beat]?",
        "[What|Which] [tempo|BPM] [do you hear|do they play at|would you give <it>|should I dial in|does "
        "the drummer keep|would match|should I set][|?| for <it>?]",
        "[What|Which] number [would|does|should] [a|the|my] metronome [show|have|be set to|need|read] for <this>?",
        "[What|Where] [would|should] [a|the|my] metronome [show|be set|say|read|be at] for <this>?",
        "[bpm|tempo|speed in bpm|beats per minute|tempo in bpm|bpm value|bpm number|tempo value|what bpm|"
        "which tempo][?||, please| please| of this?| of this| here?]",
        "[Estimate|Calculate|Compute|Measure|Guess|Detect|Count|Check] the [tempo|BPM|beats per minute|"
        "speed of the beat|beat][ in BPM||<of_it>].",
        "I [want|need|would like] to [mix|DJ|dance to|practise|play along with|sync to] <this>: [what "
        "tempo|what BPM|how many BPM|which BPM] is it?",
        "[The tempo|The BPM|Tempo|BPM] of [<this>|the <noun>|this <noun>][?|, please.| is?]",
        "[What's|What is] [its|the <noun>'s] [tempo|BPM|speed in BPM]?",
    ),
    "key": (
        "What [is|'s] the [key|musical key|tonality|home key|tonal center|tonic and mode|tonic|root and "
        "mode|key signature]<of_it>?",
        "[What|Which] [key|musical key|tonality|scale|major or minor key] [is <it> in|is <it> played in|is "
        "<it> written in|does <it> use|do you hear|was <it> written in|does <it> have|is used|are we in|"
        "are they in]?",
        "In [what|which] [key|musical key|tonality|scale] [is <it>|is <it> written|is <it> played|was <it> "
        "recorded|do they play|are we|does <it> stand]?",
        "<tell> the [key|musical key|tonality|home key|tonic and the mode|name of the key|key of the music|"
        "key name]<of_it>.",
        "<know> [the key|the musical key|what key <it> is in|which key <it> is in|what the key is|the "
        "tonality|in which key <it> is|which key they play in]<of_it>?",
        "[key|musical key|tonality|which key|what key|key of song|song key|home key|key name][?||, please| "
        "please| of this?| of this| here?]",
        "[Estimate|Guess|Detect|Recognise|Figure out|Check] [the key|the musical key|which key <it> is in|"
        "the tonality]<of_it>.",
        "I [want|need|would like] to [play along|jam|sing along|improvise|transpose <it>|write chords]: "
        "[what|which] key is [it|this|it] in?",
        "[What|Which] [key|scale] [should I|do I|can I|would I] [play|use|solo|improvise|jam|tune to] [in|"
        "over <this>|with <this>|for <this>][|, I mean what key is it in]?",
        "[What|Which] key would you [say|think|call] <it> is in?",
        "What would you [say|call] the key[ is|<of_it>]?",
        "Around which [tonic|key|home note and mode] [is <it> built|does <it> center|is <it> centred]?",
        "[The key|Key|The tonality] of [<this>|the <noun>|this <noun>][?|, please.| is?]",
        "[What's|What is] [its|the <noun>'s] [key|musical key|tonality]?",
    ),
    "mode": (
        "Is <it> [in a |in |written in |]major or [in a |in |]minor[| key]?",
        "Is <it> [in a |in |]minor or [in a |in |]major[| key]?",
        "Is the [key|mode|tonality|scale|harmony] major or minor?",
        "Is the [key|mode|tonality|scale|harmony] minor or major?",
        "[Which|What] mode is [<it>|<it> in|used|it, major or minor|the <noun> in][|, major or minor|: "
        "minor or major]?",
        "Does <it> [sound|feel|seem] [major or minor|minor or major|more major or more minor]?",
        "<tell> [the mode|whether <it> is major or minor|if the key is major or minor|whether the mode is "
        "minor or major].",
        "<know> [whether|if] [<it>|the key|the tonality] is [in ||]major or minor?",
        "[Major or minor|Minor or major|major/minor|major, minor|mode, major or minor|mode][?||, which is "
        "it?|, please|: which one?]",
        "[Would|Could] you [call|consider] [<it>|the key|the mode] [major or minor|minor or major]?",
        "[What|Which] is it, [major or minor|minor or major]?",
        "What is the mode<of_it>?",
        "Is this a major [key |]or a minor [key|one|piece|tune]?",
    ),
    "meter": (
        "What [is|'s] the [meter|metre|time signature|measure|time|beat pattern|rhythmic meter]<of_it>?",
        "[What|Which] [meter|metre|time signature|time] [is <it> in|does <it> have|do you hear|is used|"
        "does <it> use|is <it> written in|is <it> counted in|do they play in]?",
        "In [what|which] [meter|metre|time signature|time] is <it>[| written| played| counted]?",
        "How many beats [are in a bar|are there in a bar|per bar|does a bar have|in each measure|are in a "
        "measure|to the bar|go into one bar]?",
        "<tell> the [meter|metre|time signature|beats per bar|measure signature]<of_it>.",
        "<know> [the time signature|the meter|what meter <it> is in|what time signature <it> has|the metre|"
        "how many beats a bar has]<of_it>?",
        "[meter|metre|time signature|time sig|bar length|beats per bar|beats per measure][?||, please| "
        "please| of this?| of this| here?]",
        "How [should|would|do] [you|I|we|one] count [<it>|the beats of a bar]?",
        "[Estimate|Guess|Detect|Recognise|Figure out|Check] the [meter|time signature|metre]<of_it>.",
        "[The meter|The time signature|Time signature] of [<this>|the <noun>|this <noun>][?|, please.| is?]",
        "[What's|What is] [its|the <noun>'s] [meter|metre|time signature]?",
        "How is the time signature [written|noted|given][| for <this>]?",
    ),
    "instruments": (
        "[Which|What] instruments [are playing|are used|are there|can be heard|are heard|are in <it>|make "
        "up <this>|do you hear|can you hear|do you recognise|does <it> have|does <it> use|does <it> "
        "feature|play|take part|appear|are present|are involved|sound|do they play|are on <this>]?",
        "[List|Name|Tell me|Give me|Identify|Enumerate|Recognise|Write down|Show|Report|Detect|Find|Say|"
        "State|Spell out] [the|all the|all|every one of the] instruments[<of_it>| that play| you hear| in "
        "<this>| used| playing].",
        "[What|Who] [is playing|plays][ here| in <this>|]? [Name|List] the instruments.",
        "What [is|'s] the [instrumentation|line-up of instruments|set of instruments|orchestration|scoring|"
        "arrangement made of]<of_it>?",
        "<know> [the instruments|which instruments play|what instruments are used|the instrumentation|what "
        "instruments there are|which instruments are playing|which instruments you hear]<of_it>?",
        "[instruments|instrumentation|line-up|instrument list|which instruments|what instruments|list of "
        "instruments|all instruments][?||, please| please| in this?| used?| here?]",
        "[What|Which] [kinds of|sorts of|types of|] instruments [are on|are in|make up|fill|form] [the "
        "<noun>|this <noun>|the arrangement|the band|the mix]?",
        "What [do you hear|is playing|can be heard] in terms of instruments?",
        "With [what|which] instruments is <it> [played|performed|made|arranged|recorded]?",
        "By [what|which] instruments is <it> [played|performed|made]?",
        "What is playing[ here| in <this>| on the <noun>]?",
        "[What|Which] are the instruments[<of_it>| in <this>| here]?",
        "I [want|need|would like] [a list of |to know ||][all ||][the instruments|the instrumentation]<of_it>.",
        "[Could you|Can you|Would you|Please] [list|name|identify|give me] [all ||][the instruments|the "
        "instrumentation|every instrument][| here| you hear][.|?]",
        "<it> is played [with|on|by] which instruments?",
    ),
    "has": (
        "Is there [any |]{a_name}<in_it>?",
        "[Is|Was] there {a_name}<in_it>?",
        "Are there any {name}<in_it>?",
        "[Do|Did|Can|Could] you <hear> {a_name}<in_it>?",
        "[Do|Did] you [also ||really ||actually |]<hear> [any |]{a_name}<in_it>?",
        "[Can|Could] {a_name} be [heard|found|made out|detected|noticed|recognised]<in_it>?",
        "[Does|Did] <it> [really ||actually ||also |]<have> {a_name}?",
        "[Does|Did] {a_name} [really ||actually ||also |]<play><in_it>?",
        "[Is|Was] {a_name} [really ||actually ||also ||perhaps |]<playing><in_it>?",
        "Is {name} [part of|among|one of|in|found in|featured in|included in|used in|heard in] [the "
        "instruments|the arrangement|<it>|the mix|the line-up|the band]?",
        "[Any |Some |Perhaps |Maybe |]{name}<in_it>[?| or not?| - yes or no?]",
        "{name}[?|: yes or no?|: does it play?|: is it there?|, is it in there?|, playing or not?]",
        "Has <it> got {a_name}[<in_it>]?",
        "[Is|Was] [anyone|anybody|someone|somebody] playing {a_name}<in_it>?",
        "[Does|Did] [anyone|anybody|someone|somebody|the band|the group|the ensemble] [play|use|have] {a_name}<in_it>?",
        "[Have you|Did you] [heard|hear|found|find|noticed|notice] {a_name}<in_it>?",
        "[Would|Should|Will|Could] I <hear> {a_name}<in_it>?",
        "Among the instruments, is there {a_name}?",
        "[Do|Did] they [use|play|have] {a_name}<in_it>?",
        "[Is|Was] <it> [played|made|performed|recorded] with {a_name}?",
        "[Is|Was] the sound of {a_name} [there|heard|present|in it|audible]?",
        "[Do|Can] we [hear|have|get] {a_name}<in_it>?",
        *_checks(PLAYS),
    ),
    "lacks": (
        "Is there no {name}<in_it>?",
        "[Is|Was] there [really ||truly ||actually ||simply |]no {name}<in_it>?",
        "Are there no {name}<in_it>?",
        "[Do|Did|Can] you <hear> no {name}<in_it>?",
        "[Does|Did] <it> [really ||actually |][lack|do without|go without|leave out|omit|miss|have no|"
        "contain no|use no|feature no|skip|include no|come without|manage without|avoid] {name}?",
        "Is {name} [really ||actually ||completely ||simply |]<gone><in_it>?",
        "[Is|Was] {name} <gone>?",
        "[Is|Was] <it> [really ||completely ||entirely |][without|free of|lacking|missing|devoid of|free "
        "from|done without|played without|made without|recorded without] [any |]{name}?",
        "[Is|Was] no {name} [really ||actually |]<playing><in_it>?",
        "[No|Not any|Without|Without any|Zero|Not a single] {name}<in_it>[?| or am I wrong?| - yes or no?|"
        ", right?|, correct?]",
        "[Does|Did] no {name} <play><in_it>?",
        "So no {name}[<in_it>]?",
        "{name}: [absent|missing|not there|left out|not playing|silent]?",
        "[Has|Was] {name} [been ||][left out|omitted|dropped|excluded|removed|not used]?",
        "[Does|Did] [nobody|no one] [play|use] {a_name}<in_it>?",
        "[Is|Was] [nobody|no one] playing {a_name}<in_it>?",
        "[Does|Did] the [band|group|ensemble|arrangement|line-up|instrumentation] [lack|do without|have no|"
        "go without] {name}?",
        "[Do|Did] they [use no|play no|have no|do without|leave out|go without] {name}<in_it>?",
        "Is the [absence|lack] of {name} [real|a fact|true|right]?",
        "Among the instruments, is there no {name}?",
        "[Can|Could] no {name} be [heard|found|made out|detected|noticed]<in_it>?",
        "[Is|Was] the sound of {name} <gone>?",
        *_checks(LACKS),
    ),
    "speed": (
        "Is <it> [fast or slow|slow or fast|slow, moderate or fast|slow, medium or fast|quick or slow|more "
        "slow or more fast|fast, moderate or slow]?",
        "How [fast|slow|quick] does <it> [feel|seem|sound]?",
        "Is <it> a [slow|fast|quick] [<noun>|one] or a [fast|slow|quick] one?",
        "[Would|Could] you [call|consider|describe] <it> [as |][slow or fast|fast or slow|slow, moderate "
        "or fast|quick or slow]?",
        "Does <it> [feel|sound|seem] [slow or quick|fast or slow|slow or fast|slow, medium or fast]?",
        "Is the [pace|tempo|speed|beat] [slow, medium or fast|slow or fast|fast or slow|moderate, slow or "
        "fast|quick or slow]?",
        "<tell> [whether|if] <it> is [slow or fast|fast or slow|slow, moderate or fast].",
        "<know> [whether|if] <it> is [slow or fast|fast or slow|slow, moderate or fast]?",
        "[Slow or fast|Fast or slow|Slow, moderate or fast|fast/slow|pace|Quick or slow|pace: slow or "
        "fast][?||, please|, which is it?]",
        "What [kind of|sort of] [pace|speed] [is it|does <it> have|do you feel], [slow or fast|slow, "
        "moderate or fast]?",
        "What is the pace<of_it>[|, slow or fast]?",
        "How would you [describe|call] the [pace|speed][<of_it>]?",
    ),
    "is_key": (
        "Is <it> [really ||actually |]in {key}?",
        "Is <it> in the key of {key}?",
        "Is the [key|tonality|musical key|home key]<of_it> {key}?",
        "[Is|Was] <it> [written|played|recorded|set] in {key}?",
        "Is {key} the [key|right key|musical key|home key|tonality]<of_it>?",
        "{key}[?|, right?|: right key?|, correct?|, yes or no?|: is that the key?]",
        "[Are we|Are they] [playing ||]in {key}?",
        "Does <it> [use|have|stand in|stay in|sound like] {key}?",
        "[Is it|Would it be] right to play along in {key}?",
        "Should I play [along ||]in {key}?",
        *_checks(KEY),
    ),
    "is_mode": (
        "Is <it> in a {mode} key?",
        "Is <it> [really ||actually |]in {mode}?",
        "Is the [key|mode|tonality|scale|harmony]<of_it> [a ||]{mode}[| one]?",
        "Is <it> [{mode}|a {mode} <noun>|a {mode} one]?",
        "[Is|Was] <it> [written|played|set] in a {mode} [key|scale|mode]?",
        "Does <it> [have|use] a {mode} [key|scale|tonality]?",
        "Does <it> sound {mode}?",
        "{mode}[?|, right?|, correct?|: yes or no?| key?| mode?]",
        "[A|Is this a|Do we have a] {mode} [key|scale|tonality]?",
        *_checks(MODE),
    ),
    "choices": (
        "[Which|Which one] of {names} is <it>[| in]?",
        "Is <it> [|in ]{names}?",
        "[Check|Try|Compare|Go through|Consider] [each|each of these|one by one|all of these]: {names}.",
        "{names}[?|: which is it?|: which fits?|, which one?|: yes or no for each?]",
        "[Say|Tell me] [for|of] each of {names} [whether|if] it [is right|fits|is true|holds].",
        "[Is the right one|Would it be|Might it be|Could it be|Shall I write] {names}?",
        "[Which|What] is [right|true|correct|the right answer|it], {names}?",
        "[Pick|Choose|Decide|Select] [from|between|among] {names}.",
        "I [cannot decide|hesitate|am not sure]: {names}?",
        "We argue [whether|if] <it> is [|in ]{names}[.|. Who is right?|, please help.]",
    ),
    "is_meter": (
        "Is <it> in {meter}[| time]?",
        "Is the [meter|metre|time signature|measure|time]<of_it> {meter}?",
        "[Is|Was] <it> [written|counted|played] in {meter}[| time]?",
        "Is {meter} the [meter|right meter|time signature|right time signature]<of_it>?",
        "Does <it> [have a time signature of|use|go in|run in|count in] {meter}?",
        "{meter}[?|, right?|, correct?| time?|: yes or no?]",
        "Do I count <this> in {meter}?",
        *_checks(METER),
    ),
    "key_and_tempo": (
        "What are the [key and the tempo|tempo and the key|key and tempo|tempo and key|key and BPM|BPM and "
        "key]<of_it>?",
        "<tell> the [key and the tempo|tempo and the key|key and the BPM|BPM and the key|key and tempo].",
        "<know> the [key and the tempo|tempo and the key|key and the BPM|BPM and key|key and tempo]<of_it>?",
        "In [what|which] key is <it>[,|] and [how fast|at what tempo|at how many BPM|what is the tempo|what BPM]?",
        "[Key and BPM|Key and tempo|BPM and key|Tempo and key|key + bpm|bpm + key|key, bpm|bpm, key|"
        "key/bpm][?||, please| please]",
        "[What|Which] key and [what|which] [tempo|BPM] [is it|is this|does <it> have|do you hear]?",
        "What is the key, and [what is the tempo|how fast is <it>|what is the BPM]?",
        "How fast is <it>, and [in which key|what key is it in|which key is it in]?",
        "What is the [tempo|BPM], and [what is the key|what key is <it> in|in which key is <it>]?",
        "[I need|I want] [both ||][the key and the tempo|the BPM and the key|key and tempo][|, please| for my set].",
    ),
    "caption": (
        "[Describe|Summarise|Summarize|Caption|Characterise|Sketch|Sum up|Outline] [the <noun>|this <noun>|"
        "this|what you hear|it|what you heard|the sound][| briefly| in a sentence| in two sentences| for "
        "me| in words| in one or two sentences].",
        "[Write|Give|Give me|Make|Create|Provide|Compose] [a|a short|a brief|one] [caption|description|"
        "summary|sketch] [for|of] [this|this <noun>|the <noun>|what you hear].",
        "[Write|Give me] one or two sentences about [this|this <noun>|the <noun>].",
        "What does <it> sound like?",
        "What [is|'s] <it> like?",
        "Tell me [about|something about|more about|everything about] [this|this <noun>|the <noun>|what you hear].",
        "How would you [describe|summarise|sum up|caption] <it>?",
        "How does <it> sound?",
        "[In a few words|In a sentence|Briefly|In short|In two sentences], [describe <it>|what is <it> "
        "like|what does <it> sound like|what do we hear][.|?]",
        "[caption|description|short description|summary|describe][|?|, please| please]",
        "<know> [what <it> sounds like|what <it> is like]?",
        "[What|Which words] would you [say|write|tell somebody] about <this>?",
        "[What kind of sound|What sort of sound] [is this|do you hear]?",
        "[Can|Could] you describe [<it>|what you hear|the sound][| for me| to me]?",
        "Put [this <noun>|the <noun>|what you hear] into words.",
    ),
    "tags": (
        "[Give|Give me|List|Write|Suggest|Propose|Provide|Add|Find|Make|Show|Create|I need|Name] [tags|"
        "some tags|the tags|keywords|some keywords|labels|a list of tags|short tags][ for <this>||<of_it>].",
        "[Tag|Label] [this|this <noun>|the <noun>|it].",
        "[Which|What] [tags|keywords|labels] [fit|suit|describe|would fit|apply to|match|go with|would you "
        "give|would you use for|belong to] [this|this <noun>|the <noun>|it]?",
        "[tags|keywords|labels|tag list|music tags][?||, please| please| for this]",
        "[Can|Could] you [tag|label] [this|this <noun>|the <noun>]?",
        "How would you tag <this>?",
        "[Describe|Sum up] [this|the <noun>|it] [with|in|using] [tags|keywords|labels].",
    ),
    "json": (
        "[Describe|Summarise|Report|Give|Show|Write|Return|Output|Put] [this|this recording|this <noun>|"
        "the <noun>|the facts|what you hear|it] [as|in] [JSON|a JSON object|JSON format|json].",
        "[Answer|Reply|Respond] [in|as|with] JSON[: what do you hear?|.|: describe <it>.| only.| please.]",
        "[Return|Give me|Output|Produce|Write|Make|I need|Show me] [a|one] JSON [object|record] [with|of|"
        "that holds|containing|about] [the facts|what you hear|tempo, key, meter and instruments|key, "
        "tempo and instruments|the analysis].",
        "[JSON|json|as JSON|JSON object|facts as JSON][|, please| please|?| output]",
        "[Tempo, key, meter and instruments|The facts|The analysis|Key, tempo, meter, instruments] [as|in] "
        "JSON[|, please].",
        "[Can|Could] you [give me|return|write] [the facts|this|the analysis] [as|in] JSON?",
    ),
    "roll_call": (
        "[Which|What|Who] of [these|these instruments|the following|the following instruments] [play|are "
        "playing|are heard|can be heard|are used|are there|do you hear|can you hear|are in it|are present|"
        "appear]<in_it>: {names}?",
        "Which of {names} [play|are playing|are heard|can be heard|are used|are there|do you hear|can you "
        "hear|are in it|are present|appear]<in_it>?",
        "[Check|Go through|Look for|Listen for|Verify|Test|Search for|Rate|Judge] [these|these instruments|"
        "the following|||]: {names}.",
        "[Check|Go through|Look for|Listen for|Test for|Search for] {names}<in_it>.",
        "[Tell me|Say] for each [of these||one] [whether|if] it [plays|is heard|is used|is there]: {names}.",
        "Do you hear [any of ||][these|the following|]: {names}?",
        "Are [these|the following|any of these] [playing|heard|used|present|in it]: {names}?",
        "[Instrument check|Checklist|Roll call|Instruments to check|Yes or no for each|Present or not|One "
        "by one]: {names}[.|?|]",
        "{names}: which of them [play|are playing|are heard|are there|do you hear]<in_it>?",
        "I am looking for {names}. Which [of them ||][are there|play|do you hear]?",
        "{names}[?|, which ones?|, one by one|: each of them?| - which?]",
    ),
}
"""Questions by intent. Fields: `{name}` an instrument, `{a_name}` the same with its article, `{names}` several,
`{key}`, `{mode}`, `{meter}`."""
