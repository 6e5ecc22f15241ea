"""Tools in a conversation: the text that they become, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mllm.errors import MessageError
from mllm.messages import Message, Text, parse, to_json

TEMPO = {
    "type": "function",
    "function": {
        "name": "set_tempo",
        "description": "Sets the tempo of the player.",
        "parameters": {"type": "object", "properties": {"bpm": {"type": "number"}}, "required": ["bpm"]},
    },
}
STOP = {"type": "function", "function": {"name": "stop", "strict": True}}
ASKED = {"role": "user", "content": "Faster, please."}
TOLD = """\
Tools can be called, one a line:
{"name": "set_tempo", "description": "Sets the tempo of the player.", "parameters": {"type": "object", \
"properties": {"bpm": {"type": "number"}}, "required": ["bpm"]}}
{"name": "stop"}
To call one, write its name and its arguments:
<tool_call>
{"name": <name>, "arguments": {<arguments>}}
</tool_call>"""


def call(identity: str, name: str = "set_tempo", arguments: str = '{"bpm": 99}') -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: Any, **others: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": list(calls), **others}


def result(identity: str, content: Any = "done") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identity, "content": content}


def test_tools_are_told_by_the_system_message() -> None:
    told = Text(text=TOLD)
    (system, user) = parse([ASKED], tools=[TEMPO, STOP])
    assert system == Message(role="system", parts=(told,))
    assert user == parse([ASKED])[0]
    (system, _) = parse([{"role": "system", "content": "Be brief."}, ASKED], tools=[TEMPO, STOP])
    assert system == Message(role="system", parts=(Text(text="Be brief."), told))


@pytest.mark.parametrize("tools", [None, []])
def test_without_tools_nothing_is_told(tools: Any) -> None:
    assert parse([ASKED], tools=tools) == parse([ASKED])


def test_calls_and_results_become_text() -> None:
    conversation = [
        ASKED,
        calling(call("a"), call("b", "stop", "{}"), content="Yes."),
        result("a"),
        result("b", [{"type": "text", "text": "not"}, {"type": "text", "text": "playing"}]),
        calling(call("c", arguments='{"bpm": "schnell, für mich"}'), content=""),
        result("c", ""),
        {"role": "user", "content": "And now?"},
    ]
    parsed = parse(conversation)
    assert [(message.role, [part.text for part in message.parts if isinstance(part, Text)]) for message in parsed] == [
        ("user", ["Faster, please."]),
        (
            "assistant",
            [
                "Yes.",
                '<tool_call>\n{"name": "set_tempo", "arguments": {"bpm": 99}}\n</tool_call>',
                '<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>',
            ],
        ),
        (
            "user",
            [
                "<tool_response>\ndone\n</tool_response>",
                "<tool_response>\nnot\nplaying\n</tool_response>",
            ],
        ),
        (
            "assistant",
            ['<tool_call>\n{"name": "set_tempo", "arguments": {"bpm": "schnell, für mich"}}\n</tool_call>'],
        ),
        ("user", ["<tool_response>\n\n</tool_response>"]),
        ("user", ["And now?"]),
    ]
    assert parse(to_json(parsed)) == parsed


def test_an_answer_with_an_empty_list_of_calls_is_an_answer() -> None:
    """Clients send back what they got, and servers say so that there were none."""
    assert parse([ASKED, calling(content="Done.")]) == parse([ASKED, {"role": "assistant", "content": "Done."}])


def changed(**fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {**TEMPO["function"], **fields}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("tools", "sentence"),
    [
        ("set_tempo", "tools: expected a list, got a string"),
        ([TEMPO, {"type": "custom", "function": {}}], r"tools\[1\].type: got 'custom', expected 'function'"),
        ([{"type": "function"}], r"tools\[0\]: the key 'function' is missing"),
        ([TEMPO, TEMPO], r"tools\[1\].function.name: there is a tool 'set_tempo' before"),
        ([changed(name="")], r"tools\[0\].function.name: is an empty string"),
        ([changed(name="</tool_call>")], r"function.name: got '</tool_call>', expected up to 64 letters"),
        ([changed(name="a" * 65)], r"function.name: got 'a+', expected up to 64 letters"),
        ([changed(parameters=[])], r"function.parameters: expected a JSON schema, got a list"),
        ([changed(parameters={"type": "string"})], r"parameters.type: got 'string', expected 'object'"),
        ([changed(parametres={})], r"unknown key 'parametres', .*did you mean 'parameters'"),
    ],
)
def test_wrong_tools_are_refused(tools: Any, sentence: str) -> None:
    with pytest.raises(MessageError, match=sentence):
        parse([ASKED], tools=tools)


@pytest.mark.parametrize(
    ("turns", "sentence"),
    [
        ([result("a")], r"messages\[1\].tool_call_id: no message before has a call 'a'"),
        ([calling(call("abc")), result("abd")], r"messages\[2\].tool_call_id: .*did you mean 'abc'"),
        ([calling(call("a"), call("a"))], r"messages\[1\].tool_calls\[1\].id: there is a call 'a' before"),
        ([calling(call("a", arguments="bpm=99"))], r"tool_calls\[0\].function.arguments: .*got 'bpm=99'"),
        ([calling(call("a", arguments="[" * 100_000))], r"function.arguments: expected the JSON of an object"),
        ([calling(call("a", arguments="[1]"))], r"function.arguments: expected the JSON of an object"),
        ([calling("set_tempo")], r"tool_calls\[0\]: expected an object"),
        ([{**calling(), "tool_calls": 3}], r"messages\[1\].tool_calls: expected a list"),
        ([calling()], r"messages\[1\]: the key 'content' is missing"),
        ([{"role": "user", "tool_calls": [call("a")], "content": "x"}], r"messages\[1\]: unknown key 'tool_calls'"),
        ([calling(call("a")), result("a", 3)], r"messages\[2\].content: expected a string or a list of texts"),
        (
            [calling(call("a")), result("a", [{"type": "item", "item": "song-1"}])],
            r"messages\[2\].content: a tool gives back text",
        ),
        ([calling(call("a")), {"role": "tool", "content": "x"}], r"messages\[2\]: the key 'tool_call_id' is missing"),
    ],
)
def test_wrong_calls_and_results_are_refused(turns: list[Any], sentence: str) -> None:
    with pytest.raises(MessageError, match=sentence):
        parse([ASKED, *turns])


def test_nested_arguments_are_kept_as_they_were() -> None:
    arguments = {"a": [1, None, {"b": "<|end|>"}], "c": 1.5}
    _, message = parse([ASKED, calling(call("a", arguments=json.dumps(arguments)))])
    (part,) = message.parts
    assert isinstance(part, Text)
    assert json.loads(part.text.split("\n")[1])["arguments"] == arguments
