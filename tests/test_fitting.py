"""Settings that are proposed where memory was not enough: the least change that fits, by the same calculation."""

from __future__ import annotations

import dataclasses

import pytest

from mllm.train import fitting, memory
from mllm.train.fitting import Need
from mllm.train.memory import GIB, Sizes
from mllm.train.run_config import RunConfig, read

SEVEN_BILLION = Sizes(
    linear=6_476_005_376,
    linear_bytes=2 * 6_476_005_376,
    frozen_bytes=2 * 262_410_240,
    trained=5_000_000,
    item_bytes=2,
    width=4096,
    inner=11008,
    layers=32,
    vocabulary=32000,
)
"""LLaMA-2 7B in bfloat16 with a small adapter."""
NEED = Need(sizes=SEVEN_BILLION, row_tokens=2048, longest=300)


def config(*words: str) -> RunConfig:
    return read(None, ["out=made", "data.train=songs.jsonl", *words])


def advised(gib: float, *words: str, need: Need = NEED) -> tuple[str, ...]:
    found = fitting.advice(config(*words), need, round(gib * GIB))
    assert found.fits
    assert found.least * fitting.HEADROOM <= gib * GIB
    assert found.least < found.needed
    return found.words


def test_fewer_rows_at_once_come_first_and_only_as_few_as_it_takes() -> None:
    assert advised(60, "train.rows_at_once=4") == ("train.rows_at_once=2",)
    assert advised(40, "train.rows_at_once=4") == ("train.rows_at_once=1",)


def test_then_checkpointing_with_as_many_rows_as_fit() -> None:
    assert advised(23, "train.rows_at_once=4") == ("train.gradient_checkpointing=true",)
    assert advised(21, "train.rows_at_once=8") == ("train.rows_at_once=2", "train.gradient_checkpointing=true")


def test_a_quantised_backbone_comes_after_what_changes_nothing() -> None:
    assert advised(12, "train.gradient_checkpointing=true") == ("model.quantisation=int8",)
    assert advised(9, "train.gradient_checkpointing=true")[-1] == "model.quantisation=nf4"


def test_what_is_quantised_is_not_quantised_again() -> None:
    words = advised(7.5, "model.quantisation=nf4", need=quantised())
    assert not any("quantisation" in word for word in words)


def test_shorter_rows_come_last_and_hold_the_longest_conversation() -> None:
    long_rows = dataclasses.replace(quantised(), row_tokens=8192)
    words = advised(8.5, "train.gradient_checkpointing=true", "model.quantisation=nf4", need=long_rows)
    assert words == ("data.max_tokens=4096",)
    found = fitting.advice(config("train.gradient_checkpointing=true"), NEED, GIB)
    assert not found.fits
    assert "data.max_tokens=512" in found.words


def quantised() -> Need:
    return dataclasses.replace(NEED, sizes=memory.quantised(SEVEN_BILLION, "nf4"))


def test_what_failed_does_not_fit_whatever_the_calculation_says() -> None:
    found = fitting.advice(config("train.rows_at_once=2"), NEED, 1000 * GIB)
    assert found.words == ("train.rows_at_once=1",)
    assert found.least < found.needed


def test_every_advice_is_settings_that_can_be_given() -> None:
    for gib in range(2, 80, 3):
        for words in ([], ["train.rows_at_once=6"], ["train.gradient_checkpointing=true"]):
            found = fitting.advice(config(*words), NEED, gib * GIB)
            given = config(*words, *found.words)
            assert given.plain() != config(*words).plain()
            assert found.goes_on == all(word.split("=")[0] in fitting.FREE for word in found.words)


def test_nothing_is_left_to_change() -> None:
    found = fitting.advice(
        config("train.gradient_checkpointing=true", "model.quantisation=nf4"),
        dataclasses.replace(quantised(), row_tokens=300),
        GIB,
    )
    assert (found.fits, found.words) == (False, ())


@pytest.mark.parametrize("rows", [1, 2, 6, 7])
def test_rows_at_once_divide_the_rows_of_a_step(rows: int) -> None:
    found = fitting.advice(config(f"train.rows_at_once={rows}"), NEED, 30 * GIB)
    for word in found.words:
        if word.startswith("train.rows_at_once="):
            assert rows % int(word.partition("=")[2]) == 0
