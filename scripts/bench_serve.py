"""Measures serving: start to ready, time to the first token, many clients, and tokens a second beside transformers.

    python scripts/bench_serve.py --measures "[start,first_token,clients,throughput]"

Needs vLLM (`make install-serve`). Without `--measures`, all are made. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import io
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

import httpx2
import soundfile
import torch
from jsonargparse import auto_cli
from transformers import LlamaConfig, LlamaForCausalLM

from mllm import audio, checkpoint
from mllm.processing import MusicLLMProcessor

DEMO = Path(__file__).parents[1] / "mllm" / "data" / "demo.mp3"
SECONDS = 30.0
QUESTIONS = ("What is the key?", "How fast is it?", "Which instruments do you hear?", "Is there a piano?")
START_SECONDS = 400.0
REQUESTS = 32
"""Requests at once when tokens a second are measured."""
TRANSFORMERS = ((1, REQUESTS), (2, REQUESTS), (2, REQUESTS // 4))
"""How transformers is tried: threads, and requests in a batch."""
SECONDS_TAKEN = "seconds: "
SETTLED_SECONDS = 60.0
"""After so long a server under load has what it needs; from then on its memory must not grow."""

Mixture = Literal["even", "uses", "uses_with_recordings"]
"""Of the lengths of answers: 16 to 160 tokens, each as likely; or those of `USES`, with or without a recording in every
fourth request."""
MIXTURES: tuple[Mixture, ...] = ("even", "uses", "uses_with_recordings")
USES = ((8, 24), (24, 64), (8, 24), (96, 256))
"""Tokens of an answer: to a question, a caption, a question again, a long description."""

Measure = Literal["start", "first_token", "clients", "throughput"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Server:
    """A running server."""

    address: str
    process: subprocess.Popen[bytes]
    seconds_to_ready: float

    def memory_mb(self) -> float:
        """Memory of all its processes, what they share counted once, in MB."""
        total, waiting = 0.0, [self.process.pid]
        while waiting:
            one = waiting.pop()
            with contextlib.suppress(OSError):
                rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
                for task in Path(f"/proc/{one}/task").iterdir():
                    waiting += map(int, (task / "children").read_text().split())
        return total


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Server]:
    """`mllm serve`, with the reference checkpoint unless the options name another."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    words = [sys.executable, "-m", "mllm", "serve", "--port", str(port), *options]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 (our command)
    address = f"http://127.0.0.1:{port}"
    try:
        while time.perf_counter() - began < START_SECONDS and process.poll() is None:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{address}/ready", timeout=30).status_code == httpx2.codes.OK:
                    break
            time.sleep(0.1)
        else:
            raise RuntimeError("the server did not become ready; start `mllm serve` by hand to see why")
        yield Server(address=address, process=process, seconds_to_ready=time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def recording(offset: float) -> dict[str, Any]:
    """30 s of the demonstration recording from `offset` seconds on, beginning anew at its end."""
    clip = audio.load(DEMO, sample_rate_hz=24000)
    samples = [*clip.samples, *clip.samples, *clip.samples][int(offset * 24000) :][: int(SECONDS * 24000)]
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 24000, format="FLAC")
    return {"type": "audio_url", "audio_url": {"url": f"data:audio/flac;base64,{_base64(buffer.getvalue())}"}}


def question(part: dict[str, Any], text: str, **settings: Any) -> dict[str, Any]:
    """A request about a recording."""
    messages = [{"role": "user", "content": [part, {"type": "text", "text": text}]}]
    return {"model": "mllm", "temperature": 0, "max_tokens": 64, "messages": messages, **settings}


def measure_start(runs: int) -> dict[str, float]:
    """Process start until the server says that it is ready, and its memory then."""
    seconds, memory = [], []
    for _ in range(runs):
        with serving() as server:
            seconds.append(server.seconds_to_ready)
            memory.append(server.memory_mb())
    return {"seconds_to_ready": round(statistics.median(seconds), 1), "memory_mb": round(max(memory))}


def measure_first_token(server: Server, runs: int) -> dict[str, float]:
    """Request to first token, of a first and of a second question about the same 30 s.

    One client asks all of them: to set up a client, with its certificates, takes 50 ms that are none of the server's.
    """

    def wait(client: httpx2.Client, part: dict[str, Any], text: str) -> float:
        began = time.perf_counter()
        url = f"{server.address}/v1/chat/completions"
        with client.stream("POST", url, json=question(part, text, stream=True)) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                    return time.perf_counter() - began
        raise RuntimeError("the stream ended without a token")

    firsts, seconds = [], []
    with httpx2.Client(timeout=120) as client:
        wait(client, recording(0.0), QUESTIONS[0])
        for run in range(runs):
            part = recording(0.5 + 0.7 * run)
            firsts.append(wait(client, part, QUESTIONS[0]))
            seconds.append(wait(client, part, QUESTIONS[1]))
    first, second = statistics.median(firsts), statistics.median(seconds)
    return {"first_s": round(first, 3), "second_s": round(second, 3), "second_over_first": round(second / first, 3)}


