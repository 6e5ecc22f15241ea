"""Unknown fields of a JSON body, refused by routes that would pass over them, as vLLM's do.

In: an app with such routes. Out: the same routes, which answer 400 and name what was probably meant. What is known, the
model of a route's body declares.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel

from mllm.serve.http_checks import Check, check_before
from mllm.serve.http_errors import RequestError

MOST_NAMED = 3
"""Unknown fields that are named and compared with the known ones, of as many as a body holds."""
LONGEST_NAME = 64
LIKENESS = 0.75
"""From which on a known name is taken for what was meant, in [0, 1]; at less, `store` would be taken for `stream`."""


def refuse_unknown_fields(app: FastAPI, paths: Collection[str], *, passed_over: Collection[str] = ()) -> None:
    """Have routes refuse the fields that the model of their body does not declare.

    Args:
        app: whose routes are replaced by the same with a check before them.
        paths: of the routes that are meant, where the app has them.
        passed_over: further fields that are let through, though nothing is made of them.
    """
    check_before(app, lambda route: route.path in paths, lambda route: _check(_known(route) | set(passed_over)))


def unknown_fields(content: Any, known: Collection[str]) -> list[str]:
    """Names in a parsed body that are not known; a field that is null asks for nothing and counts as absent.

    Args:
        content: any JSON; what is no object has no fields.
        known: names.
    """
    if not isinstance(content, Mapping):
        return []
    return [name for name, value in content.items() if value is not None and name not in known]


def sentence(unknown: Collection[str], known: Collection[str]) -> str:
    """What is wrong with a body that holds unknown fields, and what to do.

    Args:
        unknown: at least one name.
        known: names.
    """
    named = [name[:LONGEST_NAME] for name in list(unknown)[:MOST_NAMED]]
    near = [one for name in named for one in difflib.get_close_matches(name, known, n=1, cutoff=LIKENESS)]
    more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
    subject = "the field" if len(unknown) == 1 else "the fields"
    verb, them = ("is", "it") if len(unknown) == 1 else ("are", "them")
    hint = f"did you mean {' and '.join(map(repr, near))}?" if near else f"leave {them} out"
    return f"{subject} {', '.join(map(repr, named))}{more} {verb} not known; {hint}"


def _known(route: APIRoute) -> frozenset[str]:
    """The fields of the model that a route's function takes, and their other names."""
    models = [
        one.annotation
        for one in inspect.signature(route.endpoint, eval_str=True).parameters.values()
        if isinstance(one.annotation, type) and issubclass(one.annotation, BaseModel)
    ]
    assert models, f"no model is known of the body of {route.path}"
    fields = [(name, field) for model in models for name, field in model.model_fields.items()]
    return frozenset(name for own, field in fields for name in (own, field.alias) if name is not None)


def _check(known: Collection[str]) -> Check:
    def check(request: Request, content: Any) -> None:  # noqa: ARG001 (as it is called)
        if unknown := unknown_fields(content, known):
            raise RequestError(HTTPStatus.BAD_REQUEST, sentence(unknown, known), param=unknown[0][:LONGEST_NAME])

    return check
