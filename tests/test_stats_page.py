"""Tests of the page of `mllm data stats --html` in a real Chromium: it plays, filters, seeks, runs its own script only.

Everything is opened from disk; whatever the page asked of a network, or wrote as an error, fails the test.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from mllm import cli
from tests import instruction_sets, page_in_browser
from tests.instruction_sets import record

pytestmark = page_in_browser.NEEDS_CHROMIUM
browser = page_in_browser.browser

HOSTILE = '<script>document.title = "taken"</script><img src=x onerror="document.title = 1">'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pieces, one with a hostile title, caption and question."""
    folder = tmp_path_factory.mktemp("sets") / "folk tunes"
    tracks = instruction_sets.tracks()[:3]
    tracks[1] = dataclasses.replace(tracks[1], title=f"Piece 1 {HOSTILE}", captions=(HOSTILE,), style=HOSTILE)
    records = instruction_sets.records(tracks)
    records.append(record(tracks[2], "comparing", [(f"Why? {HOSTILE}", HOSTILE)], task=f"own {HOSTILE}"))
    # A page shows the first records of a track.
    records.sort(key=lambda one: one.task in ("yes_no", "multiple_choice"))
    instruction_sets.write(folder, tracks, records)
    return folder


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    path = folder.parent / "page of it.html"
    assert cli.main(["data", "stats", str(folder), "--html", str(path)]) == 0
    return path


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may ask for files only, and must not break."""
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    asked: list[str] = []
    broken: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda error: broken.append(str(error.error)))
    context.on("console", lambda message: broken.append(message.text))
    yield context.new_page()
    context.close()
    assert asked
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert broken == []


def test_it_shows_figures_and_charts(page: Page, file: Path) -> None:
    page.goto(file.as_uri())
    expect(page).to_have_title("folk tunes: what is in it")
    expect(page.locator(".tiles")).to_contain_text("3recordings")
    expect(page.get_by_role("img", name=re.compile("^tempo in BPM. 80–90: 2, 90–100: 1"))).to_be_visible()
    expect(page.get_by_role("row", name="task yes_no 24")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_recordings_play_one_at_a_time_and_the_timeline_follows_and_seeks(page: Page, file: Path) -> None:
    page.goto(file.as_uri())
    first, second, _ = page.locator("audio").all()
    playing = "audio => audio.play().then(() => !audio.paused)"
    assert first.evaluate(playing)
    expect(page.locator(".now").first).not_to_have_attribute("x1", "120")
    assert second.evaluate(playing)
    assert first.evaluate("audio => audio.paused")
    assert second.evaluate("audio => audio.duration") == pytest.approx(6.0, abs=0.1)
    second.evaluate("audio => audio.pause()")
    timeline = page.locator(".timeline").nth(1)
    box = timeline.bounding_box()
    assert box is not None
    middle = 120 + 640 * 0.98 / 2
    timeline.click(position={"x": box["width"] * middle / 760, "y": box["height"] / 2})
    assert second.evaluate("audio => audio.currentTime") == pytest.approx(3.0, abs=0.1)
    line = page.locator(".now").nth(1)
    expect(line).to_have_attribute("x1", re.compile(r"^43\d"))


def test_questions_are_filtered_by_task(page: Page, file: Path) -> None:
    page.goto(file.as_uri())
    expect(page.locator("#shown")).to_have_text("3 recordings, 36 conversations")
    page.get_by_role("combobox", name="Task").select_option("caption")
    expect(page.locator("#shown")).to_have_text("3 recordings, 3 conversations")
    expect(page.locator(".asked li:visible")).to_have_count(3)
    page.get_by_role("combobox", name="Task").select_option(label=f"own {HOSTILE}")
    expect(page.locator(".sample:visible")).to_have_count(1)
    page.get_by_role("combobox", name="Task").select_option("")
    expect(page.locator(".sample:visible")).to_have_count(3)


def test_texts_of_strangers_are_text(page: Page, file: Path) -> None:
    page.goto(file.as_uri())
    expect(page.locator("blockquote")).to_have_text(HOSTILE)
    expect(page.locator(".sample h3", has_text="Piece 1")).to_have_text(f"Piece 1 {HOSTILE}")
    expect(page.locator(".asked li").filter(has_text="Why?").locator(".answer")).to_have_text(HOSTILE)
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1
    assert page.title() == "folk tunes: what is in it"


def test_no_script_but_its_own_would_run(browser: Browser, file: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.html"
    text = file.read_text(encoding="utf-8")
    spoilt.write_text(text.replace("<main>", '<main><script>document.title = "taken"</script>', 1), encoding="utf-8")
    page = browser.new_page()
    page.goto(spoilt.as_uri())
    expect(page.locator("#shown")).to_have_text("3 recordings, 36 conversations")
    assert page.title() == "folk tunes: what is in it"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_in_light_and_dark(browser: Browser, file: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(file.as_uri())
    for selector in (".answer", ".question", ".task", ".chip", ".plain", "svg .count", "svg .name", "dt", "#shown"):
        assert page.evaluate(page_in_browser.CONTRAST, selector) >= 4.5, selector
    page.close()


def test_linked_recordings_play_from_disk(page: Page, folder: Path) -> None:
    path = folder.parent / "linked.html"
    assert cli.main(["data", "stats", str(folder), "--html", str(path), "--links"]) == 0
    assert path.stat().st_size < 100_000
    page.goto(path.as_uri())
    assert page.locator("audio").first.evaluate("audio => audio.play().then(() => !audio.paused)")
    assert page.locator("audio").first.get_attribute("src") == "folk%20tunes/audio/piece-0.wav"


def test_a_page_is_bounded_and_says_what_cannot_be_heard(page: Page, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.html"
    words = ["data", "stats", str(folder), "--html", str(path), "--max-mib", "0.01"]
    assert cli.main(words) == 0
    page.goto(path.as_uri())
    expect(page.locator("audio")).to_have_count(1)
    expect(page.get_by_text("Not in this page, which is full")).to_have_count(2)
