"""The chat page at `/`, and the files that it is made of.

In: requests for exactly these files. Out: the files, with headers that keep a browser from asking any other host. Knows
no model and no keys: what the page shows it asks of the same API as every other client.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from importlib import resources
from pathlib import PurePath

from fastapi import APIRouter, Request
from fastapi.responses import Response

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob: data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept by the browser, but asked about: a new version is seen at once
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PageFile:
    """One file of the page."""

    content: bytes
    media_type: str
    etag: str


@functools.cache
def files() -> Mapping[str, PageFile]:
    """The files by the paths they are asked for at: `/` is the page itself, all others lie under `/page/`."""
    found = {}
    for one in (resources.files("mllm.serve") / "page").iterdir():
        media_type = TYPES.get(PurePath(one.name).suffix)
        if media_type is not None:
            content = one.read_bytes()
            path = "/" if one.name == "index.html" else f"/page/{one.name}"
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[path] = PageFile(content=content, media_type=media_type, etag=etag)
    return found


def make_router() -> APIRouter:
    """A route for each file; there is none for any other path, so that nothing else can be asked for."""
    router = APIRouter()
    for path, file in files().items():
        answer = functools.partial(_answer, file)
        router.add_api_route(path, answer, methods=["GET", "HEAD"], include_in_schema=False)
    return router


async def _answer(file: PageFile, request: Request) -> Response:
    headers = {**HEADERS, "ETag": file.etag}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if file.etag in known:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
