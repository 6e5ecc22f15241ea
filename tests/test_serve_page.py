"""The chat page in a real Chromium: answers of the reference checkpoint, keyboard, screen readers, phones, keys."""

from __future__ import annotations

import base64
import http.client
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import soundfile
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, Route, expect, sync_playwright

from mllm.listener import Listener
from mllm.serve import http_page
from mllm.serve_settings import ServeSettings
from tests.listener_server import KeyGate, serving
from tests.tiny_checkpoint import RATE_HZ, tone

DEMO = Path(__file__).parents[1] / "mllm" / "data" / "demo.mp3"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
KEY = "of tests"
SECONDS = 120
"""How long anything is waited for; on a quiet machine everything takes a few seconds."""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium here to show the page in (Debian: apt-get install chromium)"
)
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


def asking(recordings: list[Path], *said: str) -> list[dict[str, Any]]:
    """The messages of a conversation whose first question is about recordings: question, answer, question, ..."""
    parts = [{"type": "audio", "path": str(one)} for one in recordings]
    first = {"role": "user", "content": [*parts, {"type": "text", "text": said[0]}]}
    others = [{"role": ("assistant", "user")[i % 2], "content": text} for i, text in enumerate(said[1:])]
    return [first, *others]


def position(player: Locator) -> float:
    return float(player.get_by_role("slider").get_attribute("aria-valuenow") or "nan")


class TestFiles:
    """How the page is served."""

    def fetch(self, server: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """The path goes out as it is; clients of a higher level would tidy it."""
        connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=SECONDS)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        result = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return result

    def test_every_file_is_served_with_its_type_and_a_policy(self, server: str) -> None:
        folder = resources.files("mllm.serve") / "page"
        assert len(http_page.files()) == len(list(folder.iterdir()))
        for path, file in http_page.files().items():
            status, headers, content = self.fetch(server, path)
            assert (status, content) == (200, file.content)
            assert headers["content-type"] == file.media_type
            assert headers["content-security-policy"].startswith("default-src 'self'; ")
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert self.fetch(server, path, **{"If-None-Match": headers["etag"]})[::2] == (304, b"")
            assert self.fetch(server, path, **{"If-None-Match": f'"old", W/{headers["etag"]}'})[0] == 304
            assert self.fetch(server, path, **{"If-None-Match": '"old"'})[0] == 200

    @pytest.mark.parametrize(
        "path",
        [
            "/page",
            "/page/",
            "/page/index.html",
            "/page/../http_page.py",
            "/page/%2e%2e/http_page.py",
            "/page/..%2fhttp_page.py",
            "/page//etc/passwd",
            "/../../../../etc/passwd",
        ],
    )
    def test_no_path_leads_anywhere_else(self, server: str, path: str) -> None:
        assert self.fetch(server, path)[0] == 404

    def test_nothing_stands_inline(self) -> None:
        text = http_page.files()["/"].content.decode()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", text)


