"""Letters that another program broke: bytes that were not UTF-8, UTF-8 read as something else, halves, HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mllm.instruct_data import checking
from mllm.instruct_data.checking import Known, Told
from mllm.instruct_data.findings import Finding
from mllm.instruct_data.rows import Row
from mllm.instruct_data.tracks import Track

SUMMARY = "texts are whole: no replacement characters, no UTF-8 read as Latin letters, no HTML"
_ASCII = re.compile(r"[\x20-\x25\x27-\x3b=?-~\t\n\r]*")
"""Texts of these characters only are whole, and most are."""
_DEFECTS = (
    ("lost character", "error", re.compile("\N{REPLACEMENT CHARACTER}"), "get the text again and read it as UTF-8"),
    ("half a character", "error", re.compile("[\ud800-\udfff]"), "write the character whole"),
    (
        "UTF-8 read as Latin letters",
        "warning",
        re.compile("[ÂÃ][\u0080-¿]|â(?:€[\u0080-\u2122œž]|\u0080[\u0080-¿])|Ã[ƒ‚„…†‡ˆ‰Š‹Œ‘’“”•–—˜™š›œŸ€]"),
        "read the file that it came from as UTF-8",
    ),
    (
        "control character",
        "warning",
        re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\N{ZERO WIDTH NO-BREAK SPACE}]"),
        "take it out",
    ),
    (
        "HTML",
        "warning",
        re.compile(
            r"&(?:amp|lt|gt|quot|nbsp|apos|#\d{1,6}|#x[0-9a-f]{1,5});|</?(?:br|p|b|i|a|div|span)\b[^<>]{0,60}>", re.I
        ),
        "write the characters themselves",
    ),
)
_TEXTS_OF_TRACK = ("title", "style")
_LISTS_OF_TRACK = ("captions", "tags", "moods")


class Check(checking.Check):
    """Looks at one text at a time."""

    def of_track(self, row: Row[Track], known: Known) -> Iterator[Finding]:
        """Of each track."""
        texts = [getattr(row.value, name) or "" for name in _TEXTS_OF_TRACK]
        texts += [text for name in _LISTS_OF_TRACK for text in getattr(row.value, name) or ()]
        for text in texts:
            yield from self._of_text(text, f"{row.place} (track {known.id!r})")

    def of_record(self, told: Told) -> Iterator[Finding]:
        """Of each record."""
        for turn in told.turns:
            for text in turn:
                yield from self._of_text(text, f"{told.place} (record {told.record.id!r})")

    def _of_text(self, text: str, where: str) -> Iterator[Finding]:
        if _ASCII.fullmatch(text):
            return
        for kind, severity, pattern, cure in _DEFECTS:
            if there := pattern.search(text):
                around = text[max(0, there.start() - 15) : there.end() + 15]
                yield self.found(
                    "error" if severity == "error" else "warning", kind, where, f"{around!a} holds it", cure
                )
