"""What the first process makes before a training, and all of them read: the start, the encodings, the data.

In: a `RunConfig`. Out: a `Prepared`, the same on every process. Run again, it makes what is missing only, and refuses
to go on with a run whose settings or data are others now.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch.distributed.rendezvous import rendezvous

from mllm import checkpoint, contract, items
from mllm.errors import ConfigError, MllmError
from mllm.processing import MusicLLMProcessor
from mllm.strict_io import read_json, write_json
from mllm.train import encode, fitting, held_out, launch, opening, prepared, setting_files, whole_checkpoints
from mllm.train.conversations import Conversation
from mllm.train.encoding_store import EncodingStore
from mllm.train.encodings import Encodings
from mllm.train.run_config import RunConfig

SETTINGS = "settings.yaml"
STEPS = "steps.json"
"""Beside the settings: how many rows a step of the run learns from, where no setting says it."""
ROW_TOKENS = 2048
FEWEST_ROWS = 32
"""What is taken where nothing is said; see `DataSection.max_tokens`."""
FREE_TO_CHANGE = (
    *("train.log_every", "train.save_every", "train.keep", "train.report_to", "data.workers"),
    *("train.evaluate_every", "train.samples", "train.sample_tokens", *fitting.FREE),
)
"""Settings that an interrupted run may go on with in another form: they do not decide what is learnt."""
_PATIENCE = datetime.timedelta(days=2)
"""How long processes wait for the first one, which encodes and prepares the data."""
_KEY = "mllm_prepared"
_PATHS = ("start", "store", "train", "validation")
_meeting_places: list[object] = []
"""Stores that the first process hosts; they stay open until it ends, as the others may not have read them yet."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """What all processes read."""

    start: Path
    """Checkpoint that the run begins with."""
    store: Path
    """Encodings."""
    train: Path
    validation: Path | None
    max_tokens: int
    """Of a row."""


def together(make: Callable[[], Prepared]) -> Prepared:
    """What the first process makes, on every process; the others wait for it."""
    if launch.world_size() == 1:
        return make()
    store, rank, _ = next(rendezvous("env://", timeout=_PATIENCE))
    if rank == 0:
        _meeting_places.append(store)
        made = make()
        store.set(_KEY, json.dumps(dataclasses.asdict(made), default=str))
        return made
    told: dict[str, Any] = json.loads(store.get(_KEY))
    told |= {name: Path(told[name]) for name in _PATHS if told[name] is not None}
    return Prepared(**told)


def prepare(config: RunConfig, work: Path, say: Callable[[str], object]) -> Prepared:
    """Everything that the processes then share: the start, the encodings, the data.

    Raises:
        ConfigError: as `run`.
    """
    _check_settings(config, work)  # first of all, as it tells whether the directory is ours
    whole_checkpoints.clear_behind(work, whole_checkpoints.last_whole(work))
    say("opening what the training begins with")
    start = opening.start_checkpoint(config, work)
    settings = contract.read_config(start)
    processor = checkpoint.open_processor(start, settings)
    store = Path(config.data.store) if config.data.store else work / "encodings"
    train, validation = held_out.divide(config.data)
    encode_all([*train, *(validation or ())], start, store, say, leave_out=config.data.leave_out_bad)
    encodings = Encodings(store, settings, processor)
    limits = limits_of(config, settings.space_of_items)
    places = {"train": train, "validation": validation}
    longest: list[int] = []
    had_checkpoint = whole_checkpoints.last_whole(work) is not None
    for name, found in places.items():
        if found is None:
            continue
        say(f"preparing the data: {name}")
        place = work / name
        before = prepared.read_summary(place).sha256 if (place / prepared.SUMMARY).is_file() else None
        try:
            summary = prepared.prepare(
                found, encodings, processor, limits, place, expected_sha256=before if had_checkpoint else None
            )
        except prepared.NothingToLearnError:
            if name == "train" or held_out.given(config.data):
                raise
            say("validation: nothing is held out, as no conversation of the share for it can be used")
            continue
        longest.append(summary.longest)
        say(
            f"{name}: {summary.conversations} conversations, {summary.tokens} tokens ({summary.learnt_tokens} learnt), "
            f"{summary.seconds:.0f} s of audio in {summary.recordings} recordings"
            + (f"; {summary.left_out} left out, which cannot be used" if summary.left_out else "")
        )
    return Prepared(
        start=start,
        store=store,
        train=work / "train",
        validation=work / "validation" if len(longest) == len(places) else None,
        max_tokens=row_tokens(
            config,
            processor,
            tokens=prepared.read_summary(work / "train").tokens,
            longest=max(longest),
        ),
    )


def as_begun(config: RunConfig, work: Path) -> RunConfig:
    """The settings with what a run that goes on began with, where they leave it open.

    How many rows a step learns from follows from `train.rows_at_once` where nothing else is said; a run that goes on
    with fewer rows at once learns from as many a step as before.
    """
    if config.train.rows_per_step is not None or whole_checkpoints.last_whole(work) is None:
        return config
    train = dataclasses.replace(config.train, rows_per_step=_rows_of_step(work))
    return dataclasses.replace(config, train=train)


def keep_rows_of_step(work: Path, rows: int) -> None:
    """Write down how many rows a step learns from."""
    write_json({"rows_of_step": rows}, work / STEPS)


def _rows_of_step(work: Path) -> int | None:
    """How many rows a step of the run learns from; None where that was not written down yet."""
    place = work / STEPS
    return int(read_json(place)["rows_of_step"]) if place.is_file() else None


def _is_free(name: str, new: Any, work: Path) -> bool:
    """Whether a setting may be another one now: it decides nothing, or comes to the same."""
    if name == "train.rows_per_step":
        kept = _rows_of_step(work)
        return kept is not None and new in (None, kept)
    return name in FREE_TO_CHANGE


def limits_of(config: RunConfig, space: items.ItemSpace | None) -> prepared.Limits:
    """What conversations must keep to.

    Args:
        config: of the run.
        space: of the items that the model takes; None: it takes none.

    Raises:
        CatalogueError: the catalogue is absent, damaged or of another space.
    """
    catalogue = None if config.data.catalog is None else items.open_for(space, config.data.catalog)
    return prepared.Limits(
        max_tokens=config.data.max_tokens, leave_out_bad=config.data.leave_out_bad, catalogue=catalogue
    )


def row_tokens(config: RunConfig, processor: MusicLLMProcessor, *, tokens: int, longest: int) -> int:
    """Most tokens of a row.

    A packed row may be longer than the backbone's context, as each of its conversations begins at position 0.

    Args:
        config: of the run.
        processor: of the model.
        tokens: of all conversations that are learnt.
        longest: tokens of the longest conversation, those for validation included.
    """
    if config.data.max_tokens is not None:
        return config.data.max_tokens
    most = ROW_TOKENS if config.data.packing else min(ROW_TOKENS, processor.max_length or ROW_TOKENS)
    return max(min(most, tokens // FEWEST_ROWS), longest)


def encode_all(
    found: Sequence[Conversation | MllmError],
    start: Path,
    store: Path,
    say: Callable[[str], object],
    *,
    leave_out: bool,
) -> None:
    """Put what the store lacks into it.

    Raises:
        ConfigError: recordings cannot be heard, unless such conversations are left out later.
    """
    summary = encode.Summary()
    bad: list[str] = []

    def count(outcome: encode.Outcome) -> None:
        summary.add(outcome)
        if outcome.error:
            bad.append(outcome.error)
        elif outcome.made:
            say(f"encoding: {summary.made} windows made, {summary.seconds:.0f} s of audio")

    mentions = (mention for one in found if isinstance(one, Conversation) for mention in one.mentions)
    settings = encode.EncodeConfig(model=str(start), store=store)
    EncodingStore.make(store)
    encode.encode(mentions, settings, encode.in_this_process, count)
    bad += [str(one) for one in found if isinstance(one, MllmError)]
    if bad and not leave_out:
        raise ConfigError(f"{prepared.told(bad)}; mend or remove them, or set data.leave_out_bad=true")


def _check_settings(config: RunConfig, work: Path) -> None:
    """Keep the settings of a run beside it; a run goes on only with the same ones."""
    place = work / SETTINGS
    now = config.plain()
    if place.is_file():
        then = yaml.safe_load(place.read_text(encoding="utf-8"))
        changed = [
            f"{name} is {new!r} now and was {old!r}"
            for name, old, new in setting_files.differences(then, now)
            if not _is_free(name, new, work)
        ]
        if changed and whole_checkpoints.last_whole(work) is not None:
            raise ConfigError(
                f"{work} holds a run with other settings: {'; '.join(changed)}; give the same settings to go on with "
                "it, or another out and work to begin anew"
            )
    elif work.exists() and any(work.iterdir()):
        raise ConfigError(f"{work} holds something that is no run of a training; give another work, or remove it")
    work.mkdir(parents=True, exist_ok=True)
    beside = place.with_suffix(".half")
    beside.write_text(yaml.safe_dump(now, sort_keys=False, allow_unicode=True), encoding="utf-8")
    beside.replace(place)
