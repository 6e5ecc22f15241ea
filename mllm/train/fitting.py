"""Settings with which a training fits into memory, where it did not.

In: its settings, the sizes of its model, the tokens of a row, and the memory that there is. Out: settings to change,
the ones that cost least first. Trains nothing and opens no model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from mllm.train import memory
from mllm.train.memory import Sizes
from mllm.train.run_config import RunConfig

HEADROOM = 1.4
"""What is taken over what is calculated: allocators and buffers take the rest. Of the machine's memory, 1.3 to 1.6 were
measured with a LLaMA of 30 million parameters and one to four rows of 2,048 tokens at once."""
FEWEST_TOKENS = 64
FREE = ("train.rows_at_once", "train.gradient_checkpointing")
"""Settings that an interrupted run may change, as they change what it takes and not what it learns."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Need:
    """What a training takes, as far as it depends on its settings."""

    sizes: Sizes
    row_tokens: int
    """Most tokens of a row, as they are now."""
    longest: int
    """Tokens of the longest conversation, which every row must hold."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Settings:
    rows_at_once: int
    checkpointing: bool
    quantisation: str | None
    row_tokens: int

    def bytes(self, sizes: Sizes) -> int:
        return sum(self._parts(sizes).values())

    def activations(self, sizes: Sizes) -> int:
        """What grows with the tokens of a batch, in which allocators waste most."""
        return self._parts(sizes)["activations"]

    def _parts(self, sizes: Sizes) -> dict[str, int]:
        model = sizes if self.quantisation is None else memory.quantised(sizes, self.quantisation)
        return memory.estimate(
            model, row_tokens=self.row_tokens, rows=self.rows_at_once, checkpointing=self.checkpointing
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Advice:
    """What would fit."""

    needed: int
    """Bytes that the settings as they are take, by calculation."""
    least: int
    """Bytes with the changed settings."""
    words: tuple[str, ...]
    """Changed settings, as they are given on the command line."""
    fits: bool
    """Whether that is little enough; otherwise the words are those that take least."""

    @property
    def goes_on(self) -> bool:
        """Whether a run that has a checkpoint goes on with them."""
        return all(word.partition("=")[0] in FREE for word in self.words)


def advice(config: RunConfig, need: Need, available: int) -> Advice:
    """The least change with which the training fits.

    Fewer rows at once cost nothing but time, and neither does checkpointing; a quantised backbone is a slightly other
    model, and shorter rows make other steps: they come last, and only where nothing else is enough. What failed does
    not fit, whatever the calculation says of it, so that settings must take clearly less: in all, or for its tokens.
    """
    now = _Settings(
        rows_at_once=config.train.rows_at_once,
        checkpointing=config.train.gradient_checkpointing,
        quantisation=None,  # what the model has already is in its sizes
        row_tokens=need.row_tokens,
    )
    needed = now.bytes(need.sizes)

    def fits(settings: _Settings) -> bool:
        total = settings.bytes(need.sizes)
        clearly_less = total <= needed / HEADROOM or settings.activations(need.sizes) <= now.activations(need.sizes) / 2
        return clearly_less and total <= available / HEADROOM

    least = now
    for settings in _cheapest_first(now, need.longest, quantised=config.model.quantisation is not None):
        if fits(settings):
            return Advice(needed=needed, least=settings.bytes(need.sizes), words=_words(now, settings), fits=True)
        least = min(least, settings, key=lambda one: one.bytes(need.sizes))
    return Advice(needed=needed, least=least.bytes(need.sizes), words=_words(now, least), fits=False)


def _cheapest_first(now: _Settings, longest: int, *, quantised: bool) -> Iterator[_Settings]:
    rows = [now.rows_at_once]
    while rows[-1] > 1:
        rows.append(_smaller(rows[-1]))
    forms = [(now.quantisation, now.row_tokens)]
    if not quantised:
        forms += [("int8", now.row_tokens), ("nf4", now.row_tokens)]
    tokens = now.row_tokens
    while tokens // 2 >= max(longest, FEWEST_TOKENS):
        tokens //= 2
        forms.append((forms[-1][0], tokens))
    for quantisation, row_tokens in forms:
        for checkpointing in (False, True) if not now.checkpointing else (True,):
            for at_once in rows:
                settings = _Settings(
                    rows_at_once=at_once,
                    checkpointing=checkpointing,
                    quantisation=quantisation,
                    row_tokens=row_tokens,
                )
                if settings != now:
                    yield settings


def _smaller(rows: int) -> int:
    """The largest divisor below: with it a step has as many rows as before."""
    return max(one for one in range(1, rows) if rows % one == 0)


def _words(now: _Settings, settings: _Settings) -> tuple[str, ...]:
    words = []
    if settings.rows_at_once != now.rows_at_once:
        words.append(f"train.rows_at_once={settings.rows_at_once}")
    if settings.checkpointing != now.checkpointing:
        words.append("train.gradient_checkpointing=true")
    if settings.quantisation != now.quantisation:
        words.append(f"model.quantisation={settings.quantisation}")
    if settings.row_tokens != now.row_tokens:
        words.append(f"data.max_tokens={settings.row_tokens}")
    return tuple(words)
