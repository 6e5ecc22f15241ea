"""Wordings of requests for captions, and what a language model is told that writes them, in the notation of `phrases`.

In: nothing. Out: `REQUESTS[kind]` and `ORDERS[kind]`. Fields: `{told}` what a listener knows already, `{caption}` a
caption to be put otherwise. Knows no recordings.
"""

from __future__ import annotations

from mllm.instruct_data.phrases import Phrasings

REQUESTS: dict[str, Phrasings] = {
    "summary": Phrasings(
        train=(
            "[Sum up|Summarise|Summarize|Describe|Caption] [this|the <noun>|this <noun>] in [one sentence|a "
            "sentence|one short sentence|a few words|a dozen words].",
            "[Give me|Write|I need] [one sentence|a single sentence|one line|a short line] about [this|the "
            "<noun>|this <noun>].",
            "[What is|What's] [this|the <noun>] in [one sentence|a few words|a nutshell]?",
            "[In|With] [one sentence|a few words], [what is this|how would you describe this|what do I hear]?",
        ),
        held_out=(
            "Boil it down to a line for me.",
            "If you had ten words for it, which?",
            "A headline for this music, please.",
            "Keep it brief: what am I listening to?",
            "the short version please",
            "Squeeze the whole thing into a sentence.",
            "One breath, one sentence: what is playing?",
            "Tweet this recording.",
        ),
    ),
    "retelling": Phrasings(
        train=(
            "[Tell me|Explain|Say] [freely|in flowing words|in your own words|as to a friend] what [this|the "
            "<noun>|this <noun>] is like.",
            "[Tell|Describe to] someone who cannot hear it what [this|the <noun>|this <noun>] is like.",
            "[How would you|Could you|Can you] [describe|put] [this|the <noun>|this <noun>] [in your own words|to a "
            "friend|in plain words|in everyday words]?",
            "[Describe|Introduce] [this|the <noun>|this <noun>] as [a radio host|a friend|a concert guide] would.",
        ),
        held_out=(
            "Paint me a picture of this music with words.",
            "My grandmother is curious what I have on: what shall I tell her?",
            "Chat about this one as if we sat together.",
            "Say it like you would over coffee: what kind of thing is this?",
            "Make somebody curious about it, truthfully.",
            "Pretend to present this on air.",
            "No lists, no jargon: what have we here?",
            "Help a deaf friend imagine it.",
        ),
    ),
    "attributes": Phrasings(
        train=(
            "[I know|I was told|It says] that [this|the <noun>|this <noun>] is {told}. What else [is it|can you "
            "say|can be said of it|describes it|do you hear]?",
            "[Besides|In addition to|Apart from] {told}: [which words describe|what else describes|which other words "
            "fit] "
            "[this|the <noun>|this <noun>]?",
            "[Given|Known so far]: {told}. [Complete the description.|What is missing?|Add what you hear.|Which "
            "attributes "
            "are missing?]",
            "[Its tags so far are|So far it is tagged] {told}. [Which|What] [other tags|further tags|tags] [should be "
            "added|are missing|would you add]?",
        ),
        held_out=(
            "My label reads {told}, and there is room for more. What should I write there?",
            "{told}: that much I have. Continue the list from what you hear.",
            "Somebody stopped tagging after {told}. Finish the job.",
            "Fill in what nobody noted yet; noted is {told}.",
            "Only {told} is in my database. Enrich the entry.",
            "Starting from {told}, what further words does the sound deserve?",
            "The catalogue knows {told} and nothing else. What should it also know?",
            "Expand on this: {told}.",
        ),
    ),
    "reword": Phrasings(
        train=(
            "[Put|Say] [this|this caption|the following|this description] [in other words|differently|in another "
            "way]: {caption}",
            "[Rephrase|Paraphrase|Reword|Rewrite] [this|this caption|the following|the description]: {caption}",
            "[How else|In what other words] [could|can|would] [one|you] [say|put] [this|that]: {caption}",
            "[Give me|Write|Find] another [wording|version] [of|for] [this caption|this|this description]: {caption}",
        ),
        held_out=(
            "Same meaning, new words, please: {caption}",
            "I wrote this and do not like my wording: {caption} Change it, but not what it says.",
            "Turn this over on your tongue and give it back otherwise: {caption}",
            "{caption} How might another writer have put that?",
            "Without altering a fact, freshen this up: {caption}",
            "Vary this sentence for me: {caption}",
            "Let me have a twin of this text that shares its facts only: {caption}",
            "Express what follows in your own manner: {caption}",
        ),
    ),
}
"""What a user asks for, by kind; what "writing" asks for are the questions "caption" of `wordings`."""

_FACTS_ONLY = (
    "Name no instrument, voice, key, number or place that the list does not give, deny nothing that it does not deny, "
    "and do not speak of lyrics, artists or quality. Answer with the text alone."
)
ORDERS: dict[str, str] = {
    "writing": "Turn the list of facts about a recording into a description of two or three flowing sentences that "
    "uses all of them. " + _FACTS_ONLY,
    "summary": "Turn the list of facts about a recording into one sentence of at most fifteen words that keeps what "
    "matters most. " + _FACTS_ONLY,
    "retelling": "Tell a friend who has not heard the recording what it is like, in two or three sentences of everyday "
    "English, saying in words of your own what the list of facts says. " + _FACTS_ONLY,
    "attributes": "Somebody knows some facts about a recording already. Write one or two sentences that add the other "
    "facts of the list, all of them, without repeating what is known. " + _FACTS_ONLY,
    "reword": "Say what the caption says in other words and another order of sentences, no longer than it is. Keep "
    "every number, key, instrument and negation; add nothing. Answer with the new caption alone.",
}
"""What a language model is told, by kind."""
