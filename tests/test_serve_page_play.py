"""Recordings on the chat page: they play, their moments are found, and one is recorded."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import Locator, Page, expect

from mllm.listener import Listener
from tests import page_in_browser
from tests.page_in_browser import DEMO, NEEDS_CHROMIUM, add, answers, ask, told

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


def position(player: Locator) -> float:
    return float(player.get_by_role("slider").get_attribute("aria-valuenow") or "nan")


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
