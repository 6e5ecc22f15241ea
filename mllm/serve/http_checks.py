"""Checks of a JSON body before a route that is not ours has it, as vLLM's routes; and routes left out altogether.

In: an app with such routes, and what checks a parsed body. Out: the same routes, each with the check before it. The
body is read and parsed once, for all checks and the route together. Knows nothing of what is checked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.routing import APIRoute

from mllm.serve.http_errors import RequestError

Check = Callable[[Request, Any], None]
"""Takes a request and its parsed body; raises what the request is answered with."""


def check_before(app: FastAPI, meant: Callable[[APIRoute], bool], check_of: Callable[[APIRoute], Check]) -> None:
    """Have routes check the body of a request before they answer it.

    Args:
        app: whose routes are replaced by the same with a check before them.
        meant: whether a route is.
        check_of: gives the check of a route.
    """
    routes = app.router.routes
    for place, route in enumerate(list(routes)):
        if isinstance(route, APIRoute) and meant(route):
            app.include_router(APIRouter(routes=[route]), dependencies=[Depends(_before(check_of(route)))])
            routes[place] = routes.pop()


def leave_out(app: FastAPI, paths: Collection[str]) -> None:
    """Take routes out of an app, where it has them.

    Args:
        app: has not served yet.
        paths: of the routes that are meant.
    """
    app.router.routes[:] = [
        route for route in app.router.routes if not (isinstance(route, APIRoute) and route.path in paths)
    ]


def _before(check: Check) -> Callable[[Request], Awaitable[None]]:
    async def before(request: Request) -> None:
        try:
            content = await request.json()  # kept by the request, whose body the route has had parsed already
        except ValueError:
            return  # the route itself tells what is wrong with it
        except RecursionError as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, "the body is nested too deeply; send a flatter one") from error
        check(request, content)

    return before