async def measure_clients(server: Server, clients: int, seconds: float) -> dict[str, Any]:
    """Clients that ask again as soon as they are answered; what they got, how long it took, and the server's memory."""
    parts = [recording(0.9 * number) for number in range(16)]
    statuses: Counter[str] = Counter()
    waits: list[float] = []
    memory: list[tuple[float, float]] = []
    began = time.perf_counter()

    async def ask(number: int, session: httpx2.AsyncClient) -> None:
        rng = random.Random(number)
        while time.perf_counter() - began < seconds:
            asked = time.perf_counter()
            body = question(rng.choice(parts), rng.choice(QUESTIONS))
            try:
                answer = await session.post(f"{server.address}/v1/chat/completions", json=body)
                status = str(answer.status_code)
            except httpx2.TransportError as error:
                status = type(error).__name__
            statuses[status] += 1
            if status == "200":
                waits.append(time.perf_counter() - asked)
            elif status == "429":
                await asyncio.sleep(float(answer.headers.get("retry-after", 1)))

    async def watch() -> None:
        while time.perf_counter() - began < seconds:
            memory.append((time.perf_counter() - began, await asyncio.to_thread(server.memory_mb)))
            await asyncio.sleep(5.0)

    async with _session(clients) as session:
        await asyncio.gather(watch(), *(ask(number, session) for number in range(clients)))
    half = (SETTLED_SECONDS + seconds) / 2
    early = [megabytes for at, megabytes in memory if SETTLED_SECONDS <= at < half]
    late = [megabytes for at, megabytes in memory if at >= half]
    cuts = statistics.quantiles(waits, n=20)
    return {
        "clients": clients,
        "seconds": seconds,
        "answers_by_status": dict(statuses),
        "p50_s": round(statistics.median(waits), 2),
        "p95_s": round(cuts[-1], 2),
        "answers_a_second": round(len(waits) / seconds, 1),
        "memory_mb": [round(megabytes) for _, megabytes in memory[:: max(1, len(memory) // 12)]],
        "growth_mb": round(statistics.mean(late) - statistics.mean(early), 1) if early and late else None,
    }


@contextlib.asynccontextmanager
async def _session(clients: int) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx2.AsyncClient(timeout=310.0, limits=limits) as session:
        yield session


def measure_throughput() -> dict[Mixture, dict[str, float]]:
    """Tokens a second that 32 requests at once get, from `mllm serve` and then from transformers, for each mixture."""
    found: dict[Mixture, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = _write_model(Path(folder))
        with serving(str(model), "--", "--no-enforce-eager") as server:
            for mixture in MIXTURES:
                asyncio.run(_seconds_of_server(server, [(one, 4) for one, _ in requests(mixture, seed=2)]))
                found[mixture] = {"vllm": _tokens(mixture) / asyncio.run(_seconds_of_server(server, requests(mixture)))}
        for mixture, rates in found.items():
            for threads, batch in TRANSFORMERS:
                seconds = _in_a_process_of_its_own(model, mixture, batch, threads)
                rates[f"transformers_threads_{threads}_batch_{batch}"] = _tokens(mixture) / seconds
    return {mixture: _with_ratios(rates) for mixture, rates in found.items()}


def _tokens(mixture: Mixture) -> int:
    return sum(length for _, length in requests(mixture))


def _with_ratios(rates: dict[str, float]) -> dict[str, float]:
    """Tokens a second of each side, and how often vLLM has those of transformers with one thread, and at its best."""
    others = {side: rate for side, rate in rates.items() if side != "vllm"}
    on_one = max(rate for side, rate in others.items() if "_threads_1_" in side)
    return {
        **{side: round(rate, 1) for side, rate in rates.items()},
        "vllm_over_transformers_on_one_thread": round(rates["vllm"] / on_one, 2),
        "vllm_over_transformers": round(rates["vllm"] / max(others.values()), 2),
    }


def _in_a_process_of_its_own(model: Path, mixture: Mixture, batch: int, threads: int) -> float:
    words = [sys.executable, __file__, "--transformers", str(model), "--batch", str(batch), "--mixture", mixture]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)  # noqa: S603 (our own)
    (said,) = (line for line in done.stdout.splitlines() if line.startswith(SECONDS_TAKEN))
    return float(said.removeprefix(SECONDS_TAKEN))


def _write_model(folder: Path) -> Path:
    """A checkpoint of ours around a LLaMA of 100 M random parameters, with the reference encoder and tokenizer."""
    torch.manual_seed(0)
    _, processor = checkpoint.load(checkpoint.reference_directory())
    tokenizer = processor.tokenizer
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=14,
        num_attention_heads=12,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    backbone: Any = LlamaForCausalLM(config)
    backbone.save_pretrained(folder / "backbone")
    encoder = checkpoint.reference_directory() / "audio_encoder"
    model = checkpoint.assemble(
        backbone=folder / "backbone",
        audio_encoder=encoder,
        encoder_name="cqt",
        adapter={"name": "linear"},
        audio_token=processor.audio_token,
        audio_token_id=processor.audio_token_id,
    )
    ready = MusicLLMProcessor.from_config(model.config, tokenizer)
    parts = {"backbone": "backbone", "audio_encoder": "audio_encoder"}
    checkpoint.save(model, ready, folder / "model", card="# Random weights\n", run={}, frozen=parts)
    return folder / "model"


Asked: TypeAlias = tuple[list[dict[str, Any]], int]
"""A conversation, and of how many tokens its answer shall be."""


def requests(mixture: Mixture, *, seed: int = 1) -> list[Asked]:
    """Conversations of 16 to 96 words and the lengths of their answers, as the mixture has them."""
    rng = random.Random(seed)
    made = []
    for number in range(REQUESTS):
        text = " ".join(rng.choice(("piano", "guitar", "slow", "key")) for _ in range(rng.randint(16, 96)))
        parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
        if mixture == "uses_with_recordings" and number % 4 == 0:
            parts.insert(0, recording(0.7 * number + 0.1 * seed))
        shortest, longest = (16, 160) if mixture == "even" else USES[number % len(USES)]
        made.append(([{"role": "user", "content": parts}], rng.randint(shortest, longest)))
    return made


async def _seconds_of_server(server: Server, asked: list[Asked]) -> float:
    """Until the last of all requests, sent at once, is answered."""

    async def ask(session: httpx2.AsyncClient, messages: list[dict[str, Any]], length: int) -> None:
        body = {"model": "mllm", "temperature": 0, "max_tokens": length, "ignore_eos": True, "messages": messages}
        answer = await session.post(f"{server.address}/v1/chat/completions", json=body)
        assert answer.json()["usage"]["completion_tokens"] == length, answer.text

    async with _session(len(asked)) as session:
        began = time.perf_counter()
        await asyncio.gather(*(ask(session, messages, length) for messages, length in asked))
        return time.perf_counter() - began


def seconds_of_transformers(model: Path, *, mixture: Mixture, batch: int) -> float:
    """Until the last of all requests is answered by `generate`, in batches in the order in which they came.

    A batch ends with its longest answer. A first, shorter round is not counted.
    """
    loaded, processor = checkpoint.load(model)

    def answer(asked: list[Asked], longest: int) -> None:
        inputs = processor([conversation for conversation, _ in asked])
        loaded.generate(**inputs, max_new_tokens=longest, min_new_tokens=longest, do_sample=False)

    answer(requests(mixture, seed=2)[:batch], 4)
    asked = requests(mixture)
    began = time.perf_counter()
    for start in range(0, len(asked), batch):
        some = asked[start : start + batch]
        answer(some, max(length for _, length in some))
    return time.perf_counter() - began


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def run(
    measures: list[Measure] | None = None,
    clients: int = 200,
    seconds: float = 300.0,
    runs: int = 5,
    transformers: Path | None = None,
    batch: int = REQUESTS,
    mixture: Mixture = "even",
) -> int:
    """Measures and prints.

    Args:
        measures: what; None for everything.
        clients: at once, of `clients`.
        seconds: how long they ask.
        runs: repetitions of `start` and `first_token`.
        transformers: one side of `throughput`, about this checkpoint; its figure alone is printed.
        batch: requests that are answered together, see `transformers`.
        mixture: of lengths, see `transformers`.
    """
    if transformers is not None:
        taken = seconds_of_transformers(transformers, mixture=mixture, batch=batch)
        print(f"{SECONDS_TAKEN}{taken}", flush=True)
        return 0
    wanted = ("start", "first_token", "clients", "throughput") if measures is None else tuple(measures)
    figures: dict[str, Any] = {"cores": os.cpu_count()}
    if "start" in wanted:
        figures["start"] = measure_start(runs)
    if {"first_token", "clients"} & set(wanted):
        with serving() as server:
            if "first_token" in wanted:
                figures["first_token"] = measure_first_token(server, runs)
            if "clients" in wanted:
                figures["clients"] = asyncio.run(measure_clients(server, clients, seconds))
    if "throughput" in wanted:
        figures["throughput"] = measure_throughput()
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(auto_cli(run, as_positional=False))
