"""Bodies of our routes: JSON with addresses of recordings, or a form with files.

In: a request. Out: its fields, checked, and its recordings as audio parts. What is to be fetched, it has fetched. Knows
no models.
"""

from __future__ import annotations

import asyncio
import dataclasses
import difflib
import json
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.datastructures import UploadFile
from starlette.requests import Request

from mllm.captions import Style
from mllm.errors import MllmError
from mllm.messages import Audio, read_data_url
from mllm.serve.fetch import DEFAULT_PORTS, Fetcher
from mllm.serve.http_errors import RequestError
from mllm.serve_settings import ServeSettings

FILE_FIELDS = ("file", "files", "file[]", "files[]")
"""What forms call files."""
LONGEST_FIELD_BYTES = 4096
"""Of a form's field that is no file."""
MOST_FIELDS = 20


Address = Annotated[str, Field(json_schema_extra={"format": "uri"})]


class AudioAddress(BaseModel):
    """Where a recording is, and which stretch of it is meant."""

    model_config = ConfigDict(extra="forbid")

    url: Address = Field(
        description="data:audio/<format>;base64,<data>, or http(s) of a host that the server was allowed"
    )
    start: float | None = Field(default=None, ge=0, description="seconds to start at; the beginning if absent")
    end: float | None = Field(default=None, gt=0, description="seconds to end at; the end if absent")


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(default=None, description="a name from /v1/models; the served model if absent")
    max_tokens: int | None = Field(default=None, ge=1, description="longest answer, in tokens")


class CaptionFields(_Asked):
    """What is asked for beside the recordings of `POST /v1/captions`."""

    style: Style = Field(default="long", description="short: one sentence; long: all that is told; tags: a list")


class DescribeFields(_Asked):
    """What is asked for beside the recording of `POST /v1/describe`."""

    min_confidence: float = Field(default=0.0, ge=0, le=1, description="a field of less confidence is null")


class _Stretch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start: float | None = Field(default=None, ge=0, description="seconds to start at, for every file")
    end: float | None = Field(default=None, gt=0, description="seconds to end at, for every file")


_OneAddress = Address | AudioAddress
_Addresses = Annotated[list[_OneAddress], Field(min_length=1)]


class CaptionRequest(CaptionFields):
    """Body of `POST /v1/captions` as JSON."""

    audio: Annotated[list[AudioAddress], Field(min_length=1)] = Field(
        description="one or several recordings, each an address or {url, start, end}"
    )

    @field_validator("audio", mode="before", json_schema_input_type=_OneAddress | _Addresses)
    @classmethod
    def _list(cls, value: Any) -> Any:
        return [_address(one) for one in (value if isinstance(value, list) else [value])]


class DescribeRequest(DescribeFields):
    """Body of `POST /v1/describe` as JSON."""

    audio: AudioAddress = Field(description="the recording: an address or {url, start, end}")

    @field_validator("audio", mode="before", json_schema_input_type=_OneAddress)
    @classmethod
    def _one(cls, value: Any) -> Any:
        return _address(value)


class CaptionForm(CaptionFields, _Stretch):
    """Fields of the form of `POST /v1/captions`, beside one or several files."""


class DescribeForm(DescribeFields, _Stretch):
    """Fields of the form of `POST /v1/describe`, beside the file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Named:
    """A recording of a request."""

    name: str
    """File name or address, for the answer."""
    audio: Audio | MllmError
    """The recording, or why there is none."""


Options = TypeVar("Options", bound=BaseModel)


class BodyReader:
    """Reads the bodies of requests.

    Args:
        fetcher: of recordings on the web.
        settings: the limits.
    """

    def __init__(self, fetcher: Fetcher, settings: ServeSettings) -> None:
        self._fetcher = fetcher
        self._settings = settings

    async def read(
        self, request: Request, json_type: type[Options], form_type: type[Options]
    ) -> tuple[Options, list[Named]]:
        """The fields and the recordings of a request, at least one recording.

        Args:
            request: whose body was not read yet.
            json_type: fields of a JSON body, with `audio`.
            form_type: fields of a form, without its files.

        Raises:
            RequestError: the body is not what is expected.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            options, recordings = await self._read_form(request, form_type)
        elif kind == "application/json":
            options, recordings = await self._read_json(request, json_type)
        else:
            raise RequestError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"the body is {kind or 'of no declared type'}; expected multipart/form-data with a file, or "
                "application/json with audio",
            )
        return options, recordings

    async def _read_json(self, request: Request, kind: type[Options]) -> tuple[Options, list[Named]]:
        try:
            content = json.loads(await request.body())
        except (ValueError, RecursionError) as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, "the body is not valid JSON; send one object") from error
        options = _checked(kind, content)
        audio = getattr(options, "audio")  # noqa: B009 (of every JSON body)
        addresses: list[AudioAddress] = audio if isinstance(audio, list) else [audio]
        self._check_number(len(addresses))
        return options, list(await asyncio.gather(*(self._open(one, i) for i, one in enumerate(addresses))))

    async def _read_form(self, request: Request, kind: type[Options]) -> tuple[Options, list[Named]]:
        form = await request.form(
            max_files=self._settings.max_audios + 1, max_fields=MOST_FIELDS, max_part_size=LONGEST_FIELD_BYTES
        )
        try:
            uploads = [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
            if wrong := [name for name, _ in uploads if name not in FILE_FIELDS]:
                raise RequestError(
                    HTTPStatus.BAD_REQUEST, f"the file stands in the field {wrong[0]!r}; expected 'file'"
                )
            texts = {name: value for name, value in form.multi_items() if not isinstance(value, UploadFile)}
            if wrong := [name for name in texts if name in FILE_FIELDS]:
                raise RequestError(
                    HTTPStatus.BAD_REQUEST, f"the field {wrong[0]!r} holds text; expected a file (curl: -F file=@a.mp3)"
                )
            options = _checked(kind, texts)
            self._check_number(len(uploads))
            start, end = getattr(options, "start", None), getattr(options, "end", None)
            return options, [
                Named(name=upload.filename or "file", audio=Audio(source=await upload.read(), start=start, end=end))
                for _, upload in uploads
            ]
        finally:
            await form.close()

    async def _open(self, address: AudioAddress, index: int) -> Named:
        scheme = address.url.partition(":")[0].lower()
        try:
            if scheme in DEFAULT_PORTS:
                source = await self._fetcher.fetch(address.url)
            else:
                source = read_data_url(address.url, "audio")
        except MllmError as error:
            return Named(name=f"audio {index}", audio=error)
        return Named(name=f"audio {index}", audio=Audio(source=source, start=address.start, end=address.end))

    def _check_number(self, number: int) -> None:
        if number == 0:
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                "the form holds no file; expected one in the field 'file' (curl: -F file=@a.mp3)",
            )
        if number > self._settings.max_audios:
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                f"{number} recordings were sent; at most {self._settings.max_audios} fit into one request",
            )


def _address(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


def _checked(kind: type[Options], content: Any) -> Options:
    """The fields, or the first thing that is wrong with them in a sentence."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        known = ", ".join(kind.model_fields)
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(first["loc"][-1]), kind.model_fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected {known}"
            message = f"the field {place!r} is not known; {hint}"
        elif first["type"] == "missing":
            message = f"the field {place!r} is missing"
        else:
            message = f"{place or 'the body'}: {first['msg'][0].lower()}{first['msg'][1:]}"
        raise RequestError(HTTPStatus.BAD_REQUEST, message) from error
