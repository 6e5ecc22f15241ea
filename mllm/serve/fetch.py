"""Fetches recordings over http(s) from hosts that were allowed, and from public addresses only.

In: an address on the web. Out: bytes. The name of a host is resolved once for each connection, all its addresses are
checked, and the connection goes to one that was checked, so that a name that changes its address in between (DNS
rebinding) gains nothing; the same for each redirect. Host header and TLS name stay those of the address given. No
proxy, no cookies, no credentials. Knows nothing of audio.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

import httpcore2

from mllm.errors import AudioLimitError
from mllm.serve.http_errors import RequestError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Addresses of a host name and port, as text."""

DEFAULT_PORTS = {"http": 80, "https": 443}
MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CARRIES_IPV4 = tuple(
    ipaddress.ip_network(network)
    for network in (
        "::/96",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
    )
)
"""IPv6 networks whose addresses stand for IPv4 ones (mapped, compatible, translated, NAT64, Teredo, 6to4)."""
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "fec0::/10",
    )
)
"""Further networks that are not the public internet: this network, carrier-grade NAT, protocol assignments, 6to4
relays, benchmarks, reserved, site-local."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, written in no roundabout way."""
    networks = _NEVER if address.version == 4 else (*_NEVER, *_CARRIES_IPV4)
    return (
        address.is_global
        and not (address.is_private or address.is_loopback or address.is_link_local or address.is_multicast)
        and not (address.is_reserved or address.is_unspecified)
        and not any(address in network for network in networks if network.version == address.version)
    )


async def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host, as the system knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Fetcher:
    """Fetches recordings.

    Args:
        hosts: that are allowed, as `name` (the default port of http and https) or `name:port`.
        max_bytes: largest recording.
        seconds: until it must be here.
        is_allowed: whether a connection may go to an address.
        resolver: of host names.
        tls: settings of https; None trusts what the system trusts.
    """

    def __init__(
        self,
        hosts: Collection[str],
        *,
        max_bytes: int,
        seconds: float,
        is_allowed: Callable[[Address], bool] = is_public,
        resolver: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._hosts = {host.lower() for host in hosts}
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._backend = _CheckedConnections(is_allowed, resolver)
        self._tls = tls or ssl.create_default_context()

    async def fetch(self, url: str) -> bytes:
        """The body of the answer to GET.

        Raises:
            RequestError: the address is not allowed (400), or did not give a recording in time (422).
            AudioLimitError: it gave too many bytes.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(url)
        except TimeoutError as error:
            raise _failed(url, f"was not complete after {self._seconds:g} s") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError) as error:
            raise _failed(url, "cannot be reached") from error

    async def _follow(self, url: str) -> bytes:
        for _ in range(MOST_REDIRECTS + 1):
            self._check(url)
            async with httpcore2.AsyncConnectionPool(
                ssl_context=self._tls, network_backend=self._backend, max_connections=1, retries=0
            ) as pool:
                headers: list[tuple[bytes | str, bytes | str]] = [
                    ("Host", _host_header(urlsplit(url))),
                    ("Accept", "audio/*"),
                    ("Accept-Encoding", "identity"),
                ]
                async with pool.stream("GET", url, headers=headers) as answer:
                    if answer.status not in _REDIRECTS:
                        return await self._body(url, answer)
                    url = urljoin(url, _header(answer, b"location").decode("ascii", "replace"))
        raise _failed(url, f"redirects more than {MOST_REDIRECTS} times")

    async def _body(self, url: str, answer: httpcore2.Response) -> bytes:
        if answer.status != HTTPStatus.OK:
            raise _failed(url, f"answers with status {answer.status}")
        if _header(answer, b"content-encoding") not in (b"", b"identity"):
            raise _failed(url, "answers in an encoding that was not asked for")
        length = _header(answer, b"content-length")
        if length.isdigit() and int(length) > self._max_bytes:
            raise self._too_large(url)
        body = bytearray()
        async for piece in answer.aiter_stream():
            body += piece
            if len(body) > self._max_bytes:
                raise self._too_large(url)
        return bytes(body)

    def _check(self, url: str) -> None:
        """Scheme, host and port; the addresses are checked when the connection is made."""
        if not url.isascii() or not url.isprintable() or " " in url:
            raise RequestError(
                HTTPStatus.BAD_REQUEST, f"{_shown(url)} is no valid address; write what is not ASCII in percent codes"
            )
        try:
            parts = urlsplit(url)
            port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, f"{_shown(url)} is no valid address ({error})") from error
        if parts.scheme not in DEFAULT_PORTS:
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                f"{_shown(url)} is not fetched; expected http, https, or the recording itself in a data: URL",
            )
        if parts.username is not None or parts.password is not None:
            raise RequestError(HTTPStatus.BAD_REQUEST, f"{_shown(url)} holds a user name; expected an address without")
        host = (parts.hostname or "").lower().rstrip(".")
        plain = host in self._hosts and port == DEFAULT_PORTS[parts.scheme]
        if not plain and f"{host}:{port}" not in self._hosts:
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                f"{_shown(url)} is not fetched: its host is not among those that this server was allowed "
                "(--allowed-audio-host); send the recording itself",
            )

    def _too_large(self, url: str) -> AudioLimitError:
        return AudioLimitError(
            f"{_shown(url)} is larger than {self._max_bytes / 2**20:g} MiB; send a shorter or compressed recording"
        )


class _CheckedConnections(httpcore2.AsyncNetworkBackend):
    """Connects by name to addresses that are allowed: resolve, check, connect to what was checked."""

    def __init__(self, is_allowed: Callable[[Address], bool], resolver: Resolver) -> None:
        self._is_allowed = is_allowed
        self._resolver = resolver
        self._sockets = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        found = [ipaddress.ip_address(text.partition("%")[0]) for text in await self._resolver(host.strip("[]"), port)]
        if not found or not all(self._is_allowed(address) for address in found):
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                f"{host} is not fetched from: it has an address that is not on the public internet",
            )
        return await self._sockets.connect_tcp(str(found[0]), port, timeout, local_address, socket_options)


def _host_header(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f"{host}:{parts.port}"


def _header(answer: httpcore2.Response, name: bytes) -> bytes:
    return next((value for key, value in answer.headers if key.lower() == name), b"")


def _failed(url: str, what: str) -> RequestError:
    return RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{_shown(url)} {what}; send the recording itself")


def _shown(url: str) -> str:
    """An address without what may be secret in it."""
    try:
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}" if parts.scheme in DEFAULT_PORTS else url
    except ValueError:
        shown = url
    return repr(shown if len(shown) <= 80 else shown[:77] + "...")
