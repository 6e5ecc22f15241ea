"""Tests of the page of an evaluation in a real Chromium: tables, plots, filters, players, and texts of strangers.

Everything is opened from disk; whatever the page asked of a network, or wrote as an error, fails the test.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from mllm import cli
from mllm.eval import page as writing
from mllm.eval import page_clips, results
from mllm.eval.model import ModelSettings
from mllm.eval.models.mllm import open_model
from mllm.eval.music import Music
from mllm.eval.page_clips import Stretch
from mllm.eval.questions import Said
from tests import page_in_browser, small_evaluation
from tests.small_evaluation import HOSTILE, HUGE

pytestmark = page_in_browser.NEEDS_CHROMIUM
browser = page_in_browser.browser


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the run whose answers were written by hand."""
    return writing.write(small_evaluation.hand_written(tmp_path_factory.mktemp("by hand") / "run"))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of the reference checkpoint about five rendered pieces."""
    folder = tmp_path_factory.mktemp("real")
    music = Music(folder=folder / "music", size=0.03, tell=lambda what: None)
    small_evaluation.evaluate(folder / "run", music, [open_model(None, ModelSettings())])
    return folder / "run"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may ask for files only, and must not break."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
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


def cases(page: Page) -> Locator:
    return page.locator(".case")


def choose(page: Page, name: str, option: str) -> None:
    page.get_by_role("combobox", name=name).select_option(label=option)


def play(player: Locator) -> None:
    """Start it, and wait until it goes on."""
    player.evaluate("audio => { audio.play().catch(() => {}); }")
    player.evaluate("audio => new Promise(done => setInterval(() => audio.currentTime > 0 && done(), 20))")


def length(player: Locator) -> float:
    """In seconds, once it is known."""
    known = "audio => new Promise(done => setInterval(() => audio.duration > 0 && done(audio.duration), 20))"
    return float(player.evaluate(known))


def test_it_shows_the_honest_table_and_the_plot(page: Page, written: Path) -> None:
    page.goto(written.as_uri())
    expect(page).to_have_title("Evaluation of mine")
    expect(page.locator(".tiles")).to_contain_text("2 of 2headline figures shown to listen")
    expect(page.locator("pre")).to_have_text(small_evaluation.COMMAND)
    found = results.read(written.parent).tasks["meter"].figures["accuracy"]
    score, gain = found.scores["mine"]["heard"], found.gains["mine"].difference
    row = page.get_by_role("region", name="Headline figures").get_by_role("row", name=re.compile("meter, exact"))
    expect(row).to_contain_text(f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]")
    expect(row).to_contain_text(f"+{gain.value:.2f} [{gain.low:.2f}, {gain.high:.2f}]")
    expect(row).to_contain_text("counter")
    drawn = page.get_by_role("img", name=re.compile(rf"^meter, exact: heard {score.value:.2f}, silence 0.33, noise"))
    expect(drawn).to_be_visible()
    mark = drawn.locator("path.mark-heard")
    line = drawn.bounding_box()
    dot = mark.bounding_box()
    assert line is not None
    assert dot is not None
    assert (dot["x"] + dot["width"] / 2 - line["x"]) / line["width"] == pytest.approx(score.value, abs=0.02)
    expect(page.locator(".notes")).to_contain_text("Skipped: muchomusic: its files are not here")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_is_not_shown_to_listen_is_said(page: Page, tmp_path: Path) -> None:
    constant = Said(text="4/4")
    run = small_evaluation.hand_written(tmp_path / "run", says=lambda number, question: constant, tool=False)
    page.goto(writing.write(run).as_uri())
    expect(page.locator(".tiles")).to_contain_text("0 of 2headline figures shown to listen")
    expect(page.get_by_role("region", name="Headline figures").get_by_text("not shown to listen")).to_have_count(2)
    expect(page.locator("#confidence")).to_have_count(0)


def test_a_task_shows_all_lines_groups_confusions_and_confidence(page: Page, written: Path) -> None:
    page.goto(written.as_uri())
    task = page.locator("details.task")
    task.locator("summary").click()
    expect(task.get_by_role("row", name=re.compile("^always B nothing"))).to_be_visible()
    expect(task.get_by_text("meter, exact, by noise")).to_be_visible()
    expect(task.get_by_role("img", name=re.compile("^10 dB, mine: 0."))).to_be_visible()
    matrix = task.get_by_role("region", name=re.compile("Meter, mine: what was true"))
    expect(matrix.get_by_role("columnheader")).to_have_text(
        ["true ↓ said →", "3/4", "4/4", "6/8", "nothing that can be read"]
    )
    counted = [int(text or 0) for text in matrix.locator("tbody td").all_inner_texts()]
    assert sum(counted) == 60
    assert sum(counted[3::4]) == 3  # the hostile one, the huge one, and the one without an answer
    right = sum(counted[place] for place in (0, 5, 10))
    accuracy = results.read(written.parent).tasks["meter"].figures["accuracy"].scores["mine"]["heard"].value
    assert right == round(60 * (accuracy or 0))
    diagrams = page.get_by_role("img", name=re.compile(r"^Reliability of 59 answers, calibration error 0\.\d"))
    expect(diagrams.first).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^Risk and coverage, area 0")).first).to_be_visible()


def test_cases_stand_worst_first_and_are_filtered(page: Page, written: Path) -> None:
    page.goto(written.as_uri())
    expect(page.locator("#shown")).to_have_text("120 of 120 cases")
    expect(cases(page)).to_have_count(20)
    expect(cases(page).first).to_contain_text("confidence 1.00")
    choose(page, "Model", "mine")
    expect(page.locator("#shown")).to_have_text("60 of 120 cases")
    choose(page, "Credit", "right (1)")
    number = int(str(page.locator("#shown").inner_text()).split()[0])
    accuracy = results.read(written.parent).tasks["meter"].figures["accuracy"].scores["mine"]["heard"].value
    assert number == round(60 * (accuracy or 0))
    choose(page, "Hearing", "silence")
    expect(page.locator("#shown")).to_have_text("20 of 120 cases")
    expect(cases(page).first).to_contain_text("answer to silence4/4")
    choose(page, "Hearing", "heard")
    choose(page, "Credit", "any")
    page.get_by_role("searchbox", name="Search").fill("piece 17")
    expect(cases(page)).to_have_count(1)
    expect(cases(page).locator("dd.own")).to_have_text(re.compile(r"I hear \d/\d\."))
    expect(cases(page).locator("li.is-right")).to_have_text("6/8")
    expect(cases(page).locator("details dt")).to_contain_text(["silence", "noise", "another recording", "majority"])
    page.get_by_role("searchbox", name="Search").fill("no such words")
    expect(page.locator("#place")).to_have_text("no case fits")
    expect(cases(page)).to_have_count(0)


def test_pages_of_cases_are_turned_by_keyboard_too(page: Page, written: Path) -> None:
    page.goto(written.as_uri())
    worse, better = page.get_by_role("button", name="worse"), page.get_by_role("button", name="better")
    expect(worse).to_be_disabled()
    first = cases(page).first.get_attribute("aria-label")
    better.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#place")).to_have_text("21 to 40 of 120")
    assert cases(page).first.get_attribute("aria-label") != first
    for _ in range(4):
        better.click()
    expect(page.locator("#place")).to_have_text("101 to 120 of 120")
    expect(better).to_be_disabled()
    worse.focus()
    page.keyboard.press("Space")
    expect(page.locator("#place")).to_have_text("81 to 100 of 120")


def test_clips_play_one_at_a_time_and_long_ones_are_cut(page: Page, written: Path) -> None:
    page.goto(written.as_uri())
    page.get_by_label("can be played").check()
    choose(page, "Model", "mine")
    expect(cases(page)).to_have_count(4)
    players = page.locator(".case audio")
    expect(players).to_have_count(4)
    long, short = (page.get_by_label(f"piece {number}.wav") for number in (1, 3))
    assert length(short) == pytest.approx(3.0, abs=0.05)
    assert length(long) == pytest.approx(30.0, abs=0.05)
    play(long)
    play(short)
    assert long.evaluate("audio => audio.paused && audio.currentTime < 29")
    expect(cases(page).filter(has=long)).to_contain_text("The first 30 s; the model heard more.")
    page.get_by_label("can be played").uncheck()
    page.get_by_role("searchbox", name="Search").fill("5/meter")
    expect(cases(page).first).to_contain_text("Cannot be heard")


def test_texts_of_strangers_are_text(page: Page, written: Path) -> None:
    page.goto(written.as_uri())
    page.get_by_role("searchbox", name="Search").fill("taken")
    expect(cases(page).locator("dd.own")).to_have_text(f"It is {HOSTILE}")
    page.get_by_role("searchbox", name="Search").fill("9/8")
    expect(cases(page).locator("dd.own")).to_contain_text("<b>9/8</b> la la")
    expect(cases(page).locator("dd.own")).to_contain_text(f"(cut: {len('<b>9/8</b> ') + HUGE // 3 * 3:,} characters")
    page.get_by_role("searchbox", name="Search").fill("the model is gone")
    expect(cases(page).locator("dd.own")).to_have_text("(no answer: the model is gone)")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    assert page.title() == "Evaluation of mine"
    assert written.stat().st_size < 3_000_000


def test_names_of_strangers_are_text(page: Page, tmp_path: Path) -> None:
    run = small_evaluation.hand_written(tmp_path / "run", model=f'" {HOSTILE}')
    page.goto(writing.write(run).as_uri())
    expect(page.locator("h1")).to_have_text(f'Evaluation of " {HOSTILE}')
    choose(page, "Model", f'" {HOSTILE}')
    expect(page.locator("#shown")).to_have_text("60 of 120 cases")
    assert page.locator("script").count() == 2


def test_no_script_but_its_own_would_run(browser: Browser, written: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.html"
    text = written.read_text(encoding="utf-8")
    spoilt.write_text(text.replace("<main>", '<main><script>document.title = "taken"</script>', 1), encoding="utf-8")
    page = browser.new_page()
    page.goto(spoilt.as_uri())
    expect(page.locator("#shown")).to_have_text("120 of 120 cases")
    assert page.title() == "Evaluation of mine"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_in_light_and_dark(browser: Browser, written: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(written.as_uri())
    page.locator("details.task summary").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 60")
    assert dark == (scheme == "dark")
    selectors = (".small", "td b", ".interval", ".gain", ".told", ".track text", ".square .mark", ".confusion th")
    for selector in (*selectors, ".confusion .right", ".chip.wrong", "dt", "dd.own", ".credit", "#shown", "button"):
        assert page.evaluate(page_in_browser.CONTRAST, selector) >= 4.5, selector
    page.close()


def test_it_fits_a_phone(browser: Browser, written: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(written.as_uri())
    page.locator("details.task summary").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for name in ("Task", "Credit"):
        box = page.get_by_role("combobox", name=name).bounding_box()
        assert box is not None
        assert box["height"] >= 40
    page.close()


def test_the_page_of_the_reference_checkpoint_plays_what_it_heard(page: Page, real: Path) -> None:
    page.goto(writing.write(real).as_uri())
    found = results.read(real).tasks[small_evaluation.TASK]
    expect(page.locator("#shown")).to_have_text(f"{found.questions} of {found.questions} cases")
    players = page.locator(".case audio")
    expect(players.first).to_be_visible()
    assert 10 < length(players.first) <= 30.1
    play(players.first)
    expect(cases(page).first.locator("details dt")).to_contain_text(["silence", "noise", "another recording"])


def test_the_report_is_written_anew(real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("report.html", "report.md"):
        (real / name).unlink(missing_ok=True)
    assert cli.main(["eval", "report", str(real), "--no-open"]) == 0
    told = capsys.readouterr().out
    assert (real / "report.md").read_text(encoding="utf-8").strip() == told.strip()
    assert (real / "report.html").stat().st_size > 100_000
    assert cli.main(["eval", "report", str(real), "--full", "--no-open"]) == 0
    assert "| majority per template" in capsys.readouterr().out
    assert cli.main(["eval", "report", str(real.parent), "--no-open"]) == 2
    assert "give the folder of a finished run" in capsys.readouterr().err


def test_clips_are_bounded_in_number_and_bytes(tmp_path: Path) -> None:
    small_evaluation.questions(tmp_path, 4)
    wanted = [Stretch(path=str(tmp_path / f"piece {number}.wav"), start=None, end=None) for number in (0, 0, 2, 3)]
    assert [stretch.path[-5] for stretch in page_clips.embed(wanted, most_clips=2)] == ["0", "2"]
    size = len(page_clips.embed(wanted[:1])[wanted[0]].address or "")
    assert size < 20_000
    full = page_clips.embed(wanted, most_bytes=size + 100)
    assert [clip.address is not None for clip in full.values()] == [True, False, False]
    assert full[wanted[2]].note == "Not in this page, which is full."
    stretch = Stretch(path=wanted[0].path, start=1.0, end=2.0)
    address = page_clips.embed([stretch])[stretch].address or ""
    assert base64.b64decode(address.removeprefix("data:audio/ogg;base64,"))[:4] == b"OggS"
    assert stretch.told().endswith("piece 0.wav, 1 s to 2 s")


def test_the_same_run_gives_the_same_page(written: Path, tmp_path: Path) -> None:
    before = written.read_bytes()
    assert writing.write(written.parent).read_bytes() == before
    inside = re.search(rb'id="cases">(.*?)</script>', before)
    assert inside is not None
    assert len(json.loads(inside[1])["questions"]) == 60