class TestConversation:
    """Questions, answers, and what can be done with them."""

    def test_two_files_and_a_question_after_another(
        self, page: Page, listener: Listener, tune: Path, context: BrowserContext
    ) -> None:
        sent: list[Request] = []
        context.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
        first, second = "Which instruments do you hear?", "What is the key of the first recording?"
        add(page, DEMO, tune)
        ask(page, first)
        told_first = answers(page, 1).last.inner_text()
        assert told_first == listener.respond(asking([DEMO, tune], first)).text
        expect(page.locator(".question .player")).to_have_count(2)
        expect(page.locator("#draft .player")).to_have_count(0)
        ask(page, second)
        told_second = answers(page, 2).last.inner_text()
        assert told_second == listener.respond(asking([DEMO, tune], first, told_first, second)).text
        expect(page.get_by_role("status")).to_have_text(told_second)

        bodies = [json.loads(request.post_data or "") for request in sent]
        assert [set(body) for body in bodies] == [{"model", "messages", "stream", "temperature"}] * 2
        kinds = [part["type"] for part in bodies[1]["messages"][0]["content"]]
        assert kinds == ["input_audio", "input_audio", "text"]
        assert bodies[1]["messages"][1:] == asking([], first, told_first, second)[1:]

        page.get_by_role("button", name="Copy").last.click()
        expect(page.get_by_role("status")).to_have_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()") == told_second

        regenerate = page.get_by_role("button", name="Regenerate")
        expect(regenerate).to_have_count(1)
        regenerate.click()
        expect(page.get_by_role("status")).to_have_text(told_second)
        assert answers(page, 2).all_inner_texts() == [told_first, told_second]
        assert json.loads(sent[2].post_data or "") == bodies[1]

        named, whole = [self.shared(page, with_content=choice) for choice in (False, True)]
        said = [told_first, second, told_second]
        parts = [{"type": "audio", "path": name} for name in ("demo.mp3", "tune.wav")]
        content = [*parts, {"type": "text", "text": first}]
        assert named == {
            "model": "mllm",
            "messages": [{"role": "user", "content": content}, *asking([], first, *said)[1:]],
        }
        assert whole["messages"][1:] == named["messages"][1:]
        recordings = [part["input_audio"] for part in whole["messages"][0]["content"][:2]]
        assert [one["format"] for one in recordings] == ["mp3", "wav"]
        assert [base64.b64decode(one["data"]) for one in recordings] == [DEMO.read_bytes(), tune.read_bytes()]

    def shared(self, page: Page, *, with_content: bool) -> Any:
        page.get_by_role("button", name="Share").click()
        page.get_by_label("Put the recordings into the file").set_checked(with_content)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert download.value.suggested_filename == "conversation.json"
        return json.loads(Path(download.value.path()).read_text())

    def test_a_recording_may_join_later(self, page: Page, listener: Listener, tune: Path) -> None:
        add(page, DEMO)
        ask(page, "What key is it in?")
        answers(page, 1)
        add(page, tune)
        with page.expect_request("**/chat/completions") as request:
            ask(page, "What key is it in?")
        texts = answers(page, 2).all_inner_texts()
        messages = json.loads(request.value.post_data or "")["messages"]
        audios = [[part["type"] for part in one["content"]] for one in messages[::2]]
        assert audios == [["input_audio", "text"]] * 2
        assert texts[1] == listener.respond(messages).text

    def test_an_answer_is_shown_as_it_comes_and_can_be_stopped(self, page: Page, flow: threading.Event) -> None:
        add(page, DEMO)
        flow.clear()
        try:
            ask(page, "Describe this recording.")
            text = page.locator(".answer > .text")
            expect(text).to_have_text(re.compile(r"\w"))
            expect(page.locator(".answer")).to_have_attribute("aria-busy", "true")
            expect(page.get_by_role("button", name="Copy")).to_be_hidden()
            begun = text.inner_text()
            page.get_by_role("button", name="Stop answering").click()
            expect(page.locator(".note")).to_have_text("Stopped.")
        finally:
            flow.set()
        assert text.inner_text() == begun
        page.get_by_role("button", name="Regenerate").click()
        expect(page.locator(".note")).to_have_count(0)
        whole = answers(page, 1).inner_text()
        assert whole.startswith(begun)
        assert len(whole) > len(begun)

    def test_an_answer_that_is_stopped_before_it_began_gives_the_question_back(self, page: Page, tune: Path) -> None:
        page.route("**/chat/completions", lambda route: None)
        add(page, tune)
        ask(page, "How fast is it?")
        page.get_by_role("button", name="Stop answering").click()
        expect(page.locator("#question")).to_have_value("How fast is it?")
        expect(page.locator("#draft .player")).to_have_count(1)
        expect(page.locator(".turn")).to_have_count(0)
        expect(page.get_by_role("button", name="Share")).to_be_hidden()

    def test_a_file_that_is_no_audio(self, page: Page, tmp_path: Path, listener: Listener, tune: Path) -> None:
        (tmp_path / "notes.wav").write_text("no music " * 50)
        page.set_input_files("#files", [tmp_path / "notes.wav", tune])
        expect(page.get_by_text("This browser cannot play it.")).to_be_visible()
        ask(page, "How fast is it?")
        expect(page.get_by_role("alert")).to_contain_text("is not audio that can be opened")
        expect(page.locator("#question")).to_have_value("How fast is it?")
        expect(page.locator(".turn")).to_have_count(0)
        page.get_by_role("button", name="Remove notes.wav").click()
        page.locator("#question").press("Enter")
        assert answers(page, 1).inner_text() == listener.respond(asking([tune], "How fast is it?")).text
        expect(page.get_by_role("alert")).to_be_empty()

    def test_a_stream_that_breaks_off(self, page: Page) -> None:
        cut = 'data: {"choices": [{"delta": {"content": "It is"}}]}\n\n'
        page.route("**/chat/completions", lambda route: route.fulfill(body=cut, content_type="text/event-stream"))
        ask(page, "What is a chorale?")
        assert answers(page, 1).inner_text() == "It is"
        expect(page.locator(".note")).to_contain_text("The answer ended early")
        error = 'data: {"error": {"message": "the engine is gone"}}\n\n'
        page.route("**/chat/completions", lambda route: route.fulfill(body=error, content_type="text/event-stream"))
        ask(page, "And a fugue?")
        expect(page.get_by_role("alert")).to_have_text("the engine is gone")
        page.route("**/chat/completions", lambda route: route.abort())
        page.locator("#question").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
        assert page.locator(".turn").count() == 1

    def test_it_says_what_was_not_heard_and_reads_no_text_as_html(self, page: Page) -> None:
        text = "<img src=x onerror=alert(1)> & <b>bold</b>"
        page.route("**/chat/completions", told(text, headers={"Warning": '299 mllm "heard 240 s of the 300 s"'}))
        ask(page, "<i>What</i> is it?")
        assert answers(page, 1).inner_text() == text
        expect(page.locator(".note")).to_have_text("The model heard 240 s of the 300 s.")
        assert page.locator(".turn img, .turn b, .turn i").count() == 0

    def test_files_can_be_dropped(self, page: Page, tune: Path) -> None:
        data = base64.b64encode(tune.read_bytes()).decode()
        transfer = page.evaluate_handle(
            """data => {
                const bytes = Uint8Array.from(atob(data), one => one.charCodeAt(0));
                const transfer = new DataTransfer();
                for (const name of ["a.wav", "b.wav"]) transfer.items.add(new File([bytes], name));
                return transfer;
            }""",
            data,
        )
        page.dispatch_event("body", "dragover", {"dataTransfer": transfer})
        expect(page.get_by_text("Drop to add")).to_be_visible()
        page.dispatch_event("body", "drop", {"dataTransfer": transfer})
        expect(page.get_by_text("Drop to add")).to_be_hidden()
        expect(page.locator("#draft .title")).to_have_text(["a.wav", "b.wav"])


