"""Patterns of the questions that no recording answers.

In: nothing. Out: `CANNOT_TELL[what]`, in the notation of `phrases`. Knows no answers.
"""

from __future__ import annotations

CANNOT_TELL: dict[str, tuple[str, ...]] = {
    "the lyrics": (
        "What are the [lyrics|words|sung words]<of_it>?",
        "What [is|'s] [the singer|he|she|the voice|the vocalist|the song] singing[| about]?",
        "What [do the|is in the|are in the] [lyrics|words|verses] [say|mean|talk about|tell|about]?",
        "[Write|Write down|Transcribe|Quote|Type|Give me|Show|Print|Tell me|Repeat|Read out] [the|all the|"
        "me the] [lyrics|words of the <noun>|text of the <noun>|sung words|verses|chorus words|words|first "
        "verse].",
        "[What|Which] words [are in the chorus|does the singer sing|do they sing|are in it|are being sung|"
        "come in the refrain]?",
        "<know> the [lyrics|words of the <noun>|text of the <noun>|words]?",
        "What [is|'s] the [chorus|refrain|text|first line|verse] [about|of the <noun>|saying]?",
        "What are they [singing|saying|singing about]?",
        "What [is|'s] <it> about[| lyrically]?",
        "[lyrics|words|song text|lyrics of this][?||, please| please]",
        "What [does|do] [the singer|they|he|she] [say|sing][| in the chorus| in the verse]?",
        "[What|Which] story do the [words|lyrics] tell?",
    ),
    "the artist": (
        "Who [is|'s] the [artist|performer|band|group|musician|pianist|guitarist|drummer|soloist|singer]<of_it>?",
        "Who [is singing|sings|plays|performs|recorded|made|is playing|performed][ here| this| it| <it>| this <noun>]?",
        "[Which|What] [band|artist|group|orchestra|musician|performer|singer|DJ] [is this|is it|plays|"
        "recorded <this>|made <this>|performs <this>|is playing|is singing|do I hear]?",
        "[What|Which] is the [name of the singer|name of the band|band's name|artist's name|name of the "
        "artist|singer's name]?",
        "Name the [performer|artist|band|singer|group|musicians|orchestra].",
        "By [whom|which band|which artist|what group] is <it>[| played| performed| sung]?",
        "<know> [who plays <this>|who the artist is|the artist|the name of the band|who performs <this>|"
        "who sings|the band|which band <it> is by]?",
        "[artist|band|performer|singer name|who is it by|artist name|who plays this|band name][?||, please| please]",
        "Whose [recording|song|voice|band|track|performance] is <this>?",
        "[Is|Was] <it> by [the Beatles|Mozart's orchestra|a famous band|a well-known artist|Queen|Miles "
        "Davis|somebody famous]?",
        "Who are [the musicians|the players|the performers|they]?",
        "What are the [musicians|players|singers] called?",
    ),
    "the title": (
        "What [is|'s] the [title|name]<of_it>?",
        "What [is|'s] [this|this <noun>|the <noun>|it] [called|named|titled]?",
        "What is the [title|name] of [the <noun>|this <noun>]?",
        "[Name|Identify|Recognise|Recognize] [this tune|this song|the song|the tune|this piece].",
        "[Which|What] [song|tune|piece|track|number|composition] is [this|it|playing]?",
        "<know> [the title|the name of <this>|what <it> is called|what song it is|which song it is|the "
        "song's name|the name of the <noun>]?",
        "[title|song title|song name|name of the song|track name|name of the piece|which song][?||, please| please]",
        "How is [this|this <noun>|the <noun>] [called|named|titled]?",
        "Under [what|which] [title|name] was <it> released?",
        "[What|Which] title does <it> [have|bear|carry]?",
        "Tell me the [title|name]<of_it>.",
        "Do you recognise [this song|this tune|the song|which song it is]?",
    ),
    "the composer": (
        "Who [composed|wrote|created|penned|is the author of|is the composer of] [this|this music|it|<it>|"
        "the <noun>|this <noun>]?",
        "Who [is|'s|was] the [composer|songwriter|author|writer]<of_it>?",
        "[Which|What] composer [is this|is it|wrote <this>|is behind <this>|composed <this>]?",
        "[Is|Was] <it> [by|written by|composed by] [Bach|Mozart|Beethoven|Chopin|Vivaldi|a known composer]?",
        "<know> [the composer|who composed <this>|who wrote <this>|the songwriter|the composer's name]?",
        "[composer|songwriter|composed by|written by|who wrote it|composer name][?||, please| please]",
        "By which composer is <it>?",
        "Name the [composer|songwriter|author].",
        "Who [wrote|composed] the [music|melody|score|notes]?",
        "What is the [name of the composer|composer's name|name of the songwriter]?",
    ),
    "the year": (
        "When was [<it>|this <noun>|the <noun>] [recorded|made|released|written|published|produced|issued|composed]?",
        "[From|In] [which|what] [year|decade|century|period|era] [is <it>|was <it> made|was <it> recorded|"
        "was <it> released|does <it> come from|was <it> written]?",
        "[What|Which] [year|decade|century|era|period] [is <it> from|was it recorded|does <it> come from|"
        "is this|was <it> made|was <it> released]?",
        "How old is [<it>|this recording|this <noun>|the <noun>]?",
        "<know> [the year|when <it> was made|when <it> was recorded|how old <it> is|the release date|the "
        "date|the year of release]?",
        "[year|release year|date|release date|recording date|which year|decade][?||, please| please]",
        "What [is|'s] the [release date|year|recording date|date|age|year of release]<of_it>?",
        "Is <it> [old or new|from the eighties|from the sixties|a recent recording|a new recording|from this century]?",
        "Tell me the [year|date|release year]<of_it>.",
    ),
    "the album": (
        "[Which|What] [album|record|LP|CD|EP|disc|release|label|record label|publisher] [is this from|is "
        "<it> on|is <it> from|does <it> come from|released <this>|published <this>|contains <this>|was "
        "<it> on]?",
        "On [which|what] [album|record|LP|CD|label|disc] [is <it>|was <it> released|does <it> appear|can I "
        "find <it>|was <it>]?",
        "<know> [the album|which album <it> is on|the record label|the label|what album this is from]?",
        "[album|record label|album name|label|which album|name of the album][?||, please| please]",
        "What [is|'s] the [name of the album|album called|album|record label|label|name of the record]?",
        "Name the [album|record label|label|record].",
        "From [which|what] [album|record|CD] is <it>?",
        "Who [released|published] <this>, which label?",
        "Is <it> [on an album|from an album|a single]?",
        "To which album does <it> belong?",
    ),
    "the language": (
        "In [which|what] language [is <it> sung|are the lyrics|do they sing|is the singing|are the words|"
        "does she sing|does he sing|is the text]?",
        "[What|Which] language [are the words in|is <it> sung in|are the lyrics in|is the text in|do they "
        "sing in|is used by the singer|does the singer use|is it|is being sung|is spoken]?",
        "<know> [the language|in which language they sing|what language is sung|the language of the lyrics]?",
        "[language|sung language|lyrics language|which language|what language][?||, please| please]",
        "Is <it> [sung in|in] [English|French|German|Spanish|Italian|Latin|a foreign language|English or Spanish]?",
        "[Are|Were] the [words|lyrics] [in|sung in] [English|French|German|Spanish|Italian|Latin]?",
        "What [is|'s] the language<of_it>[| of the lyrics| of the song| of the singer]?",
        "Does [he|she|the singer] sing in [English|French|German|Spanish|Italian|Latin]?",
        "Name the language[| of the words| that is sung].",
    ),
    "the genre": (
        "[What|Which] [genre|style|style of music|kind of music|type of music|musical style|musical genre|"
        "sort of music] [is <it>|is this|would you say <it> is|does <it> belong to|do you hear|fits|would "
        "you put <it> in]?",
        "What [is|'s] the [genre|style|musical style|musical genre]<of_it>?",
        "Is <it> [rock or jazz|jazz|rock|pop|classical|folk|blues|techno|metal|hip hop|country|electronic "
        "music|pop or rock|classical or jazz|dance music|a waltz or a march]?",
        "<tell> the [genre|style|musical style|kind of music]<of_it>.",
        "<know> [the genre|the style|what genre <it> is|what style <it> is|which genre <it> belongs to|"
        "what kind of music it is]?",
        "[genre|style|music genre|music style|which genre|what genre|kind of music][?||, please| please]",
        "To which [genre|style] does <it> belong?",
        "In [what|which] [style|genre] is <it>[| played| written]?",
        "How would you [classify|categorise] <it>[| by genre]?",
        "Under which genre [would you file <it>|does <it> fall]?",
        "Would you call <it> [jazz|rock|pop|classical|folk|blues]?",
    ),
    "the mood": (
        "[What|Which] [mood|feeling|emotion|atmosphere|emotions|vibe|feelings] [is <it>|does <it> have|"
        "does <it> give|does <it> convey|do you feel|does <it> express|does <it> evoke|would you say <it> "
        "has|do you get]?",
        "What [is|'s] the [mood|feeling|emotion|atmosphere|vibe|emotional tone|emotional character]<of_it>?",
        "Is <it> [happy or sad|sad or happy|happy|sad|cheerful|melancholic|calm or tense|relaxing|dark|"
        "joyful|romantic|angry|cheerful or gloomy|peaceful]?",
        "<tell> the [mood|feeling|emotion|atmosphere|vibe]<of_it>.",
        "<know> [the mood|the feeling|what mood <it> is in|the atmosphere|what <it> feels like emotionally]?",
        "[mood|vibe|feeling|atmosphere|emotion|emotions][?||, please| please]",
        "How does <it> [make you feel|make one feel|make people feel]?",
        "In what mood is <it>?",
        "Does <it> [sound|feel] [happy|sad|happy or sad|cheerful|melancholic|sad or cheerful|calm|dark|gloomy|joyful]?",
        "How [happy|sad|cheerful|emotional|relaxing] is <it>?",
        "What emotions [are there|does it evoke|come across|do you sense]?",
    ),
    "who sings": (
        "Is there [a singer|a vocalist|a voice|singing|a lead singer|a human voice|any singing|any vocal|a "
        "vocal part|a vocal line]<in_it>?",
        "[Does|Did] [somebody|someone|anyone|anybody|a man|a woman|a person|a child] sing<in_it>?",
        "[Is|Was] [somebody|someone|a man|a woman|a person|a child|a male voice|a female voice] singing<in_it>?",
        "[Is|Was] the [voice|singer|vocalist|singing] [male or female|female or male|a man or a woman|male|"
        "female|a man|a woman|a man's or a woman's]?",
        "Are there [vocals|any vocals|voices|singers|sung parts|any singers|human voices|any voices]<in_it>?",
        "Do you hear [a singer|a voice|singing|somebody sing|people singing|a person singing|a human voice|"
        "any voices]<in_it>?",
        "Can you hear [a singer|a voice|singing|somebody singing|vocals|a human voice]<in_it>?",
        "Is <it> [instrumental or sung|vocal or instrumental|sung|instrumental|purely instrumental|a vocal "
        "piece|with vocals|without vocals]?",
        "[vocals|voice|singer or not|singing|any singing|male or female voice|any vocals][?||, please]",
        "<know> [if|whether] [there is a singer|somebody sings|there are vocals|there is singing|the voice "
        "is male or female]?",
        "Does <it> have [vocals|a singer|singing|any vocals|a voice|a vocal part]?",
        "How many [singers|voices|people] [are there|sing|are singing|do you hear]?",
    ),
    "the place": (
        "Where was [<it>|this <noun>|the <noun>] [recorded|made|produced|written|performed|played]?",
        "[Which|What] [country|place|city|studio|region|continent|nation|part of the world] [is this from|"
        "is <it> from|does <it> come from|was <it> recorded in|was <it> made in]?",
        "[In|From] [which|what] [country|studio|city|place|region|concert hall|hall|part of the world] "
        "[was <it> made|was <it> recorded|is <it>|does <it> come|was <it> played]?",
        "<know> [where <it> was recorded|where <it> comes from|the country|which country <it> is from|the "
        "studio|the country of origin]?",
        "[country|origin|country of origin|place of recording|studio|where is it from|recording "
        "location][?||, please| please]",
        "Where [is|does] [<it>|this <noun>|the <noun>] [from|come from|originate]?",
        "Is <it> [from Ireland|from Africa|from Spain|American|Irish|French|a live recording|from Brazil|"
        "recorded live|a studio recording]?",
        "What is the [country of origin|place of recording|recording location|origin]<of_it>?",
        "Name the [country|studio|place] [where <it> was recorded|<it> comes from|of origin].",
    ),
    "that": (),
}
"""What sound alone, to this model, does not tell; by the words used in the answer."""
