"""Patterns that state a fact: clauses that questions are about, and whole sentences.

In: nothing. Out: `PLAYS`, `LACKS`, `KEY`, `MODE`, `METER` and `STATEMENTS[field]`, in the notation of `phrases`. Knows
no facts: `{x}` and the like are fields.
"""

from __future__ import annotations

PLAYS = (
    "[there is {a_name}<in_it>|you [can ||]<hear> {a_name}<in_it>|{a_name} <plays><in_it>|<it> <has> "
    "{a_name}|one [hears|can hear] {a_name}<in_it>|the [band|group|ensemble|arrangement|line-up|"
    "instrumentation] <has> {a_name}|{name} is [part of|among|one of|in] the [arrangement|instruments|"
    "mix|line-up|band|ensemble]|[somebody|someone|a player] [plays|is playing] {a_name}<in_it>|"
    "{a_name} [is|was] [<playing>]<in_it>|we [hear|can hear] {a_name}<in_it>|I [hear|can hear|am "
    "hearing|heard] {a_name}<in_it>|there are sounds of {a_name}|[they|the players] [use|play|have] "
    "{a_name}<in_it>]"
)
"""Clauses that say that an instrument plays."""
LACKS = (
    "[there is no {name}<in_it>|there [is not|isn't] any {name}<in_it>|no {name} <plays><in_it>|{name} "
    "[does not|doesn't|never] <play><in_it>|{name} is <gone>|{name} is [not|never] <playing><in_it>|"
    "<it> has no {name}|<it> [does not|doesn't] <have> [any ||a |]{name}|<it> [lacks|does without|goes "
    "without|comes without|leaves out|omits|is without|is free of|manages without|makes no use of|"
    "contains no|uses no|features no|includes no|involves no] {name}|you [hear|find|notice] no "
    "{name}<in_it>|you [do not|don't|cannot|can't|never] <hear> [any ||a |]{name}<in_it>|[nobody|no "
    "one|none of them] [plays|is playing|uses] {a_name}<in_it>|the [band|group|ensemble|arrangement|"
    "line-up|instrumentation] [has no|lacks|does without|is without] {name}|we hear no {name}<in_it>|I "
    "[hear|heard] no {name}<in_it>|{name} [is not|isn't|was not|wasn't] [heard|used|playing|there|"
    "present|included]<in_it>|[they|the players] [use no|play no|have no|do without|do not use] {name}]"
)
"""Clauses that say that it does not."""
KEY = (
    "[the key is {key}|<it> is in {key}|<it> is [written|played|set] in {key}|<it> is in the key of "
    "{key}|{key} is the key|the [musical key|home key|tonality] is {key}|they play in {key}|the "
    "key[<of_it>] is {key}|we are in {key}|it stands in {key}]"
)
"""Clauses that name the key."""
MODE = (
    "[the key is {mode}|<it> is in a {mode} key|the mode is {mode}|<it> is {mode}|<it> is a {mode} "
    "[<noun>|one]|<it> is [written|played|set] in a {mode} key|<it> sounds {mode}|the [tonality|"
    "harmony|scale] is {mode}|<it> uses a {mode} [key|scale]|the key[<of_it>] is a {mode} one|<it> is "
    "in {mode}]"
)
"""Clauses that name the mode."""
METER = (
    "[the [meter|metre|time signature] is {meter}|<it> is in {meter}[| time]|<it> has a [meter|time "
    "signature] of {meter}|<it> is [counted|written|played] in {meter}|they play in {meter}|the [meter|"
    "time signature][<of_it>] is {meter}|{meter} is the [meter|time signature]]"
)
"""Clauses that name the meter."""

STATEMENTS: dict[str, tuple[str, ...]] = {
    "tempo": (
        "The tempo is [about |around |]{x} BPM.",
        "[It|The <noun>|This <noun>] [runs|goes|moves|is played|is performed|was recorded] at [about |"
        "around |]{x} [beats per minute|BPM|beats a minute].",
        "[Tempo|BPM|Speed in BPM|Beats per minute][:| =| is] {x}[ BPM|.]",
        "[Its|The] [speed|tempo|pulse|beat][| of the <noun>| of this <noun>] [is|stays at|is set at] {x} "
        "[BPM|beats per minute].",
        "A metronome [would show|shows|set to|reads] {x}.",
        "{x} [BPM|beats per minute].",
        "The [drummer|band|group] [keeps|plays at|holds] {x} [BPM|beats per minute].",
    ),
    "key": (
        "[It|The <noun>|This <noun>] is [|written |played |set ]in {x}.",
        "[The|Its] [key|musical key|home key][| of the <noun>| of this <noun>] is {x}.",
        "[Key|Tonality|Musical key][:| =| is] {x}[.|]",
        "[Its|The] tonality is {x}.",
        "The [music|<noun>] stays in {x}.",
        "[They|The players|The band] play in {x}.",
        "[It|The <noun>] is in the key of {x}.",
    ),
    "meter": (
        "[The|Its] [time signature|meter|metre][| of the <noun>| of this <noun>] is {x}.",
        "[Meter|Metre|Time signature|Time][:| =| is] {x}[.|]",
        "[It|The <noun>] is [counted|written|notated|played|] in {x}[| time].",
        "The bars are in {x}.",
        "[It|The <noun>] has a [meter|time signature] of {x}.",
    ),
    "instruments": (
        "The instruments[| of the <noun>| used| heard] are {x}[|, and nothing else|, no others].",
        "[Instruments|Instrumentation|Line-up|Played by][:| =] {x}[.|]",
        "[It|The <noun>|This <noun>] is [played|performed|made] [by|on|with] {x}[|, nothing else|, no "
        "others|, and no other instruments].",
        "[One hears|You hear|We hear] [only |just ]{x}[|, and nothing else|, nothing more].",
        "The instrumentation is {x}.",
        "The [band|group|ensemble|line-up] [is|consists of|has only] {x}[|, no one else].",
    ),
    "present": (
        "There is {x}<in_it>.",
        "[One|You|We] [can hear|hear] {x}<in_it>.",
        "[It|The <noun>|This <noun>] <has> {x}.",
        "{x} <plays><in_it>.",
        "Somebody plays {x}.",
    ),
    "absent": (
        "There is no {x}<in_it>.",
        "[It|The <noun>|This <noun>] [has no|does without|lacks|contains no|goes without|uses no] {x}.",
        "No {x} <plays><in_it>.",
        "{x} is <gone>.",
        "[One|You|We] [hear no|do not hear any|cannot hear any] {x}<in_it>.",
        "Nobody plays {x}.",
        "[It|The <noun>] does not <have> [any |]{x}.",
    ),
}
"""Sentences that state one field, `{x}`, of what is known; "instruments" states all of them."""
