"""Tools of a conversation, written out as text: which there are, calls of the assistant, and what a tool gave back.

In: `tools` and `tool_calls` as OpenAI's requests hold them. Out: text, the same for every backbone, in the form that
Nous Research taught its Hermes models, of which vLLM's parser `hermes` reads the calls that a model writes. Knows no
messages, no template and no server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from mllm.message_fields import fail, kind_of, read_fields, read_string

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Names that OpenAI's API takes."""

_INVITATION = """\
Tools can be called, one a line:
{tools}
To call one, write its name and its arguments:
<tool_call>
{{"name": <name>, "arguments": {{<arguments>}}}}
</tool_call>"""


def spell_tools(tools: object, place: str = "tools") -> str:
    """Which tools there are, and how one is called.

    Args:
        tools: a list of `{"type": "function", "function": {"name": …, "description": …, "parameters": …}}`.
        place: where it stands, for the message.

    Raises:
        MessageError: it is not in that form, or two have the same name.
    """
    functions: dict[str, object] = {}
    for i, tool in enumerate(_list(tools, place)):
        here = f"{place}[{i}]"
        function = _function(tool, here, optional=())
        fields = read_fields(
            function, f"{here}.function", required=("name",), optional=("description", "parameters", "strict")
        )
        name = read_string(fields["name"], f"{here}.function.name")
        if not NAME.fullmatch(name):
            fail(f"{here}.function.name", f"got {name[:80]!r}, expected up to 64 letters, digits, _ and -")
        if name in functions:
            fail(f"{here}.function.name", f"there is a tool {name!r} before; give each its own name")
        _check_parameters(fields.get("parameters", {}), f"{here}.function.parameters")
        functions[name] = {key: value for key, value in fields.items() if key != "strict"}
    return _INVITATION.format(tools="\n".join(_json(function) for function in functions.values()))


def spell_calls(calls: object, place: str) -> dict[str, str]:
    """Calls of the assistant: the text of each by the id that the request gives it.

    Args:
        calls: a list of `{"id": …, "type": "function", "function": {"name": …, "arguments": "<JSON>"}}`.
        place: where it stands, for the message.

    Raises:
        MessageError: they are not in that form, or two have the same id.
    """
    spelled: dict[str, str] = {}
    for i, call in enumerate(_list(calls, place)):
        here = f"{place}[{i}]"
        function = _function(call, here, optional=("id",))
        fields = read_fields(function, f"{here}.function", required=("name", "arguments"))
        name = read_string(fields["name"], f"{here}.function.name")
        arguments = _arguments(read_string(fields["arguments"], f"{here}.function.arguments"), f"{here}.function")
        assert isinstance(call, dict), "it was read as one"
        identity = read_string(call.get("id", str(i)), f"{here}.id")
        if identity in spelled:
            fail(f"{here}.id", f"there is a call {identity!r} before; give each its own id")
        spelled[identity] = f"<tool_call>\n{_json({'name': name, 'arguments': arguments})}\n</tool_call>"
    return spelled


def spell_result(result: str) -> str:
    """What a tool gave back."""
    return f"<tool_response>\n{result}\n</tool_response>"


def _list(value: object, place: str) -> Sequence[object]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        fail(place, f"expected a list, got {kind_of(value)}")
    return value


def _function(value: object, place: str, optional: tuple[str, ...]) -> object:
    fields = read_fields(value, place, required=("type", "function"), optional=optional)
    if fields["type"] != "function":
        fail(f"{place}.type", f"got {fields['type']!r}, expected 'function'")
    return fields["function"]


def _check_parameters(schema: object, place: str) -> None:
    if not isinstance(schema, dict):
        fail(place, f"expected a JSON schema, got {kind_of(schema)}")
    if schema.get("type", "object") != "object":
        fail(f"{place}.type", f"got {schema['type']!r}, expected 'object', whose properties are the parameters")


def _arguments(written: str, place: str) -> object:
    try:
        arguments = json.loads(written)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        fail(f"{place}.arguments", f"expected the JSON of an object, got {written[:60]!r}")
    return arguments


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
