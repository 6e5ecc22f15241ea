"""Measures `mllm train` beside the usual recipe of published music models, on the same model and the same data.

    python scripts/bench_stage.py

The usual recipe decodes and encodes each recording inside the step, pads batches in the order of the data, and computes
the logits of every position. Each part of ours is then added to it in turn. Every side trains the adapter of the
reference checkpoint for three epochs with transformers.Trainer, in a process of its own. The recordings are made here:
chords of 8 to 30 s, stored as FLAC; of ten conversations about them five are a question, three a caption, and two a
dialogue. Also measured: how long it takes into the first step of the second epoch, memory, and two processes against
one. Prints one JSON object.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import soundfile
import torch
from jsonargparse import auto_cli
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from mllm import checkpoint
from mllm.train import conversations, memory, opening, preparation, prepared, run_config, stage
from mllm.train.conversations import Conversation
from mllm.train.rows import collator, filler

Side: TypeAlias = Literal["usual", "encoded_once", "packed", "ours"]
"""Each has one thing more than the one before: the store of encodings, packed rows, the loss on learnt tokens only."""
BATCH = 8
RATE_HZ = 22_050
SCALE_HZ = tuple(220.0 * 2 ** (step / 12) for step in range(25))
WORDS = ("slow", "fast", "piano", "flute", "guitar", "drums", "major", "minor", "the", "and", "in", "tempo", "key")
KINDS = {"question": (5, 1, (4, 12)), "caption": (3, 1, (30, 70)), "dialogue": (2, 5, (6, 25))}
"""Of conversations: how many of ten, their turns, words of an answer."""
RESULT = "result: "
PROCESS_STEPS = 12


class Clock(TrainerCallback):
    """Notes when the training began, when each epoch began, and when each step ended."""

    def __init__(self) -> None:
        self.began = 0.0
        self.epochs: list[float] = []
        self.steps: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:  # noqa: ARG002
        """Called by the Trainer."""
        self.began = time.perf_counter()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:  # noqa: ARG002
        """Called by the Trainer."""
        self.epochs.append(time.perf_counter())

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:  # noqa: ARG002
        """Called by the Trainer."""
        self.steps.append(time.perf_counter())

    def into_second_epoch(self) -> float:
        """Seconds from the beginning of the second epoch to the end of its first step."""
        return next(step for step in self.steps if step > self.epochs[1]) - self.epochs[1]


class Batches(torch.utils.data.Dataset[list[Any]]):
    """Some of `BATCH` conversations each, in the order of the data.

    Args:
        conversations: how many there are.
        read: one of them, by its number.
    """

    def __init__(self, conversations: int, read: Callable[[int], Any]) -> None:
        self._starts = range(0, conversations, BATCH)
        self._conversations = conversations
        self._read = read

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> list[Any]:
        start = self._starts[index]
        return [self._read(number) for number in range(start, min(start + BATCH, self._conversations))]


def write_data(folder: Path, count: int, *, seed: int = 1) -> Path:
    """Recordings and a JSONL file of so many conversations about them."""
    rng = random.Random(seed)
    weights = [weight for weight, _, _ in KINDS.values()]
    lines = []
    for number in range(count):
        path = folder / f"{number}.flac"
        soundfile.write(path, _chords(rng, rng.uniform(8, 30)), RATE_HZ)
        _, turns, words = KINDS[rng.choices(list(KINDS), weights)[0]]
        messages: list[dict[str, Any]] = []
        for turn in range(turns):
            heard = [] if turn else [{"type": "audio", "path": path.name}]
            messages += [
                {"role": "user", "content": [*heard, {"type": "text", "text": _words(rng, 5, 20)}]},
                {"role": "assistant", "content": _words(rng, *words)},
            ]
        lines.append(json.dumps({"messages": messages}))
    data = folder / "data.jsonl"
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return data


def _chords(rng: random.Random, seconds: float) -> Any:
    pieces = []
    for _ in range(math.ceil(seconds / 2)):
        clock = np.arange(2 * RATE_HZ) / RATE_HZ
        tones = [np.sin(2 * np.pi * pitch * clock) for pitch in rng.sample(SCALE_HZ, 3)]
        pieces.append(np.sum(tones, axis=0) * 0.2 * np.exp(-clock))
    return np.concatenate(pieces)[: round(seconds * RATE_HZ)].astype(np.float32)


def _words(rng: random.Random, fewest: int, most: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(fewest, most)))


def train_usual(data: Path, work: Path, epochs: int) -> dict[str, float]:
    """The usual recipe: audio in, all logits out."""
    model, processor = checkpoint.load(checkpoint.reference_directory())
    found = [one for one in conversations.read([data]) if isinstance(one, Conversation)]

    def collate(batches: Sequence[Sequence[Conversation]]) -> dict[str, Any]:
        (batch,) = batches
        messages = [one.messages for one in batch]
        return {**processor(messages, add_generation_prompt=False, return_labels=True), "skip_logits": False}

    settings = TrainingArguments(
        output_dir=str(work),
        num_train_epochs=epochs,
        per_device_train_batch_size=1,
        learning_rate=1e-3,
        save_strategy="no",
        logging_steps=10,
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model, args=settings, train_dataset=Batches(len(found), found.__getitem__), data_collator=collate
    )
    return _timed(trainer, len(found), epochs)


def train_ours(side: Side, data: Path, work: Path, epochs: int) -> dict[str, float]:
    """`mllm train` with all of its parts, or with the first of them."""
    words = [
        f"data.train={data}",
        f"out={work / 'out'}",
        f"work={work}",
        "data.validation_share=0",
        "train.report_to=[]",
    ]
    config = run_config.read(None, [*words, "train.rows_per_step=1"])
    began = time.perf_counter()
    ready = preparation.prepare(config, work, lambda _: None)
    seconds = time.perf_counter() - began
    summary = prepared.read_summary(ready.train)
    in_order = side == "encoded_once"
    rows = 1 if in_order else max(1, round(BATCH * summary.tokens / summary.conversations / summary.longest))
    words += [f"train.rows_per_step={rows}", f"train.rows_at_once={rows}", f"data.max_tokens={summary.longest}"]
    words.append("train.save_every=100000")
    steps = {"train.steps": epochs * math.ceil(summary.conversations / BATCH)} if in_order else {}
    words += [f"train.epochs={epochs}", *(f"{name}={value}" for name, value in steps.items())]
    config = run_config.read(None, words)
    ready = preparation.prepare(config, work, lambda _: None)
    model, processor = opening.open_model(
        ready.start, config, torch.device("cuda" if torch.cuda.is_available() else "cpu")
    )
    trainer, prepared_rows = stage.make_trainer(config, ready, model, processor, work, None)
    if in_order:
        trainer.train_dataset = Batches(summary.conversations, prepared_rows.ready)
        fill = filler(model, processor, items=False)
        trainer.data_collator = collator(int(processor.tokenizer.pad_token_id), fill, packed=False, borders=False)
    if side != "ours":
        trainer.data_collator = _with_all_logits(trainer.data_collator)
    return {**_timed(trainer, summary.conversations, epochs), "preparing_seconds": round(seconds, 2)}


def _with_all_logits(collate: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    return lambda groups: {**collate(groups), "skip_logits": False}


def _timed(trainer: Trainer, samples: int, epochs: int) -> dict[str, float]:
    clock = Clock()
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(clock)
    trainer.train()
    seconds = clock.steps[-1] - clock.began
    return {
        "samples_per_second": round(samples * epochs / seconds, 2),
        "seconds": round(seconds, 2),
        "into_second_epoch_seconds": round(clock.into_second_epoch(), 3),
        "peak_gib": round(memory.measured_gib(), 2),
    }


def compare(data: Path, folder: Path, epochs: int) -> dict[str, Any]:
    """Every side in a process of its own, and what each part gives."""
    found: dict[str, Any] = {}
    for side in get_args(Side):
        words = ["--side", side, "--data", str(data), "--work", str(folder / side), "--epochs", str(epochs)]
        found[side] = _told([sys.executable, __file__, *words])
    rates = [found[side]["samples_per_second"] for side in get_args(Side)]
    found["ours_over_usual"] = round(rates[-1] / rates[0], 2)
    found["each_over_the_one_before"] = dict(
        zip(get_args(Side)[1:], (round(new / old, 2) for old, new in itertools.pairwise(rates)), strict=True)
    )
    whole = epochs * _count(data) / (found["ours"]["seconds"] + found["ours"]["preparing_seconds"])
    found["ours_with_encoding_over_usual"] = round(whole / rates[0], 2)
    return found


def two_against_one(data: Path, folder: Path, count: int) -> dict[str, float]:
    """Tokens a second of one process on one thread, of one on two threads, and of two processes on one thread each.

    Beside them two trainings that know nothing of each other, at the same time: what the machine has for two. Medians
    of `count` rounds, in each of which all are measured.
    """
    rounds: dict[str, list[float]] = {name: [] for name in ("one", "one_on_two_threads", "two", "two_strangers")}
    for number in range(count):
        place = folder / f"round{number}"
        rounds["one"].append(_speed(_started(data, place / "one")))
        rounds["one_on_two_threads"].append(_speed(_started(data, place / "threads", threads=2)))
        rounds["two"].append(_speed(_started(data, place / "two", processes=2)))
        strangers = [_started(data, place / f"stranger{which}") for which in range(2)]
        rounds["two_strangers"].append(sum(_speed(one) for one in strangers))
    rates = {name: statistics.median(found) for name, found in rounds.items()}
    return {
        **{f"{name}_tokens_per_second": round(rate, 1) for name, rate in rates.items()},
        "two_over_one": round(rates["two"] / rates["one"], 2),
        "two_over_one_on_two_threads": round(rates["two"] / rates["one_on_two_threads"], 2),
        "two_strangers_over_one": round(rates["two_strangers"] / rates["one"], 2),
    }


def _started(data: Path, out: Path, *, processes: int = 1, threads: int = 1) -> tuple[Path, subprocess.Popen[bytes]]:
    """A training that is running, and where it is going to be."""
    words = [f"data.train={data}", f"out={out}", f"data.store={data.parent / 'store'}", "data.validation_share=0"]
    words += ["data.max_tokens=1024", "train.rows_per_step=8", f"train.steps={PROCESS_STEPS}", "train.log_every=2"]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"] if processes == 2 else []
    command = [sys.executable, *launcher, "-m", "mllm", "train", *words, f"train.save_every={PROCESS_STEPS}"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    out.parent.mkdir(exist_ok=True)
    with (out.parent / f"{out.name}.log").open("wb") as log:
        return out, subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603 (our own)


def _speed(training: tuple[Path, subprocess.Popen[bytes]]) -> float:
    """Tokens a second of a training, without its first steps."""
    out, process = training
    if process.wait():
        raise RuntimeError((out.parent / f"{out.name}.log").read_text(encoding="utf-8", errors="replace"))
    place = Path(f"{out}.training") / f"checkpoint-{PROCESS_STEPS}" / "trainer_state.json"
    history = json.loads(place.read_text(encoding="utf-8"))["log_history"]
    logged = [entry["tokens_per_second"] for entry in history if "tokens_per_second" in entry][1:]
    return float(sum(logged) / len(logged))


def _count(data: Path) -> int:
    return len(data.read_text(encoding="utf-8").splitlines())


def _told(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 (our own)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith(RESULT))
    told: dict[str, float] = json.loads(line.removeprefix(RESULT))
    return told


def run(
    conversations: int = 96,
    epochs: int = 3,
    side: Side | None = None,
    data: Path | None = None,
    work: Path | None = None,
    recipes: bool = True,
    rounds: int = 3,
) -> int:
    """Measures and prints.

    Args:
        conversations: that are learnt from.
        epochs: times that each is seen.
        side: train this side alone, on `data` in `work`.
        data: JSONL file of conversations; made where it is not given.
        work: directory for a side.
        recipes: whether ours is measured against the usual one.
        rounds: how often two processes are measured against one; 0: not at all.
    """
    if side is not None:
        assert data is not None
        assert work is not None
        found = train_usual(data, work, epochs) if side == "usual" else train_ours(side, data, work, epochs)
        print(f"{RESULT}{json.dumps(found)}", flush=True)
        return 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = write_data(folder, conversations) if data is None else data
        figures: dict[str, Any] = {"cores": os.cpu_count(), "conversations": _count(data), "epochs": epochs}
        figures |= compare(data, folder, epochs) if recipes else {}
        if rounds:
            figures["processes"] = two_against_one(data, folder, rounds)
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(auto_cli(run, as_positional=False))
