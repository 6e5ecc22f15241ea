"""Wordings of conversations in which music is recommended, in the notation of `phrases`.

In: nothing. Out: `WORDINGS[step]`, of which `{history}`, `{name}`, `{tags}`, `{like}`, `{wish}`, `{critique}` are
fields. Knows no items.
"""

from __future__ import annotations

from mllm.instruct_data.phrases import Phrasings

WORDINGS: dict[str, Phrasings] = {
    "request": Phrasings(
        train=(
            "[I have been listening to|Lately I listen to|I keep playing|I like|I am a fan of|My favourites are] "
            "{history}. "
            "[What should I try next?|Can you recommend something?|What else would I like?|Any suggestions?|Suggest "
            "something.]",
            "[What|Who] would you recommend to someone who [likes|listens to|loves|plays] {history}?",
            "[After|Having heard|Since I enjoy] {history}, what [should I listen to|could I try|would you put on]?",
            "[Recommend|Suggest|Find] me [something|an artist|music] [that goes with|for a listener of|in view of] "
            "{history}.",
            "My [history|playlist|listening] [so far|of late|these days]: {history}. [What next?|What fits?|What is "
            "missing?]",
        ),
        held_out=(
            "If my shelf holds {history}, what belongs beside it?",
            "I wore out {history} and need new food for my ears.",
            "These never get old to me: {history}. Extend the list.",
            "Help, I have run out of music! So far: {history}.",
            "Say a person turned up with {history}. What would you hand them?",
            "{history} got me through the year. What gets me through the next?",
            "Play record shop clerk: I walk in humming {history}.",
            "Taste report: {history}. Advice?",
        ),
    ),
    "suggestion": Phrasings(
        train=(
            "[Try|How about|You could try|I suggest|I would try] {name}: like {like}, it [is tagged|is known as|goes "
            "by] {tags}.",
            "{name} [may|might|could] be for you: it shares {tags} with {like}.",
            "[My suggestion is|I would go for|Then listen to] {name}. [It has|They have] {tags} in common with {like}.",
            "{name}, [because|since] {like} [and it|and this one] both [go by|are tagged] {tags}.",
        ),
        held_out=(
            "Give {name} a chance; it meets {like} in {tags}.",
            "I have {name} in mind, a neighbour of {like} by {tags}.",
            "What about {name}? Listeners file it under {tags}, just like {like}.",
            "{name} comes to mind, next to {like} under {tags}.",
            "You might get on with {name}: {tags}, as with {like}.",
            "There is {name}, close to {like} through {tags}.",
            "Put on {name}. What ties it to {like}: {tags}.",
            "One to look up: {name}. Common ground with {like}: {tags}.",
        ),
    ),
    "critique": Phrasings(
        train=(
            "[Not quite:|Hmm,|Thanks, but|Nearly, but|Good, but|Not this time:] I [would rather have|was hoping "
            "for|was "
            "looking for|want|am in the mood for] {wish}.",
            "[I know it already:|Fine, but|A good one, though:] [can you find|do you have|could you find] {wish}?",
            "[Could it be|Can I have|Please find|I would like] {wish}[ instead| this time| now]?",
            "[That is not what I meant|Not my thing today]. {wish_sentence}, please.",
            "[Something else|Another one], please: {wish}.",
        ),
        held_out=(
            "Close, although my heart is set on {wish}.",
            "Steer towards {wish} and try again.",
            "What if I asked for {wish} in its place?",
            "You are getting warm; now {wish}.",
            "Swap it for {wish}, would you?",
            "My ears are after {wish}, to be exact.",
            "I will pass. Next idea: {wish}.",
            "Make that {wish} and we have a deal.",
        ),
    ),
    "refined": Phrasings(
        train=(
            "[Then|In that case|All right, then] [try|listen to|I suggest|I would go for] {name}: {reason}.",
            "[How about|What about] {name}[ instead| then|]? [It fits|This fits]: {reason}.",
            "{name} [should suit you|should be it|fits better]: {reason}.",
            "[Here is another one|Another idea|A better match]: {name}. {reason_sentence}.",
        ),
        held_out=(
            "Let me turn to {name}, then: {reason}.",
            "Point taken: {name}, where {reason}.",
            "Off to {name} with you; {reason}.",
            "My second try is {name}. Why? Because {reason}.",
            "Understood. {name} is nearer: {reason}.",
            "Swapped for {name}; mark that {reason}.",
            "So be it: {name}. Note that {reason}.",
            "{name} answers that, as {reason}.",
        ),
    ),
}
"""By step of the conversation."""
