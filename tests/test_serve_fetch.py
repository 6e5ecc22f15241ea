"""The fetcher, over real sockets of this machine: what it refuses, and that names cannot lead it astray."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import ipaddress
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from mllm.errors import AudioLimitError, MllmError
from mllm.serve.fetch import Address, Fetcher, is_public, resolve
from mllm.serve.http_errors import RequestError

BODY = b"RIFF" + bytes(4000)


class Site(http.server.ThreadingHTTPServer):
    """A web site that notes what it is asked."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0, body: bytes = BODY) -> None:
        self.body = body
        self.asked: list[tuple[str, str]] = []
        super().__init__((address, port), Page)


class Page(http.server.BaseHTTPRequestHandler):
    """`/N` redirects N times, `/to/URL` redirects there, `/slow` never ends, `/status/N` fails, others give a body."""

    server: Site

    def do_GET(self) -> None:
        self.server.asked.append((self.headers["Host"], self.path))
        if self.path.startswith("/to/"):
            self.redirect(self.path.removeprefix("/to/"))
        elif self.path.strip("/").isdecimal() and self.path != "/0":
            self.redirect(f"/{int(self.path.strip('/')) - 1}")
        elif self.path.startswith("/status/"):
            self.send_error(int(self.path.rpartition("/")[2]))
        else:
            self.send_response(HTTPStatus.OK)
            if self.path != "/endless":
                self.send_header("Content-Length", str(len(self.server.body)))
            self.end_headers()
            self.wfile.write(self.server.body if self.path != "/slow" else BODY[:10])
            with contextlib.suppress(OSError):
                while self.path == "/endless":
                    self.wfile.write(BODY)
            if self.path == "/slow":
                threading.Event().wait(3.0)

    def redirect(self, place: str) -> None:
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", place)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def running(site: Site) -> Iterator[Site]:
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site()) as started:
        yield started


def anywhere(address: Address) -> bool:
    """Loopback counts as public: these tests have no other network."""
    return address.version == 4


def fetcher(
    *hosts: str,
    is_allowed: Callable[[Address], bool] = anywhere,
    names: dict[str, list[str]] | None = None,
    tls: ssl.SSLContext | None = None,
    seconds: float = 10.0,
) -> Fetcher:
    """With `names`, each look-up of a name takes its next address; the last one stays."""

    async def look_up(host: str, port: int) -> list[str]:
        if names is None:
            return await resolve(host, port)
        return [names[host].pop(0) if len(names[host]) > 1 else names[host][0]]

    return Fetcher(hosts, max_bytes=10_000, seconds=seconds, is_allowed=is_allowed, resolver=look_up, tls=tls)


def fetch(one: Fetcher, url: str) -> bytes:
    return asyncio.run(one.fetch(url))


def error_of(one: Fetcher, url: str) -> MllmError:
    with pytest.raises(MllmError) as caught:
        fetch(one, url)
    assert "\n" not in str(caught.value)
    return caught.value


def test_it_fetches_from_an_allowed_host(site: Site) -> None:
    port = site.server_port
    assert fetch(fetcher(f"127.0.0.1:{port}"), f"http://127.0.0.1:{port}/a.wav?x=1") == BODY
    assert site.asked == [(f"127.0.0.1:{port}", "/a.wav?x=1")]


def test_redirects_within_the_allowed_hosts(site: Site) -> None:
    port = site.server_port
    one = fetcher(f"127.0.0.1:{port}")
    assert fetch(one, f"http://127.0.0.1:{port}/3") == BODY
    assert "redirects more than 5 times" in str(error_of(one, f"http://127.0.0.1:{port}/9"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "example.org"])
def test_no_other_host_is_asked_not_even_after_a_redirect(site: Site, host: str) -> None:
    port = site.server_port
    one = fetcher(f"127.0.0.1:{port}")
    target = f"http://{host}:{port}/secret"
    for url in (target, f"http://127.0.0.1:{port}/to/{target}"):
        error = error_of(one, url)
        assert isinstance(error, RequestError)
        assert error.status == HTTPStatus.BAD_REQUEST
        assert "not among those that this server was allowed" in str(error)
    assert [path for _, path in site.asked] == [f"/to/{target}"]


