"""Chat templates by name, and whether a template fits a tokenizer.

In: a tokenizer, and the name of a file in mllm/chat_templates where another template than its own is wanted. Out: a
tokenizer whose template fits it, or one sentence that says why it does not. Knows neither models nor checkpoints nor
the message format; the folder is the list of names.
"""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import jinja2

from mllm.errors import ConfigError
from mllm.settings import near

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    Tokenizer = TypeVar("Tokenizer", bound=PreTrainedTokenizerBase)

_FOLDER = Path(__file__).parent / "chat_templates"
_MARKER = re.compile(r"<\|[^<>|\s]+\|>|(?<!<)</?\w+>(?!>)")
"""What looks like a special token: <|im_start|>, </s>, <start_of_turn>; not <<SYS>>, which is plain text in Llama 2."""
_ANSWER = "Answer"


def names() -> tuple[str, ...]:
    """The names of the templates that are shipped, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.jinja")))


def read(name: str) -> str:
    """The template of a name.

    Raises:
        ConfigError: if there is none; the near names are given.
    """
    if name not in names():
        raise ConfigError(
            f"there is no chat template named {name!r}{near(name, names())}; expected one of: {', '.join(names())}"
        )
    return (_FOLDER / f"{name}.jinja").read_text(encoding="utf-8")


def equip(tokenizer: Tokenizer, name: str | None) -> Tokenizer:
    """A tokenizer whose chat template fits it.

    Args:
        tokenizer: of the backbone; stays as it is.
        name: of the template; None takes the tokenizer's own.

    Returns:
        The tokenizer itself, or a copy of it that has the template.

    Raises:
        ConfigError: if there is no such template, the tokenizer has none of its own, or it does not fit.
    """
    if name is not None:
        tokenizer = _with_template(tokenizer, read(name))
    check(tokenizer, name)
    return tokenizer


def check(tokenizer: PreTrainedTokenizerBase, name: str | None) -> None:
    """Refuses a tokenizer whose chat template does not fit it.

    Args:
        tokenizer: with its template.
        name: of the template if it was chosen by name. The markers of such a template must each be one token; those of
            a tokenizer's own need not be, since some backbones were trained on markers that are plain text to them.

    Raises:
        ConfigError: saying why.
    """
    _check_complete(tokenizer)
    which = "the tokenizer's chat template" if name is None else f"the chat template {name!r}"
    try:
        written = _render(tokenizer)
    except jinja2.TemplateError as error:
        raise ConfigError(
            f"{which} refuses a question and its answer ({error}); expected it to write them: choose another template"
        ) from error
    _check_begin(tokenizer, written, which)
    if name is not None:
        _check_markers(tokenizer, written, which)
    _check_end(tokenizer, written, which)


def _with_template(tokenizer: Tokenizer, template: str) -> Tokenizer:
    equipped = copy.copy(tokenizer)
    equipped.chat_template = template
    return equipped


def _check_complete(tokenizer: PreTrainedTokenizerBase) -> None:
    template = tokenizer.chat_template
    if template is None:
        raise ConfigError(
            "the tokenizer has no chat template and none was chosen; expected chat_template to be one of "
            f"{', '.join(names())}: give the one that the backbone was trained with"
        )
    if not isinstance(template, str):
        raise ConfigError(
            f"the tokenizer's chat template is a {type(template).__name__}; expected one text: set "
            f"tokenizer.chat_template to one of them"
        )
    if tokenizer.eos_token is None:
        raise ConfigError(
            "the tokenizer has no end-of-sequence token; expected the one that ends an answer: set tokenizer.eos_token"
        )


def _check_begin(tokenizer: PreTrainedTokenizerBase, written: str, which: str) -> None:
    bos = tokenizer.bos_token
    if bos and written.startswith(bos * 2):
        raise ConfigError(f"{which} begins with {bos!r} twice; expected it once: take one out of the template")


def _check_markers(tokenizer: PreTrainedTokenizerBase, written: str, which: str) -> None:
    for marker in _MARKER.findall(written):
        if (pieces := _pieces(tokenizer, marker)) != 1:
            raise ConfigError(
                f"{which} writes {marker!r}, which this tokenizer splits into {pieces} tokens of ordinary text; "
                f"expected one token that the backbone knows: choose a template without such markers "
                f"({', '.join(_known(tokenizer))})"
            )


def _check_end(tokenizer: PreTrainedTokenizerBase, written: str, which: str) -> None:
    end = _end_of_turn(tokenizer, written.rpartition(_ANSWER)[2])
    if end is not None and end != tokenizer.eos_token:
        raise ConfigError(
            f"{which} ends the assistant's turn with {end!r}, but answers stop at the end-of-sequence token "
            f"{tokenizer.eos_token!r}; expected the same token: set tokenizer.eos_token = {end!r} if the backbone was "
            f"trained to end its turns with it, or choose another template"
        )


def _render(tokenizer: PreTrainedTokenizerBase) -> str:
    """What the template makes of a question and its answer."""
    conversation = [{"role": "user", "content": "Question"}, {"role": "assistant", "content": _ANSWER}]
    text = tokenizer.apply_chat_template(conversation, tokenize=False)
    assert isinstance(text, str)
    return text


def _pieces(tokenizer: PreTrainedTokenizerBase, marker: str) -> int:
    """Tokens of a text that is meant to be one special token."""
    if tokenizer.convert_tokens_to_ids(marker) in tokenizer.added_tokens_decoder.keys() - {tokenizer.unk_token_id}:
        return 1
    return max(2, len(tokenizer(marker, add_special_tokens=False)["input_ids"]))


def _end_of_turn(tokenizer: PreTrainedTokenizerBase, behind: str) -> str | None:
    """The token that ends a turn, given what stands behind the answer; None if that is ordinary text."""
    ids = tokenizer(behind, add_special_tokens=False)["input_ids"]
    if tokenizer.eos_token_id in ids:
        return str(tokenizer.eos_token)
    special = [one for one in ids if one in tokenizer.added_tokens_decoder and one != tokenizer.unk_token_id]
    return str(tokenizer.convert_ids_to_tokens(special[0])) if special else None


def _known(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Names of the templates whose markers are all tokens of the tokenizer."""
    written = {name: _render(_with_template(tokenizer, read(name))) for name in names()}
    return [
        name
        for name, text in written.items()
        if all(_pieces(tokenizer, marker) == 1 for marker in _MARKER.findall(text))
    ]