class TestPlayers:
    """Hearing recordings, and going to a moment."""

    def test_play_pause_and_one_at_a_time(self, page: Page, tune: Path) -> None:
        add(page, DEMO, tune)
        page.get_by_role("button", name="Play demo.mp3").click()
        pause = page.get_by_role("button", name="Pause demo.mp3")
        expect(pause).to_be_visible()
        expect(page.locator(".seek").first).to_have_attribute("aria-valuenow", re.compile(r"^(0\.[2-9]|[1-9])"))
        page.get_by_role("button", name="Play tune.wav").click()
        expect(page.get_by_role("button", name="Play demo.mp3")).to_be_visible()
        expect(page.get_by_role("button", name="Pause tune.wav")).to_be_visible()
        expect(page.get_by_role("button", name="Play tune.wav")).to_be_visible()  # it ended

    def test_the_waveform_is_drawn_and_seeks(self, page: Page, tune: Path) -> None:
        add(page, DEMO)
        slider = page.get_by_role("slider", name="Position in demo.mp3")
        colours = """canvas => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return new Set(new Uint32Array(data.buffer)).size;
        }"""
        assert page.locator(".wave").evaluate(colours) > 2
        box = slider.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        seconds = float(slider.get_attribute("aria-valuemax") or "0")
        assert seconds == pytest.approx(soundfile.info(DEMO).duration, abs=0.2)
        assert position(page.locator(".player")) == pytest.approx(seconds / 2, abs=0.3)

    def test_time_stamps_of_an_answer_seek_the_right_player(self, page: Page, tune: Path) -> None:
        text = (
            "The guitar enters at 0:05–0:12. In tune.wav a tone begins at 1 second; it lasts 30 s in 3/4 at 140 BPM, "
            "and 59:59 is in neither."
        )
        page.route("**/chat/completions", told(text[:20], text[20:]))
        add(page, DEMO, tune)
        ask(page, "What happens at 0:20?")
        assert answers(page, 1).inner_text() == text
        moments = page.locator(".answer .moment")
        expect(moments).to_have_text(["0:05", "0:12", "1 second"])
        demo, other = page.locator(".question .player").all()
        moments.nth(1).click()
        expect(demo.get_by_role("button", name="Pause demo.mp3")).to_be_visible()
        assert 12.0 <= position(demo) < 20.0
        page.get_by_role("button", name="1 second: play tune.wav from 0:01").press("Enter")
        expect(demo.get_by_role("button", name="Play demo.mp3")).to_be_visible()
        assert 1.0 <= position(other) <= 3.0
        page.get_by_role("button", name="0:20: play demo.mp3 from 0:20").click()
        assert position(demo) >= 20.0

    def test_which_words_are_moments(self, page: Page) -> None:
        expected: dict[str, list[tuple[str, float]]] = {
            "at 75 s and 1:23": [("75 s", 75), ("1:23", 83)],
            "0:05–0:12, 1:02:03.5": [("0:05", 5), ("0:12", 12), ("1:02:03.5", 3723.5)],
            "from 10 to 20 seconds": [("10", 10), ("20 seconds", 20)],
            "between 5 s and 7.5 s": [("5", 5), ("7.5 s", 7.5)],
            "12-15 s": [("12", 12), ("15 s", 15)],
            "It lasts 30 s, in 3/4, at 120 BPM, ratio 16:9, in 1985.": [],
            "1:99 12:345 A:1": [],
        }
        for text, moments in expected.items():
            found = page.evaluate("async text => (await import('/page/times.js')).momentsOf(text)", text)
            assert [(text[one["from"] : one["to"]], one["seconds"]) for one in found] == moments

    def test_the_microphone(self, page: Page, listener: Listener) -> None:
        page.get_by_role("button", name="Record", exact=True).click()
        stop = page.get_by_role("button", name="Stop recording")
        expect(stop).to_have_text(re.compile("0:02"))
        page.locator("#question").fill("Describe this recording.")
        page.locator("#question").press("Enter")
        expect(page.get_by_role("alert")).to_have_text("Stop the recording first.")
        stop.click()
        player = page.locator("#draft .player")
        slider = player.get_by_role("slider", name="Position in recording-1.webm")
        expect(slider).not_to_have_attribute("aria-valuemax", "0.0")
        assert 1.0 < float(slider.get_attribute("aria-valuemax") or "nan") < 60.0
        slider.press("ArrowRight")
        expect(slider).to_have_attribute("aria-valuenow", "1.0")
        with page.expect_request("**/chat/completions") as request:
            page.locator("#question").press("Enter")
        said = answers(page, 1).inner_text()
        messages = json.loads(request.value.post_data or "")["messages"]
        assert messages[0]["content"][0]["audio_url"]["url"].startswith("data:audio/webm;base64,")
        assert said == listener.respond(messages).text