def test_by_default_nothing_is_fetched(site: Site) -> None:
    error_of(fetcher(), f"http://127.0.0.1:{site.server_port}/a.wav")
    assert not site.asked


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://music.test/a.wav",
        "gopher://music.test/a",
        "//music.test/a.wav",
        "music.test/a.wav",
        "http://",
        "http://me:secret@music.test/a.wav",
        "http://music.test:99999/a.wav",
        "http://[::1/a.wav",
        "http://music.test/a b\r\nHost: x",
        "http://müsic.test/a.wav",
    ],
)
def test_what_is_no_address_of_the_web(url: str) -> None:
    error = error_of(fetcher("music.test"), url)
    assert isinstance(error, RequestError)
    assert error.status == HTTPStatus.BAD_REQUEST
    assert "secret" not in str(error)


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost/", "http://2130706433/", "http://0x7f.1/"])
def test_an_allowed_host_must_be_public_too(url: str) -> None:
    one = Fetcher(["127.0.0.1", "localhost", "2130706433", "0x7f.1"], max_bytes=10_000, seconds=10.0)
    assert "not on the public internet" in str(error_of(one, url))


def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to() -> None:
    """The first answer leads to the allowed site, the second to another; nobody looks a second time."""
    looked_up: list[str] = []

    def only_first(address: Address) -> bool:
        looked_up.append(str(address))
        return str(address) == "127.0.0.1"

    with running(Site()) as public, running(Site("127.0.0.2", public.server_port)) as inner:
        port = public.server_port
        one = fetcher(f"music.test:{port}", is_allowed=only_first, names={"music.test": ["127.0.0.1", "127.0.0.2"]})
        assert fetch(one, f"http://music.test:{port}/a.wav") == BODY
        assert public.asked == [(f"music.test:{port}", "/a.wav")]
        assert looked_up == ["127.0.0.1"]
        error = error_of(one, f"http://music.test:{port}/a.wav")  # it changed its address: the next fetch is refused
        assert "not on the public internet" in str(error)
        assert not inner.asked


def test_one_private_address_among_several_is_enough_to_refuse(site: Site) -> None:
    async def two(host: str, port: int) -> list[str]:
        return ["93.184.215.14", "10.0.0.1"]

    one = Fetcher(["music.test"], max_bytes=10_000, seconds=10.0, resolver=two)
    assert "not on the public internet" in str(error_of(one, "http://music.test/a.wav"))


@pytest.mark.parametrize(
    ("path", "sentence", "status"),
    [
        ("/status/404", "answers with status 404", HTTPStatus.UNPROCESSABLE_ENTITY),
        ("/slow", "was not complete after 1 s", HTTPStatus.UNPROCESSABLE_ENTITY),
    ],
)
def test_what_a_site_does_not_give(site: Site, path: str, sentence: str, status: HTTPStatus) -> None:
    port = site.server_port
    error = error_of(fetcher(f"127.0.0.1:{port}", seconds=1.0), f"http://127.0.0.1:{port}{path}")
    assert isinstance(error, RequestError)
    assert error.status == status
    assert sentence in str(error)


def test_too_much_is_not_read_to_its_end(site: Site) -> None:
    port = site.server_port
    error = error_of(fetcher(f"127.0.0.1:{port}"), f"http://127.0.0.1:{port}/endless")
    assert isinstance(error, AudioLimitError)


def test_a_site_that_is_not_there(site: Site) -> None:
    with running(Site()) as gone:
        port = gone.server_port
    assert "cannot be reached" in str(error_of(fetcher(f"127.0.0.1:{port}"), f"http://127.0.0.1:{port}/a.wav"))


def test_https_keeps_the_name_while_the_address_is_chosen(tmp_path: Path) -> None:
    """The certificate is for the name; SNI and Host carry it, the connection goes to what the resolver said."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=music.test"),
            *("-addext", "subjectAltName=DNS:music.test", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(certificate, key)
    names: list[str | None] = []
    server_tls.sni_callback = lambda _socket, name, _context: names.append(name)
    site = Site()
    site.socket = server_tls.wrap_socket(site.socket, server_side=True)
    port = site.server_port
    trusting = ssl.create_default_context(cafile=str(certificate))
    with running(site):
        known = {"music.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]}
        hosts = (f"music.test:{port}", f"other.test:{port}")
        assert fetch(fetcher(*hosts, names=known, tls=trusting), f"https://music.test:{port}/a.wav") == BODY
        assert names == ["music.test"]
        assert site.asked == [(f"music.test:{port}", "/a.wav")]
        wrong = error_of(fetcher(*hosts, names=known, tls=trusting), f"https://other.test:{port}/a.wav")
        assert "cannot be reached" in str(wrong)
        assert len(site.asked) == 1


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.215.14",
        "::ffff:0:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
