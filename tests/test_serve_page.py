"""The chat page in a real Chromium: its files, answers of the reference checkpoint, keys."""

from __future__ import annotations

import base64
import http.client
import json
import re
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from mllm.listener import Listener
from mllm.serve import http_page
from tests import page_in_browser
from tests.listener_server import KeyGate
from tests.page_in_browser import DEMO, NEEDS_CHROMIUM, SECONDS, add, answers, ask, told

pytestmark = NEEDS_CHROMIUM
# pytest finds the fixtures of a file by their names in it.
listener = page_in_browser.listener
keys = page_in_browser.keys
flow = page_in_browser.flow
server = page_in_browser.server
browser = page_in_browser.browser
tune = page_in_browser.tune
context = page_in_browser.context
page = page_in_browser.page
KEY = "of tests"


def asking(recordings: list[Path], *said: str) -> list[dict[str, Any]]:
    """The messages of a conversation whose first question is about recordings: question, answer, question, ..."""
    parts = [{"type": "audio", "path": str(one)} for one in recordings]
    first = {"role": "user", "content": [*parts, {"type": "text", "text": said[0]}]}
    others = [{"role": ("assistant", "user")[i % 2], "content": text} for i, text in enumerate(said[1:])]
    return [first, *others]


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
