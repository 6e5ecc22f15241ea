"""The chat page in a real Chromium, for tests: a server, a browser, what a visitor does.

In: the reference checkpoint. Out: the fixtures from `listener` to `page`, and helpers that add recordings, ask, and
wait for answers. Knows no test.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect, sync_playwright

from mllm.listener import Listener
from mllm.serve_settings import ServeSettings
from tests.listener_server import KeyGate, serving
from tests.tiny_checkpoint import RATE_HZ, tone

DEMO = Path(__file__).parents[1] / "mllm" / "data" / "demo.mp3"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
SECONDS = 120
"""How long anything is waited for; on a quiet machine everything takes a few seconds."""
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium here to show the page in (Debian: apt-get install chromium)"
)
CONTRAST = """selector => {
    const light = colour => {
        const canvas = document.createElement("canvas").getContext("2d");
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(part => part / 255);
        const linear = parts.map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const element = document.querySelector(selector);
    const style = getComputedStyle(element);
    let behind = element;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    const front = light(element.closest("svg") ? style.fill : style.color);
    const back = light(getComputedStyle(behind).backgroundColor);
    return (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
}"""
"""Of the text of the first element that a selector finds, against what is behind it: 1 to 21."""
expect.set_options(timeout=SECONDS * 1000)


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener.load()


@pytest.fixture(scope="module")
def keys() -> KeyGate:
    return KeyGate()


@pytest.fixture(scope="module")
def flow() -> threading.Event:
    """Answers flow while it is set; cleared, they halt after the next piece."""
    event = threading.Event()
    event.set()
    return event


@pytest.fixture(scope="module")
def server(listener: Listener, keys: KeyGate, flow: threading.Event) -> Iterator[str]:
    with serving(listener, ServeSettings(), keys=keys, wait=lambda: flow.wait(SECONDS)) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tune(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of one tone."""
    path = tmp_path_factory.mktemp("music") / "tune.wav"
    soundfile.write(path, tone(3.0, 440.0), RATE_HZ)
    return path


@pytest.fixture
def context(browser: Browser, server: str) -> Iterator[BrowserContext]:
    """A fresh browser profile; asserts of all its pages that nothing was asked of another host, and nothing broke."""
    context = browser.new_context(
        viewport={"width": 1200, "height": 820}, permissions=["clipboard-read", "clipboard-write", "microphone"]
    )
    context.set_default_timeout(SECONDS * 1000)
    asked: list[str] = []
    broken: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda error: broken.append(str(error.error)))
    context.on("console", lambda message: broken.append(message.text) if message.type == "error" else None)
    yield context
    context.close()
    assert asked
    assert [url for url in asked if not url.startswith((f"{server}/", f"blob:{server}/"))] == []
    assert [text for text in broken if not text.startswith("Failed to load resource")] == []


@pytest.fixture
def page(context: BrowserContext, server: str) -> Page:
    page = context.new_page()
    page.goto(server)
    return page


def add(page: Page, *files: Path) -> None:
    before = page.locator("#draft .player").count()
    page.set_input_files("#files", files)
    expect(page.locator("#draft .player")).to_have_count(before + len(files))
    for one in page.locator("#draft .seek").all():
        expect(one).not_to_have_attribute("aria-valuemax", "0.0")


def ask(page: Page, question: str) -> None:
    page.get_by_label("Your question", exact=True).last.fill(question)
    page.keyboard.press("Enter")


def answers(page: Page, count: int) -> Locator:
    """All answers, once there are so many and the last is complete."""
    expect(page.locator(".answer")).to_have_count(count)
    expect(page.locator(".answer").last.get_by_role("button", name="Copy")).to_be_visible()
    return page.locator(".answer > .text")


def told(*pieces: str, headers: dict[str, str] | None = None) -> Callable[[Route], None]:
    """Answers a request of the page as the server would, with a text that the small model would hardly say."""
    chunks = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return lambda route: route.fulfill(body=body, content_type="text/event-stream", headers=headers or {})
