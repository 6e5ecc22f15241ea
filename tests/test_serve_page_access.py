"""The chat page for everybody: keyboard, screen readers, phones, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

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
