"""Wordings of tasks about catalogue items, in the notation of `phrases`.

In: nothing. Out: `WORDINGS[task]`, of which `{history}`, `{name}`, `{first}`, `{second}` and `{options}` are fields.
Knows no items.
"""

from __future__ import annotations

from mllm.instruct_data.phrases import Phrasings

WORDINGS: dict[str, Phrasings] = {
    "sequential": Phrasings(
        train=(
            "A listener [played|listened to|heard] {history}, in this order. [What comes next?|What will be "
            "next?|Name the "
            "next one.|Which item follows?|Predict the next one.]",
            "[In order of time|From the oldest to the latest|One after the other]: {history}. [What comes next?|What "
            "is next?|"
            "And then?|Predict the next one.]",
            "[Given|Knowing] that someone [played|heard|went through] {history} in this order, [what is played "
            "next|what "
            "follows|which is the next item]?",
            "[Continue|Extend] [the sequence|this sequence|the history] by one: {history}.",
        ),
        held_out=(
            "The queue so far, first to last: {history}. Which one would you expect to follow?",
            "First to last, somebody's evening went {history}. Guess the encore.",
            "What would be the likely successor in {history}, …?",
            "Having gone from one to the other through {history}, where does this person go from there?",
            "Complete the chain {history} with its next link.",
            "Chronological log: {history}. Upcoming entry?",
            "After {history} (latest at the end), the player moves on to what?",
            "One more, please, in keeping with the order: {history}.",
        ),
    ),
    "straightforward": Phrasings(
        train=(
            "[Someone|A listener|A user] [likes|listens to|plays|has played] {history}. [Recommend one more.|What "
            "would you "
            "recommend?|Which item would they like?|Name something for them.]",
            "[Recommend|Suggest|Name] [one item|something|one more] [for|to] [someone|a listener|a user] who "
            "[likes|plays|"
            "listens to] {history}.",
            "[What|Which item] [suits|would suit|fits|would please] [someone|a listener|a person] who [likes|listens "
            "to|plays] "
            "{history}?",
            "[I like|I listen to|I play] {history}. [Recommend one item.|What else is for me?|Name one more for me.]",
        ),
        held_out=(
            "Judging by {history}, pick a single thing from the catalogue for this person.",
            "Their collection includes {history}; what should join it?",
            "Which entry of the catalogue goes to a devotee of {history}?",
            "Profile: {history}. Top recommendation?",
            "Fans of {history} would thank you for what?",
            "Match this taste with one item: {history}.",
            "With {history} on the list of loves, what could be added?",
            "Somebody cannot stop playing {history}. Offer them one thing.",
        ),
    ),
    "choose": Phrasings(
        train=(
            "[Someone|A listener] [likes|listens to|plays] {history}. [Which of these|Which one of these] [would "
            "they like|do "
            "they also play|suits them|fits best]? {options}",
            "[Given|Going by] {history}: [which of these|which one] [comes next to them|belongs to the same "
            "history|would you "
            "recommend]? {options}",
            "[Choose|Pick|Select] [the one|what|the item] that [goes with|suits a listener of|fits] {history}. "
            "{options}",
            "[I like|I listen to] {history}. [Which of these is for me?|Which one should I take?|Pick one for me.] "
            "{options}",
        ),
        held_out=(
            "One of the following is in the same collection as {history}. Which? {options}",
            "Spot what the owner of {history} plays too. {options}",
            "To whoever owns {history}, which of these is no stranger? {options}",
            "Complete the shelf of {history} from these. {options}",
            "Taste: {history}. Candidates follow, only one is right. {options}",
            "Only one of these was taken from the same history as {history}. {options}",
            "Match {history} with its true companion. {options}",
            "Which offer would a follower of {history} accept? {options}",
        ),
    ),
    "description": Phrasings(
        train=(
            "[Describe|Characterise|Sum up|Tell me about] {name}.",
            "[What|Which] [tags|words|labels|keywords] [describe|fit|suit|belong to] {name}?",
            "[How would you|How do listeners] [describe|tag|label] {name}?",
            "What [kind|sort] of music [is|does one get from] {name}?",
            "[Tag|Label] {name}[.|, please.| in a few words.]",
        ),
        held_out=(
            "In which drawers do people put {name}?",
            "A stranger asks what {name} is about. Your reply?",
            "Which words would stand on a sticker for {name}?",
            "Fill in the genre box for {name}.",
            "I have never come across {name}. What should I expect?",
            "Write the catalogue entry of {name} in keywords.",
            "Under what do I search to find {name}?",
            "Put {name} in words that fans would use.",
        ),
    ),
    "comparison": Phrasings(
        train=(
            "[Compare|Contrast|Set side by side] {first} and {second}.",
            "What do {first} and {second} have in common, and [what sets them apart|in what do they differ]?",
            "[How|In what way] do {first} and {second} [resemble each other and differ|compare]?",
            "[How near is|How close is] {first} to {second}?",
            "[Name|List|Tell me] the [similarities and differences|common ground and the differences] of {first} and "
            "{second}.",
        ),
        held_out=(
            "I own {first}; is {second} more of the same or something new?",
            "Draw the line between {first} and {second}, and the bridge, too.",
            "Which words cover both {first} and {second}, and which only one?",
            "Put {first} next to {second} and report.",
            "Where do {first} and {second} meet, and where do they part?",
            "Could {first} stand in for {second}? Explain by their tags.",
            "{first} versus {second}: overlap and contrast?",
            "Do {first} and {second} belong in one drawer? Say what speaks for it and what does not.",
        ),
    ),
    "explanation": Phrasings(
        train=(
            "[Why|For what reason] would [someone|a listener|a person] who [likes|plays|listens to] {history} "
            "[like|enjoy|choose] "
            "{name}?",
            "[Explain|Tell me] why {name} [suits|fits|was recommended to] [someone|a listener] who [likes|plays] "
            "{history}.",
            "[I like|I listen to] {history}. Why [is {name} for me|should I try {name}|was I shown {name}]?",
            "What makes {name} [a match for|right for a listener of|fit for fans of] {history}?",
        ),
        held_out=(
            "Justify handing {name} to the owner of {history}.",
            "Somebody with {history} was given {name}. On what grounds?",
            "Trace the thread from {history} to {name}.",
            "How did {name} earn its place beside {history}?",
            "Where is the logic in {name} following {history}?",
            "Defend this pick: {name}, for a lover of {history}.",
            "In what does {name} continue {history}?",
            "Convince the owner of {history} to try {name}, with facts.",
        ),
    ),
}
"""By task."""
