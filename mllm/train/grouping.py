"""Which conversations are computed together, so that little is computed on padding.

In: conversations in the order of the data, and their lengths. Out: groups of them, by a rule: what fills a row, or what
has like lengths. The same data gives the same groups. Knows neither tokens nor tensors nor models.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeAlias, TypeVar

from mllm.errors import ConfigError, PromptError

Conversation = TypeVar("Conversation")

Rule: TypeAlias = Callable[[Sequence[int], int], list[int]]
"""Lengths of the conversations that wait, oldest first, and `max_tokens` -> positions of those that go now.

The oldest, position 0, is always among them, so none waits for more than `look_ahead` groups.
"""


MOST_EMPTY = 0.02
"""Share of empty groups with which conversations are not spread anew."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupingConfig:
    """How conversations are put together."""

    max_tokens: int = 2048
    """Most tokens of a group, padding included where it is padded."""
    look_ahead: int = 256
    """Conversations, in the order of the data, from which a group is chosen; 1 keeps that order exactly."""
    leave_out_long: bool = False
    """Whether conversations longer than `max_tokens` are left out and counted; otherwise they are an error."""

    def __post_init__(self) -> None:
        for name in ("max_tokens", "look_ahead"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 1 or more")


def fill_row(lengths: Sequence[int], max_tokens: int) -> list[int]:
    """The oldest, then from the longest to the shortest whatever still fits into the row.

    Row by row this is first-fit decreasing (D. S. Johnson, "Near-optimal bin packing algorithms", 1973), but for the
    oldest, which comes first so that nobody waits for ever.
    """
    chosen, room = [0], max_tokens - lengths[0]
    for position in sorted(range(1, len(lengths)), key=lambda position: (-lengths[position], position)):
        if lengths[position] <= room:
            chosen.append(position)
            room -= lengths[position]
    return sorted(chosen)


def like_lengths(lengths: Sequence[int], max_tokens: int) -> list[int]:
    """The oldest, then those whose lengths are nearest to it, as many as fit when all are padded to the longest."""
    chosen, longest = [0], lengths[0]
    for position in sorted(range(1, len(lengths)), key=lambda position: abs(lengths[position] - lengths[0])):
        padded = max(longest, lengths[position])
        if padded * (len(chosen) + 1) <= max_tokens:
            chosen.append(position)
            longest = padded
    return sorted(chosen)


def even_rows(
    conversations: Sequence[Conversation], max_tokens: int, length: Callable[[Conversation], int]
) -> list[list[Conversation]]:
    """One batch in as few rows of `max_tokens` as `fill_row` finds, their lengths as even as it can make them.

    Rows of a batch are padded to the longest of them, so a last row with little in it would be mostly padding.

    Raises:
        PromptError: if a conversation has more tokens than a row takes.
    """

    def rows(row_tokens: int) -> list[list[Conversation]]:
        config = GroupingConfig(max_tokens=row_tokens, look_ahead=len(conversations))
        return list(Grouping(config, fill_row, length).groups(conversations))

    fewest = len(rows(max_tokens))
    lengths = [length(conversation) for conversation in conversations]
    shortest = max(*lengths, -(-sum(lengths) // fewest))
    limits = range(shortest, max_tokens)
    return rows(shortest + bisect.bisect_left(limits, True, key=lambda limit: len(rows(limit)) <= fewest))


def spread(
    grouped: Callable[[int], list[list[Conversation]]], *, max_tokens: int, longest: int, multiple: int
) -> list[list[Conversation]]:
    """Groups whose number is a multiple of something, or falls short of one by little, all about equally full.

    Full groups and some empty ones to make up the number would have the processes of a step wait for each other.

    Args:
        grouped: gives the groups of at most so many tokens.
        max_tokens: of a group.
        longest: tokens of the longest conversation.
        multiple: of which the number of groups shall be one.
    """
    fewest = grouped(max_tokens)
    wanted = -(-len(fewest) // multiple) * multiple
    if wanted - len(fewest) <= MOST_EMPTY * wanted:
        return fewest
    limits = range(longest, max_tokens)
    limit = longest + bisect.bisect_left(limits, True, key=lambda limit: len(grouped(limit)) <= wanted)
    groups = grouped(limit)
    return groups if len(fewest) <= len(groups) <= wanted else fewest


class Grouping(Generic[Conversation]):
    """Puts a stream of conversations into groups.

    Args:
        config: sizes.
        rule: `fill_row` or `like_lengths`.
        length: tokens of a conversation, soft tokens among them.
        name: what an error calls a conversation; by default its number in the data, from 0.
    """

    def __init__(
        self,
        config: GroupingConfig,
        rule: Rule,
        length: Callable[[Conversation], int],
        name: Callable[[Conversation], str] | None = None,
    ) -> None:
        self._config = config
        self._rule = rule
        self._length = length
        self._name = name
        self.left_out = 0
        """Conversations that were too long and left out so far."""

    def groups(self, conversations: Iterable[Conversation]) -> Iterator[list[Conversation]]:
        """Groups, each with its conversations in the order of the data; every conversation is in exactly one.

        Raises:
            PromptError: if a conversation has more tokens than a group takes, unless such are left out.
        """
        waiting: list[Conversation] = []
        for conversation in self._of_fitting_length(conversations):
            waiting.append(conversation)
            if len(waiting) == self._config.look_ahead:
                yield self._take(waiting)
        while waiting:
            yield self._take(waiting)

    def _take(self, waiting: list[Conversation]) -> list[Conversation]:
        positions = self._rule([self._length(conversation) for conversation in waiting], self._config.max_tokens)
        group = [waiting[position] for position in positions]
        for position in reversed(positions):
            del waiting[position]
        return group

    def _of_fitting_length(self, conversations: Iterable[Conversation]) -> Iterator[Conversation]:
        for number, conversation in enumerate(conversations):
            length = self._length(conversation)
            if length <= self._config.max_tokens:
                yield conversation
            elif self._config.leave_out_long:
                self.left_out += 1
            else:
                name = f"number {number}" if self._name is None else self._name(conversation)
                raise PromptError(
                    f"Conversation {name} has {length} tokens, but at most {self._config.max_tokens} are taken "
                    "together: raise max_tokens, or shorten the conversation or its recordings."
                )
