"""What checks find: one defect in one place, and the account of all of them.

In: findings, one after the other. Out: counts of each kind with the first examples, however many there are. Knows no
check.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias, get_args

Severity: TypeAlias = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The gravest first: an error makes data wrong or figures worthless, a warning deserves a look, a note only tells."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One defect in one place."""

    check: str
    """The file in `checks/` that found it; "files" for what cannot be read."""
    severity: Severity
    kind: str
    """The same few words for all defects of this kind, such as "silent recording"."""
    where: str
    """File and row, id, or path."""
    what: str
    """What is there, as a clause."""
    cure: str
    """What to do, as a command."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.cure}"


@dataclasses.dataclass(kw_only=True, slots=True)
class Group:
    """All findings of one kind."""

    check: str
    severity: Severity
    kind: str
    count: int = 0
    examples: list[Finding] = dataclasses.field(default_factory=list)
    """The first of them."""


class Tally:
    """Counts findings by kind and keeps the first few of each."""

    def __init__(self, examples: int) -> None:
        """Start an account that keeps so many examples of each kind."""
        self._examples = examples
        self._groups: dict[tuple[str, str, str], Group] = {}

    def add(self, finding: Finding) -> None:
        """Count one."""
        key = (finding.check, finding.severity, finding.kind)
        group = self._groups.get(key)
        if group is None:
            group = Group(check=finding.check, severity=finding.severity, kind=finding.kind)
            self._groups[key] = group
        group.count += 1
        if len(group.examples) < self._examples:
            group.examples.append(finding)

    def groups(self) -> Iterator[Group]:
        """The kinds, the gravest and then the commonest first."""
        return iter(
            sorted(self._groups.values(), key=lambda one: (SEVERITIES.index(one.severity), -one.count, one.kind))
        )

    def count(self, severity: Severity) -> int:
        """How many of one severity were found."""
        return sum(group.count for group in self._groups.values() if group.severity == severity)