class TestKeys:
    """A server that wants a key."""

    @pytest.fixture(autouse=True)
    def locked(self, keys: KeyGate) -> Iterator[None]:
        keys.key = KEY
        yield
        keys.key = None

    def test_the_page_asks_for_it_and_keeps_it_in_its_tab(
        self, page: Page, context: BrowserContext, server: str
    ) -> None:
        dialog = page.get_by_role("dialog", name="This server asks for a key")
        expect(dialog).to_be_visible()
        box = dialog.get_by_label("API key")
        expect(box).to_be_focused()
        box.fill("wrong")
        box.press("Enter")
        expect(dialog).to_contain_text("did not accept that key")
        box.fill(KEY)
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog).to_be_hidden()
        ask(page, "What is a chorale?")
        answers(page, 1)
        page.reload()
        expect(page.get_by_role("dialog")).to_be_hidden()
        assert page.evaluate("Object.values(sessionStorage)") == [KEY]
        assert page.evaluate("localStorage.length + document.cookie.length") == 0
        other = context.new_page()
        other.goto(server)
        expect(other.get_by_role("dialog")).to_be_visible()

    def test_without_it_the_servers_sentence_is_shown(self, page: Page) -> None:
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("alert")).to_contain_text("the API key is missing or wrong")


def controls(page: Page) -> list[dict[str, str]]:
    """What the accessibility tree holds of controls: role and name of each."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    kinds = {"button", "link", "textbox", "slider", "checkbox", "combobox"}
    found = [node for node in nodes if not node.get("ignored") and node["role"]["value"] in kinds]
    return [{"role": node["role"]["value"], "name": node.get("name", {}).get("value", "")} for node in found]


CONTRASTS = """() => {
    const dot = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const rgba = (...colours) => {
        dot.clearRect(0, 0, 1, 1);
        for (const colour of colours) { dot.fillStyle = colour; dot.fillRect(0, 0, 1, 1); }
        return dot.getImageData(0, 0, 1, 1).data;
    };
    const light = ([...colour]) => {
        const linear = one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = colour.map(one => linear(one / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
        const hasText = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        if (!(hasText || element.placeholder) || !element.checkVisibility()) continue;
        if (element.closest(".unseen, svg, :disabled")) continue;
        const behind = [];
        for (let one = element; one; one = one.parentElement) behind.unshift(getComputedStyle(one).backgroundColor);
        const style = element.placeholder ? getComputedStyle(element, "::placeholder") : getComputedStyle(element);
        const [dark, bright] = [light(rgba(...behind)), light(rgba(...behind, style.color))].sort((a, b) => a - b);
        const what = (element.placeholder || element.textContent).trim().slice(0, 40);
        found.push([(bright + 0.05) / (dark + 0.05), `${element.tagName}.${element.className}: ${what}`]);
    }
    return found;
}"""


def fill(page: Page, tune: Path) -> None:
    """A conversation, and a question that is being written, so that there is some of everything."""
    long = "At 0:01 " + "unbelievably" * 12 + " https://example.org/" + "a" * 90
    page.route("**/chat/completions", told(long, headers={"Warning": '299 mllm "heard 240 s of the 300 s"'}))
    add(page, DEMO, tune)
    ask(page, "A question of some length about " + "everything" * 15)
    answers(page, 1)
    add(page, tune)
    page.locator("#send").click()
    expect(page.get_by_role("alert")).to_have_text("Write a question first.")


class TestForEverybody:
    """Keyboard, screen readers, small screens, light and dark."""

    def test_everything_can_be_done_with_the_keyboard(self, page: Page, tune: Path) -> None:
        focused = """() => {
            const one = document.activeElement;
            return one === document.body ? "" : one.ariaLabel || one.textContent.trim() || one.labels?.[0]?.textContent;
        }"""
        # The question box shows it by the shadow of what surrounds it.
        seen = """() => {
            const one = document.activeElement;
            const { outlineStyle } = getComputedStyle(one);
            const { boxShadow } = getComputedStyle(document.querySelector("#composer"));
            return one.id === "question" ? boxShadow.includes("0px 0px 0px 1px") : outlineStyle === "solid";
        }"""

        def reached() -> list[str]:
            page.locator(".skip").focus()
            names: list[str] = []
            while True:
                name = page.evaluate(focused)
                if not name or name in names:
                    return names
                assert page.evaluate(seen), name
                names.append(name)
                page.keyboard.press("Tab")

        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the question box")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#question")).to_be_focused()
        page.get_by_role("button", name="What key is it in?").press("Enter")
        expect(page.locator("#question")).to_be_focused()
        expect(page.locator("#question")).to_have_value("What key is it in?")
        page.keyboard.press("Shift+Enter")
        expect(page.locator("#question")).to_have_value("What key is it in?\n")

        begin = reached()
        assert begin[:3] == ["Skip to the question box", "Change to dark", "Choose files"]
        assert begin[-4:] == ["Your question", "Add audio", "Record", "Send"]
        assert len(begin) == 3 + 5 + 4
        for name in ("Choose files", "Add audio"):
            with page.expect_file_chooser() as chooser:
                page.get_by_role("button", name=name).press("Space" if name == "Add audio" else "Enter")
            assert chooser.value.is_multiple()

        add(page, DEMO, tune)
        slider = page.get_by_role("slider", name="Position in demo.mp3")
        for key, spoken in (
            ("PageUp", "10 seconds of 24 seconds"),
            ("ArrowLeft", "9 seconds of 24 seconds"),
            ("End", "24 seconds of 24 seconds"),
            ("Home", "0 seconds of 24 seconds"),
        ):
            slider.press(key)
            expect(slider).to_have_attribute("aria-valuetext", spoken)
        slider.press("Space")
        expect(page.get_by_role("button", name="Pause demo.mp3")).to_be_visible()
        slider.press("Enter")
        expect(page.get_by_role("button", name="Play demo.mp3")).to_be_visible()
        page.get_by_role("button", name="Remove tune.wav").press("Enter")
        expect(page.get_by_role("button", name="Remove demo.mp3")).to_be_focused()

        page.route("**/chat/completions", told("Listen at 0:01."))
        page.get_by_role("button", name="Send").press("Enter")
        answers(page, 1)
        whole = reached()
        for name in ("Share", "Play demo.mp3", "Position in demo.mp3", "Copy", "Regenerate", "Your question", "Send"):
            assert name in whole
        assert "0:01: play demo.mp3 from 0:01" in whole
        page.get_by_role("button", name="Share").press("Enter")
        expect(page.get_by_role("dialog", name="Share as JSON")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Share")).to_be_focused()

    def test_every_control_has_a_name(self, page: Page, tune: Path) -> None:
        assert len(controls(page)) >= 12
        assert [one for one in controls(page) if not one["name"]] == []
        fill(page, tune)
        assert len(controls(page)) >= 17
        assert [one for one in controls(page) if not one["name"]] == []
        page.get_by_role("button", name="Share").click()
        assert {"Put the recordings into the file Otherwise they are only named.", "Cancel", "Download"} <= {
            one["name"] for one in controls(page)
        }
        assert page.locator("html").get_attribute("lang") == "en"
        assert page.locator("h1").count() == 1

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_all_text_stands_out(self, page: Page, tune: Path, scheme: Any) -> None:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        measured = page.evaluate(CONTRASTS)
        fill(page, tune)
        measured += page.evaluate(CONTRASTS)
        page.get_by_role("button", name="Share").click()
        measured += page.evaluate(CONTRASTS)
        assert len(measured) > 40
        assert [one for one in measured if one[0] < 4.5] == []

    def test_a_phone_shows_it_without_scrolling_sideways(self, page: Page, tune: Path) -> None:
        page.set_viewport_size({"width": 360, "height": 740})
        width = "document.documentElement.scrollWidth"
        assert page.evaluate(width) == 360
        fill(page, tune)
        assert page.evaluate(width) == 360
        page.get_by_role("button", name="Share").click()
        assert page.evaluate(width) == 360
        page.keyboard.press("Escape")
        outside = """() => [...document.querySelectorAll("button, textarea, .player, .text")]
            .filter(one => one.checkVisibility() && !one.closest(".skip"))
            .map(one => one.getBoundingClientRect()).filter(({ left, right }) => left < 0 || right > 360).length"""
        assert page.evaluate(outside) == 0

    def test_light_and_dark(self, page: Page) -> None:
        paper = "getComputedStyle(document.body).backgroundColor"
        page.emulate_media(color_scheme="light")
        light = page.evaluate(paper)
        page.emulate_media(color_scheme="dark")
        dark = page.evaluate(paper)
        assert light != dark
        page.get_by_role("button", name="Change to light").click()
        assert page.evaluate(paper) == light
        page.reload()
        assert page.evaluate(paper) == light
        page.get_by_role("button", name="Change to dark").click()
        assert page.evaluate(paper) == dark

    def test_nothing_moves_where_no_motion_is_wanted(self, page: Page) -> None:
        page.route("**/chat/completions", lambda route: None)
        ask(page, "What is a chorale?")
        moving = "getComputedStyle(document.querySelector('.busy .text'), '::after').animationName"
        page.emulate_media(reduced_motion="no-preference")
        assert page.evaluate(moving) == "breathe"
        page.emulate_media(reduced_motion="reduce")
        assert page.evaluate(moving) == "none"
