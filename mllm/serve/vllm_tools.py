"""How vLLM reads the calls that a model writes, and what it lets one write that must call.

In: answers in the form of `mllm.tool_calls`. Out: calls as OpenAI's clients know them. The reading is vLLM's own; calls
are held more tightly, so that models of every size end them. vLLM's API processes load this file by
`--tool-parser-plugin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vllm.tool_parsers.abstract_tool_parser import ToolParserManager
from vllm.tool_parsers.hermes_tool_parser import Hermes2ProToolParser
from vllm.tool_parsers.tool_strict_level import ToolStrictLevel
from xgrammar.structural_tag import JSONSchemaFormat

NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}
"""Schema of the arguments of a function that names no parameters."""
MOST_WHITESPACE = 2
"""Characters between two words of a call; a small model that may write them for ever does."""


@ToolParserManager.register_module("mllm")
class MusicLLMToolParser(Hermes2ProToolParser):
    """vLLM's parser `hermes`; arguments keep to the schema of their function, whether it says `strict` or not."""

    default_tool_strict_level = ToolStrictLevel.PARAMETER

    def get_structural_tag(self, *args: Any, **settings: Any) -> Any:
        """What a model may write that has tools; None where anything."""
        tag = super().get_structural_tag(*args, **settings)
        for part in _parts(None if tag is None else tag.format):
            if isinstance(part, JSONSchemaFormat):
                part.max_whitespace_cnt = MOST_WHITESPACE
                if part.json_schema in (True, {}):
                    part.json_schema = NO_PARAMETERS
        return tag


def _parts(part: Any) -> Iterator[Any]:
    """A format, and those inside it."""
    if isinstance(part, list):
        for one in part:
            yield from _parts(one)
    elif hasattr(part, "model_fields_set"):
        yield part
        for name in type(part).model_fields:
            yield from _parts(getattr(part, name))
