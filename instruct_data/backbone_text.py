"""What the reference backbone is pre-trained on: tokenizer, made conversations, prose, first weights for lookups.

In: seeds and, optionally, public-domain prose. Out: a tokenizer and endless batches of token ids. Facts stand in the
prompt as words, in the very place where soft tokens will stand later.
"""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mllm.errors import ConfigError
from mllm.facts import INSTRUMENTS, KEYS, METERS
from mllm.instruct_data import blocks, dialogue, statements
from mllm.instruct_data.dialogue import Turn
from mllm.prompt import IGNORE_INDEX

SPECIAL_TOKENS: tuple[str, ...] = (
    "<|pad|>",
    "<|end|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|audio|>",
    "<|/audio|>",
    "<|audio_token|>",
    "<|item|>",
    "<|/item|>",
    "<|item_token|>",
)
MARKERS: dict[str, Any] = {
    "audio_token": "<|audio_token|>",
    "audio_start": "<|audio|>",
    "audio_end": "<|/audio|>",
    "item_token": "<|item_token|>",
}
"""How soft tokens are written for the reference backbone; see `mllm.prompt.Markers`."""
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SPLIT = (
    r" ?[A-G][#b](?![A-Za-z])|\d{1,2}/\d{1,2}(?!\d)|\d|'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Settings of the text that the reference backbone is trained on."""

    prose: Path | None = None
    """`books.jsonl.gz`, one {"title", "text"} a line, public domain; None trains on made text alone."""
    vocab_size: int = 3072
    """Tokens, special ones included."""
    turns: int = 36
    """Questions in a step, spread over rows of one to three."""
    prose_rows: float = 0.0
    """Share of rows that are prose."""
    steps: int = 13000
    """Batches before the data ends."""
    curriculum: Literal["lookups", "comparisons", "everything", "statements"] = "lookups"
    """Which of `CURRICULA`: what a new backbone is taught first, what it learns last, everything from the start, or
    mostly English statements."""
    seed: int = 1
    """Seed of the text."""


def read_prose(path: Path, *, characters: int = 6_000_000) -> str:
    """The first pages of many books, `characters` in all, headings removed."""
    texts: list[str] = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            body = re.sub(r"^#.*$|^-+$", "", json.loads(line)["text"], flags=re.MULTILINE)
            texts.append(re.sub(r"\s+", " ", body))
    share = characters // max(1, len(texts))
    return "\n".join(text[2000 : 2000 + share] for text in texts)


def questions_in(prose: str) -> tuple[str, ...]:
    """Questions found in prose, 15 to 90 characters long: things nobody can answer from a recording."""
    found = re.findall(r"[A-Z][^.?!\"“”]{14,88}\?", prose)
    return tuple(dict.fromkeys(q for q in found if not re.search(r"music|song|play|sing|instrument", q)))


def train_tokenizer(config: TextConfig, prose: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE in which digits, key names, meters and every word of an audio block are single tokens.

    Raises:
        ConfigError: if `vocab_size` leaves no room for them.
    """
    reserved = [*SPECIAL_TOKENS, *blocks.lexicon()]
    if config.vocab_size < len(reserved) + 512:
        raise ConfigError(f"vocab_size is {config.vocab_size}; expected at least {len(reserved) + 512}")
    rng = random.Random(config.seed)
    made: list[str] = []
    for _ in range(4000):
        context = statements.text_context(rng)
        turns = [dialogue.random_turn(rng, context.known[0]) for _ in range(8)]
        made.append(context.text + "\n".join(f"{t.question}\n{t.answer}" for t in turns))
    made += [f" {name} {name}" for name in (*KEYS, *METERS)] * 100
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in reserved],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*made, prose[:1_500_000]], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL_TOKENS[0],
        eos_token=SPECIAL_TOKENS[1],
        additional_special_tokens=reserved[2:],
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


_LOOKUPS = dialogue.Mix(roll_call=0.3, instrument=0.7, negated=0.0)
_PRESENCE = dialogue.Mix(roll_call=0.1, negated=0.05, check=0.35)
_COMPARISONS = dialogue.Mix(check=0.8, choices=0.5, roll_call=0.08, instrument=0.12)
_EVERYTHING = dialogue.Mix(check=0.3, choices=0.4, summaries=2.0)
_THE_REST = dialogue.Mix(check=0.25, choices=0.5, summaries=2.0, unanswerable=0.3)
_STATEMENTS = dialogue.Mix(roll_call=0.12, instrument=0.36, check=0.25, choices=0.5, summaries=2.0, unanswerable=0.35)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curriculum:
    """What is asked, and about what, in the course of a run; shares in [0, 1]."""

    corners: tuple[tuple[float, dialogue.Mix], ...]
    """What is asked when such a share of the batches has been drawn; in between, the mean of its neighbours."""
    several_windows: float = 0.2
    """Steps about recordings of several windows."""
    one_window: float = 0.6
    """Rows of the other steps about one window; 8 % are about two recordings, the rest about English statements."""


CURRICULA = {
    "lookups": Curriculum(
        corners=(
            (0.0, _LOOKUPS),
            (0.06, _LOOKUPS),
            (0.1, _PRESENCE),
            (0.25, _PRESENCE),
            (0.45, _EVERYTHING),
            (1.0, _EVERYTHING),
        )
    ),
    "comparisons": Curriculum(
        corners=((0.0, _COMPARISONS), (0.15, _COMPARISONS), (0.35, _EVERYTHING), (1.0, _EVERYTHING))
    ),
    "everything": Curriculum(corners=((0.0, _THE_REST), (1.0, _THE_REST)), several_windows=0.3, one_window=0.54),
    "statements": Curriculum(corners=((0.0, _STATEMENTS), (1.0, _STATEMENTS)), several_windows=0.25, one_window=0.3),
}
"""By what is taught first.

A roll call names each instrument right before its verdict, so that looking it up is one step; a yes/no question needs
that step and another one; with as many negated ones it is an exclusive or on top. Asked everything at once, half of the
questions negated, the first word of yes/no answers was chance after 320,000 questions. Comparing keys and meters is
what it learns last.
"""
_TURNS = (1, 2, 3)
_PROSE_CHARACTERS = 400


_MATCHING_HEADS = 0.5
"""Share of the heads of each layer that start by attending to like tokens."""
_MATCHING_SCALE = 5.0
"""Factor on the queries of these heads, so that a match stands out from the first step."""


@torch.no_grad()
def prepare_lookups(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, *, seed: int) -> None:
    """First weights under which a token finds the word of an audio block that is about the same thing.

    The embedding of each word of a block starts beside those of the text that says the same: `<|tens:7|>` as "7" plus a
    direction that the ten digits of that slot share, `<|harp:no|>` as " harp" plus " no". Copying from blocks is then
    the same skill as copying from text; with unrelated embeddings a backbone of 4 M parameters still answered 3 % of
    the questions about the key after 60,000 questions.

    Half of the heads start with keys that equal their queries, so that " harp" attends to `<|harp:no|>`. After 300
    steps on instruments alone, half of them roll calls, 96 % of the verdicts in roll calls about one window were right;
    59 % with random queries and keys.
    """
    embeddings = model.model.embed_tokens.weight
    generator = torch.Generator().manual_seed(seed)
    deviation = float(embeddings.std())

    def mean_of(text: str) -> torch.Tensor:
        mean: torch.Tensor = embeddings[tokenizer.encode(text, add_special_tokens=False)].mean(0)
        return mean

    for slot in blocks.SLOT_WORDS:
        shared = deviation * torch.randn(embeddings.shape[1], generator=generator)
        for word in slot:
            name, value = blocks.meaning(word)
            if value == blocks.UNKNOWN:
                start = mean_of(" cannot") + shared
            elif name in INSTRUMENTS:
                start = mean_of(f" {name.split()[0]}") + mean_of(" I" if value == "yes" else " no")
            else:
                start = mean_of(f" {value}" if name in ("tonic", "mode") else value) + shared
            embeddings[token_id(tokenizer, word)] = start
    heads = model.config.num_attention_heads
    rows = round(_MATCHING_HEADS * heads) * (model.config.hidden_size // heads)
    for layer in model.model.layers:
        queries, keys = layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight
        keys[:rows] = queries[:rows]
        queries[:rows] *= _MATCHING_SCALE


_METERS_APART = 0.6
"""By how much of itself what is a meter's own, beside what all share, is enlarged."""
_METERS_ALIKE = 1.0
"""How much of it the word of an audio block about that meter gains."""


@torch.no_grad()
def tell_meters_apart(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Makes the meters more unlike one another, and the words of audio blocks more like the meters that they are about.

    When keys were compared almost without fault already, meters were at chance: the cosines between the words of blocks
    and their meters were 0.1 to 0.5 (of tonics 0.3 to 0.5), but those between meters 0.3 to 0.5 (of tonics 0.0 to 0.4).
    """
    embeddings = model.model.embed_tokens.weight
    meters = [token_id(tokenizer, name) for name in METERS]
    words = [word for slot in blocks.SLOT_WORDS for word in slot if blocks.meaning(word)[0] == "meter"]
    stated = {blocks.meaning(word)[1]: token_id(tokenizer, word) for word in words}
    own = embeddings[meters] - embeddings[meters].mean(0)
    embeddings[[stated[name] for name in METERS]] += _METERS_ALIKE * own
    embeddings[meters] += _METERS_APART * own


def token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """The id of a token of the vocabulary."""
    found = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(found, int)
    return found


class Conversations(torch.utils.data.IterableDataset[list[dict[str, list[int]]]]):
    """Endless batches of made conversations and prose; a resumed run skips what it has seen."""

    def __init__(self, config: TextConfig, tokenizer: PreTrainedTokenizerFast, prose: str) -> None:
        self._config = config
        self._curriculum = CURRICULA[config.curriculum]
        self._tokenizer = tokenizer
        self._prose = prose
        self._asides = questions_in(prose)
        self._ids = {token: token_id(tokenizer, token) for token in SPECIAL_TOKENS}

    def __iter__(self) -> Iterator[list[dict[str, list[int]]]]:
        for step in range(self._config.steps + 1):
            rng = random.Random(f"{self._config.seed}-{step}")
            yield self.batch(rng, mix=self.mix(step))

    def mix(self, step: int) -> dialogue.Mix:
        """What is asked at a step, between the corners of the curriculum."""
        done = step / max(1, self._config.steps)
        corners = self._curriculum.corners
        for (start, before), (end, after) in itertools.pairwise(corners):
            if done < end:
                share = (done - start) / (end - start)
                fields = (field.name for field in dataclasses.fields(dialogue.Mix))
                mixed = {f: (1 - share) * getattr(before, f) + share * getattr(after, f) for f in fields}
                return dialogue.Mix(**mixed)
        return corners[-1][1]

    def batch(self, rng: random.Random, *, mix: dialogue.Mix = dialogue.MIX) -> list[dict[str, list[int]]]:
        """One step's rows; all of one step ask equally many questions."""
        turns = rng.choice(_TURNS)
        if rng.random() < self._curriculum.several_windows:
            windows = rng.choice((2, 2, 3, 3, 4, 5, 6, 8))
            count = max(1, self._config.turns // (turns + windows))
            return [self.row(rng, turns=turns, windows=windows, mix=mix) for _ in range(count)]
        return [self.row(rng, turns=turns, mix=mix) for _ in range(max(1, self._config.turns // turns))]

    def row(
        self, rng: random.Random, *, turns: int, windows: int = 1, mix: dialogue.Mix = dialogue.MIX
    ) -> dict[str, list[int]]:
        """One conversation, or a piece of prose: ids, and labels on what is to be learnt."""
        if windows == 1 and self._prose and rng.random() < self._config.prose_rows:
            start = rng.randrange(max(1, len(self._prose) - _PROSE_CHARACTERS))
            ids = self.encode(self._prose[start : start + _PROSE_CHARACTERS])
            return {"input_ids": ids, "labels": ids}
        kind = rng.random()
        one_window = self._curriculum.one_window
        if windows > 1 or kind < one_window:
            context = statements.audio_context(rng, windows=windows)
        elif kind < one_window + 0.08:
            context = statements.audio_context(rng, windows=1, recordings=2)
        else:
            context = statements.text_context(rng)
        return self._conversation(rng, context, turns, mix)

    def _conversation(
        self, rng: random.Random, context: statements.Context, turns: int, mix: dialogue.Mix
    ) -> dict[str, list[int]]:
        ids: list[int] = []
        labels: list[int] = []
        question_first = rng.random() < 0.1
        for number in range(turns):
            turn = self._turn(rng, context, mix)
            stated = context.text if number == 0 else ""
            text = turn.question + stated if question_first else stated + turn.question
            asked = [self._ids["<|user|>"], *self.encode(text), self._ids["<|end|>"], self._ids["<|assistant|>"]]
            answer = [*self.encode(turn.answer), self._ids["<|end|>"]]
            ids += asked + answer
            labels += [IGNORE_INDEX] * len(asked) + answer
        return {"input_ids": ids, "labels": labels}

    def _turn(self, rng: random.Random, context: statements.Context, mix: dialogue.Mix) -> Turn:
        if len(context.known) == 2:
            return dialogue.two_recordings_turn(rng, (context.known[0], context.known[1]), mix=mix)
        if self._asides and rng.random() < 0.03:
            return Turn(question=rng.choice(self._asides), answer=dialogue.cannot_tell("that"), intent="aside")
        turn = dialogue.random_turn(rng, context.known[0], mix=mix)
        return dataclasses.replace(turn, question=_disguise(rng, turn.question))

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text, nothing added."""
        return list(self._tokenizer.encode(text, add_special_tokens=False))


_LEADS = (
    "Please tell me: ",
    "Hello. ",
    "Hi! ",
    "Listen to this. ",
    "Now, ",
    "And ",
    "OK, ",
    "Tell me, ",
    "So ",
    "Hey, ",
    "Quick question: ",
    "Next: ",
    "One more thing: ",
    "I have a question. ",
    "Thanks. ",
    "Please listen and answer: ",
    "For my notes: ",
    "In your opinion, ",
    "Also, ",
    "Well, ",
)
_NOUN_LIST = ("piece", "song", "track", "recording", "music", "tune")
_NOUNS = re.compile(rf"\b(?:{'|'.join(_NOUN_LIST)})\b")
_TAILS = (" please", ", please", " thanks", ", if you can", " by any chance", ", can you tell", "?", "!", " ...")


def _disguise(rng: random.Random, question: str) -> str:
    """The question as people type it: of a song or a track, after a greeting, in small letters, without its mark."""
    question = _NOUNS.sub(lambda match: rng.choice(_NOUN_LIST) if rng.random() < 0.4 else match[0], question)
    kind = rng.random()
    if kind < 0.2:
        lead = rng.choice(_LEADS)
        keep = lead[-2] in ".!:" or question.startswith("I ") or rng.random() < 0.5
        question = lead + (question if keep else question[0].lower() + question[1:])
    elif kind < 0.28:
        question = question.rstrip("?.") + rng.choice(_TAILS)
    if rng.random() < 0.12:
        question = question.rstrip("?.")
    if rng.random() < 0.12:
        question = question.lower()
    return question


def pad(rows: list[list[dict[str, list[int]]]], pad_id: int) -> dict[str, torch.Tensor]:
    """Collates one ready batch: right padding, labels ignored there."""
    batch = rows[0]
    width = max(len(row["input_ids"]) for row in batch)
    return {
        "input_ids": torch.tensor([row["input_ids"] + [pad_id] * (width - len(row["input_ids"])) for row in batch]),
        "labels": torch.tensor([row["labels"] + [IGNORE_INDEX] * (width - len(row["labels"])) for row in batch]),
        "attention_mask": torch.tensor(
            [[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in batch]
        ),
    }
