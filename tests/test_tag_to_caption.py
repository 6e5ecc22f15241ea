"""Tests of `augment.tag_to_caption`: what is written says what is known, whoever writes it."""

from __future__ import annotations

import dataclasses
import http.server
import json
import random
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mllm.facts import INSTRUMENTS
from mllm.instruct_data.augment import _caption_wordings, _mentions, tag_to_caption
from mllm.instruct_data.endpoint import Endpoint, EndpointSettings
from mllm.instruct_data.exchanges import Draw
from mllm.instruct_data.phrases import Phrasings
from mllm.instruct_data.records import Record
from mllm.instruct_data.tracks import Track
from mllm.messages import Audio
from tests.labelled_tracks import check_wordings, labelled_tracks

TRACKS = [
    dataclasses.replace(track, split="test" if number % 4 == 0 else "train")
    for number, track in enumerate(labelled_tracks(80))
]
BY_ID = {track.id: track for track in TRACKS}
RECORDS = list(tag_to_caption.records(TRACKS, seed=1))


def of(kind: str, records: list[Record] = RECORDS) -> list[tuple[Track, Record]]:
    found = [(BY_ID[record.tracks[0]], record) for record in records if record.template == f"tag_to_caption/{kind}"]
    assert found
    return found


def named(text: str) -> set[str]:
    names = sorted(INSTRUMENTS, key=len, reverse=True)
    return set(re.findall(rf"(?<![\w-])({'|'.join(names)})(?!\w)", text.lower()))


def test_each_kind_for_each_track() -> None:
    assert len(RECORDS) == 4 * len(TRACKS)
    assert len({record.id for record in RECORDS}) == len(RECORDS)
    for record in RECORDS:
        track = BY_ID[record.tracks[0]]
        assert (record.split, record.licence, record.families) == (track.split, track.licence, (track.family,))
        assert isinstance(record.messages[0].parts[0], Audio)
    assert list(tag_to_caption.records(TRACKS, seed=1)) == RECORDS
    assert list(tag_to_caption.records(TRACKS, seed=2)) != RECORDS


def test_a_description_says_all_that_is_known() -> None:
    for track, record in of("writing"):
        said = record.answer
        assert track.activity is not None
        assert named(said.replace("string quartet", "")) == set(track.activity)
        assert track.key is not None
        assert track.key in said
        assert f"{track.meter} time" in said
        assert f"{round(track.tempo_bpm or 0)} BPM" in said
        assert track.style is not None
        assert track.style in said
        assert all(tag in said for tag in (*(track.moods or ()), *(track.tags or ())))
        sung = re.search(r"no singing|Nobody sings", said)
        assert bool(sung) == ("choir" not in track.activity)


def test_nothing_is_said_that_is_not_known() -> None:
    for record in RECORDS:
        track = BY_ID[record.tracks[0]]
        said = record.answer.replace("string quartet", "").replace("On a keyboard", "")
        assert track.activity is not None
        assert named(said) <= set(track.activity)
        known = {str(round(track.tempo_bpm or 0)), *re.split(r"\D+", track.meter or "")}
        assert set(re.findall(r"\d+", said)) <= known
        if speed := re.search(r"\b(slow|fast|mid-tempo)\b", said):
            assert track.tempo_bpm is not None
            assert speed[1] == ("slow" if track.tempo_bpm < 80 else "fast" if track.tempo_bpm >= 130 else "mid-tempo")


def test_a_summary_is_one_sentence() -> None:
    for _, record in of("summary"):
        assert record.answer.count(".") == 1
        assert len(record.answer) < 160


def test_attributes_add_to_what_is_told() -> None:
    for track, record in of("attributes"):
        asked = record.messages[0].parts[1].text  # type: ignore[union-attr]
        for value in (track.key, track.style, f"{track.meter} time", f"{round(track.tempo_bpm or 0)} BPM"):
            assert value is not None
            assert (value.lower() in asked.lower()) != (value in record.answer), (asked, record.answer)


def test_too_little_is_not_described() -> None:
    bare = Track(id="x", path="x.wav", source="folder", licence="CC0-1.0", family="x", key="C major")
    assert list(tag_to_caption.records([bare], seed=0)) == []
    draw = Draw(rng=random.Random(0), held_out=False)
    assert list(tag_to_caption.exchanges((bare,), draw)) == []
    assert len(list(tag_to_caption.exchanges((TRACKS[0],), draw))) == 4


def test_opinions_among_tags_are_left_out() -> None:
    track = dataclasses.replace(TRACKS[1], tags=("awesome", "seen live", "bluegrass"), style=None)
    (_, record), *_ = of("writing", list(tag_to_caption.records([track], seed=0)))
    assert "bluegrass" in record.answer
    assert not re.search("awesome|seen live", record.answer)


class Writer(http.server.BaseHTTPRequestHandler):
    """Writes the facts that it is told as one sentence; asked for a summary it puts a tuba into it."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        order, facts = (message["content"] for message in body["messages"])
        listed = [line.partition(": ")[2] for line in facts.partition("Facts:\n")[2].splitlines()]
        text = f"Written for you: {'. '.join(listed)}." + (" A tuba, too." if "one sentence" in order else "")
        content = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so by the base class
        """Says nothing."""


@pytest.fixture
def settings() -> Iterator[EndpointSettings]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Writer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield EndpointSettings(base=f"http://127.0.0.1:{server.server_address[1]}/v1", model="tiny")
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_that_adds_an_instrument_is_refused(settings: EndpointSettings, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    for _ in range(2):
        with Endpoint(settings, log) as endpoint:
            written = list(tag_to_caption.records(TRACKS[:10], seed=1, writer=endpoint))
        assert len(written) == 30
        assert {record.template for record in written} == {
            f"tag_to_caption/{k}" for k in ("writing", "retelling", "attributes")
        }
        assert all(record.answer.startswith("Written for you") for record in written)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert sum("answer" in line for line in lines) == 40
        assert [line["refused"] for line in lines if "refused" in line] == ["it names tuba"] * 10
    offline = {record.id: record.messages[0] for record in tag_to_caption.records(TRACKS[:10], seed=1)}
    assert {record.messages[0].parts[0] for record in written} <= {one.parts[0] for one in offline.values()}


@pytest.mark.parametrize("phrasings", _caption_wordings.REQUESTS.values())
def test_wordings_are_many_and_kept_apart(phrasings: Phrasings) -> None:
    check_wordings(phrasings)


@pytest.mark.parametrize(
    ("source", "text", "problems"),
    [
        ("a piano and strings", "Strings play with a piano.", []),
        ("a violin", "Strings are heard.", []),
        ("strings", "A violin is heard.", ["it names violin"]),
        ("no drums", "It does without drums.", []),
        ("drums", "It does without drums.", ["it denies drums"]),
        ("piano, 120 BPM, C minor", "A piano at 120 BPM in C minor", []),
        ("piano, 120 BPM, C minor", "A piano at 121 BPM in C major", ["it says 121", "it says c major"]),
        ("rock", "Rock with a singer.", ["it names singer"]),
        ("electric guitar", "Guitars all over.", []),
        ("no piano", "A piano, but no drums.", ["it names piano", "it denies drums"]),
    ],
)
def test_what_a_text_adds(source: str, text: str, problems: list[str]) -> None:
    assert _mentions.added(source, text) == problems
