"""How long `mllm data check` takes over many records: makes a data set, checks it as a process, prints figures.

In: options. Out: a line of JSON: records, tracks, megabytes on disk, seconds from process start to end, peak memory;
and what was found, on standard error. The data set is written as builds are, with facts drawn at random and answers
that agree with them; it has no recordings, which take their own time (about 0.05 s each of 20 s on one core).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mllm.facts import INSTRUMENTS, KEYS
from mllm.instruct_data import data_set
from mllm.instruct_data.records import Record, conversation
from mllm.instruct_data.tracks import Track

SPLITS = (("train", 0.9), ("validation", 0.05), ("test", 0.05))
ROWS_PER_FILE = 25_000
SECONDS = 30.0
_SHAPES = ("caption", "multiple_choice", "yes_no", "single_fact", "when")
_CAPTIONS = (
    "A {style} in {key} at {tempo} BPM with {instruments}. There is no {absent} in it.",
    "{instruments} share this {style}; it is in {key}, in 4/4, and moves at {tempo} beats per minute.",
    "Here {instruments} play a {style}. The key is {key} and the tempo is about {tempo} BPM, without any {absent}.",
)
_STYLES = (
    "waltz",
    "march",
    "bossa nova",
    "jazz swing",
    "pop ballad",
    "techno track",
    "folk dance",
    "chorale",
    "reggae",
)


def track(rng: random.Random, split: str, number: int) -> Track:
    """A piece with all facts of a rendered one."""
    names = sorted(rng.sample(INSTRUMENTS, rng.randint(1, 6)), key=INSTRUMENTS.index)
    tempo = rng.randint(60, 180)
    beats = tuple(round(beat * 60 / tempo, 3) for beat in range(int(SECONDS * tempo / 60)))
    key = rng.choice(KEYS)
    return Track(
        id=f"{split}-{number}",
        path=f"audio/{split}-{number}.flac",
        seconds=SECONDS,
        source="rendered",
        licence="CC0-1.0",
        split=split,
        family=f"{split}-tune-{number // 2}",
        tempo_bpm=float(tempo),
        tempo_curve=((0.0, float(tempo)),),
        beats=beats,
        downbeats=beats[::4],
        meter="4/4",
        key=key,
        keys=((0.0, key),),
        chords=tuple((float(at), at + 2.0, rng.choice(("C:maj", "A:min", "F:maj", "G:7"))) for at in range(0, 30, 2)),
        activity={name: ((rng.uniform(0, 5), rng.uniform(20, 30)),) for name in names},
        instruments=tuple(names),
        absent=tuple(name for name in INSTRUMENTS if name not in names),
        sections=((0.0, 15.0, "A"), (15.0, 30.0, "B")),
        registers={name: (48, 72) for name in names if name != "drums"},
        density=4.0,
        style=rng.choice(_STYLES),
        vocals=False,
    )


def record(rng: random.Random, one: Track, number: int) -> Record:
    """A question about a piece, of one shape after the other."""
    shape = _SHAPES[number % len(_SHAPES)]
    playing, absent = one.instruments or (), one.absent or ()
    fields: dict[str, object] = {"template": shape}
    if shape == "caption":
        question = f"Describe this recording, please: {rng.randrange(10**6)}."
        answer = rng.choice(_CAPTIONS).format(
            style=one.style,
            key=one.key,
            tempo=f"{one.tempo_bpm:.0f}",
            instruments=" and ".join(playing),
            absent=rng.choice(absent),
        )
        fields = {"template": "free" if number % 2 else shape}
    elif shape == "multiple_choice":
        options = [*rng.sample(absent, 3), rng.choice(playing)]
        right = options[3]
        rng.shuffle(options)
        listed = " ".join(f"{letter}) {option}" for letter, option in zip("ABCD", options, strict=True))
        question, answer = f"Which of these instruments plays? {listed}", f"{'ABCD'[options.index(right)]}) {right}"
        fields |= {"choices": tuple(options), "correct": options.index(right)}
    elif shape == "yes_no":
        yes = rng.random() < 0.5
        question = f"Is there any {rng.choice(playing if yes else absent)} in this recording?"
        answer = "Yes, there is." if yes else "No, there is none."
        fields |= {"label": "yes" if yes else "no"}
    elif shape == "single_fact":
        question, answer = "Which key is this piece in?", f"It is in {one.key}."
    else:
        name = rng.choice(playing)
        begin = (one.activity or {})[name][0][0]
        question, answer = f"When does the {name} enter?", f"The {name} enters at 0:{begin:02.0f}."
    return Record(
        id=f"{one.id}/{number}",
        messages=conversation([one], [(question, answer)]),
        task=shape,
        source=one.source,
        licence=one.licence,
        split=one.split,
        tracks=(one.id,),
        families=(one.family,),
        **fields,  # type: ignore[arg-type]
    )


def make(folder: Path, records: int, per_track: int, seed: int) -> int:
    """Write the data set; the number of its tracks."""
    rng = random.Random(seed)
    total = 0
    for split, share in SPLITS:
        tracks = [track(rng, split, number) for number in range(max(1, round(records * share / per_track)))]
        total += len(tracks)
        data_set.write_tracks(folder / data_set.TRACKS / data_set.file_name(split, 0, 1), tracks)
        waiting = [(one, number) for one in tracks for number in range(per_track)]
        files = -(-len(waiting) // ROWS_PER_FILE)
        for file in range(files):
            rows = (record(rng, *one) for one in waiting[file * ROWS_PER_FILE : (file + 1) * ROWS_PER_FILE])
            data_set.write_records(folder / data_set.RECORDS / data_set.file_name(split, file, files), rows)
    listed = {path.relative_to(folder).as_posix(): _sha256(path) for path in _parquet_files(folder)}
    (folder / data_set.MANIFEST).write_text(json.dumps({"files": listed}), encoding="utf-8")
    return total


def main() -> None:
    """Make, check, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--per-track", type=int, default=5, help="records about each track (default: 5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tracks = make(folder, options.records, options.per_track, options.seed)
        command = [sys.executable, "-m", "mllm", "data", "check", str(folder), "--no-audio"]
        seconds = []
        for _ in range(options.runs):
            begin = time.perf_counter()
            finished = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            seconds.append(round(time.perf_counter() - begin, 2))
        figures = {
            "records": options.records,
            "tracks": tracks,
            "megabytes": round(sum(path.stat().st_size for path in _parquet_files(folder)) / 1e6, 1),
            "seconds": sorted(seconds)[len(seconds) // 2],
            "runs": seconds,
            "peak_memory_megabytes": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
            "exit_status": finished.returncode,
        }
    print(finished.stdout + finished.stderr, file=sys.stderr)
    print(json.dumps(figures))


def _parquet_files(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.glob("*/*.parquet")))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
