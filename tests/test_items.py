"""Catalogue items: catalogues open strictly; items stand in conversations beside recordings, one or many at once."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from mllm import checkpoint, cli
from mllm.configuration import MusicLLMConfig
from mllm.errors import CatalogueError, CheckpointError, ConfigError, ItemError, MessageError, PromptError
from mllm.items import Catalogue, ItemSpace, open_for
from mllm.listener import Listener
from tests.tiny_checkpoint import ITEM_SPACE, item, user, write_catalogue, write_checkpoint, write_music

LENGTH = 10


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, reference_tokenizer: PreTrainedTokenizerFast) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), reference_tokenizer, takes_items=True)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalogue(tmp_path_factory.mktemp("catalogue") / "songs")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_music(tmp_path_factory.mktemp("music"))


@pytest.fixture(scope="module")
def listener(directory: Path, catalogue: Path) -> Listener:
    return Listener.load(directory, catalogue=catalogue)


def conversations(music: Path) -> list[Any]:
    recording = {"type": "audio", "path": str(music / "one.wav")}
    return [
        user("Is it like", item(0), "?"),
        user(item(1), recording, item(2), "Which of them?"),
        user(recording, "What is the key?"),
        user(recording, item(3), item(3), item(4), recording),
        [*user(item(4), "Who plays?"), {"role": "assistant", "content": "A band."}, *user("And here?", item(0))],
        user("Is there a guitar?"),
    ]


class TestCatalogue:
    """On disk."""

    def test_what_was_written_is_read(self, catalogue: Path) -> None:
        opened = Catalogue.open(catalogue)
        assert opened.space == ITEM_SPACE
        assert len(opened) == 5
        assert opened.ids == tuple(f"song-{number}" for number in range(5))
        assert opened.name("song-3") == "Song number 3"
        assert "song-3" in opened
        assert "song-5" not in opened
        stored = load_file(catalogue / "item_features.safetensors")["features"]
        assert all(torch.equal(opened.features(name), stored[index]) for index, name in enumerate(opened.ids))

    def test_an_unknown_item_is_told_with_near_ones(self, catalogue: Path) -> None:
        with pytest.raises(ItemError, match=r"no item 'song3' among the 5 of the catalogue; did you mean 'song-3'"):
            Catalogue.open(catalogue).features("song3")

    def test_ids_may_be_anything_a_text_can_be(self, tmp_path: Path) -> None:
        names = {"'; DROP TABLE items; --": "SQL", "🎸 Äö/../x": "emoji", "": "empty", "a\nb": "two\nlines"}
        features = torch.arange(4.0).reshape(4, 1, 1)
        Catalogue.write(tmp_path / "c", names, features, space="s")
        opened = Catalogue.open(tmp_path / "c")
        assert {one: opened.name(one) for one in opened.ids} == names
        assert [float(opened.features(one)) for one in names] == [0.0, 1.0, 2.0, 3.0]

    @pytest.mark.parametrize(
        ("file", "content", "sentence"),
        [
            ("catalogue.json", None, "there is no catalogue in"),
            ("catalogue.json", "{", "cannot be read as JSON"),
            ("catalogue.json", '{"format": 2, "space": "tiny", "rows": 2, "width": 6}', "has format 2; expected 1"),
            (
                "catalogue.json",
                '{"format": 1, "space": "tiny", "rows": 0, "width": 6}',
                "rows is 0; expected 1 or more",
            ),
            ("catalogue.json", '{"format": 1, "space": "tiny", "row": 2, "width": 6}', "did you mean 'rows'"),
            ("items.jsonl", None, r"there is no items\.jsonl"),
            ("items.jsonl", '{"id": "a"}\n', "is not one JSON object with id and name a line"),
            ("items.jsonl", '{"id": "a", "name": 3}\n', "line 1: expected an id of its own and a name"),
            ("items.jsonl", '{"id": "a", "name": "A"}\n' * 2, "line 2: expected an id of its own"),
            ("items.jsonl", '{"id": "a", "name": "A"}\n', r"has the shape \[5, 2, 6\]; expected \[1, 2, 6\]"),
            ("item_features.safetensors", None, r"item_features\.safetensors cannot be read"),
            ("item_features.safetensors", "no tensors", r"item_features\.safetensors cannot be read"),
        ],
    )
    def test_a_damaged_catalogue_is_refused(
        self, catalogue: Path, tmp_path: Path, file: str, content: str | None, sentence: str
    ) -> None:
        damaged = tmp_path / "damaged"
        shutil.copytree(catalogue, damaged)
        if content is None:
            (damaged / file).unlink()
        else:
            (damaged / file).write_text(content, encoding="utf-8")
        with pytest.raises(CatalogueError, match=sentence):
            Catalogue.open(damaged)

    def test_writing_is_whole_or_not_at_all(self, catalogue: Path, tmp_path: Path) -> None:
        with pytest.raises(CatalogueError, match=r"the shape \(2, 1, 3\) for 1 items"):
            Catalogue.write(tmp_path / "c", {"a": "A"}, torch.zeros(2, 1, 3), space="s")
        with pytest.raises(ConfigError, match="name is empty"):
            Catalogue.write(tmp_path / "c", {"a": "A"}, torch.zeros(1, 1, 3), space="")
        assert not list(tmp_path.iterdir())
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(CatalogueError, match="holds something that is not a catalogue"):
            Catalogue.write(tmp_path, {"a": "A"}, torch.zeros(1, 1, 3), space="s")
        Catalogue.write(tmp_path / "c", {"a": "A"}, torch.zeros(1, 1, 3), space="s")
        Catalogue.write(tmp_path / "c", {"b": "B"}, torch.ones(1, 1, 3), space="s")
        assert Catalogue.open(tmp_path / "c").ids == ("b",)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "notes.txt"]

    def test_a_catalogue_for_another_model_is_refused(self, catalogue: Path) -> None:
        with pytest.raises(
            CatalogueError, match=r"2 x 6 numbers of 'tiny', but the model reads 2 x 6 numbers of 'new'"
        ):
            Catalogue.open(catalogue, space=dataclasses.replace(ITEM_SPACE, name="new"))
        with pytest.raises(CatalogueError, match="takes no catalogue items"):
            open_for(None, catalogue)


class TestModel:
    """A tiny model of random weights, two soft tokens an item."""

    def test_items_change_the_answer(self, listener: Listener) -> None:
        answers = [listener.respond(user(item(number), "Who?"), max_new_tokens=LENGTH) for number in range(5)]
        assert len({tuple(token.probability for token in answer.tokens) for answer in answers}) == 5

    def test_a_padded_batch_equals_single_runs(self, listener: Listener, music: Path) -> None:
        alone = [listener.respond(one, max_new_tokens=LENGTH) for one in conversations(music)]
        together = listener.respond_many(conversations(music), max_new_tokens=LENGTH)
        for one, two in zip(alone, together, strict=True):
            assert one.text == two.text
            assert one.confidence == pytest.approx(two.confidence, abs=1e-4)

    def test_each_item_stands_in_its_own_place(self, listener: Listener, music: Path) -> None:
        batch = listener.processor(conversations(music), catalogue=listener.catalogue)
        assert len(batch["item_features"]) == 8
        model: Any = listener.model
        places = (batch["input_ids"] == model.config.item_token_id).sum(-1).tolist()
        assert places == [2, 4, 0, 6, 4, 0]
        seen: list[Tensor] = []
        hook = model.language_model.model.register_forward_pre_hook(
            lambda _, __, given: seen.append(given["inputs_embeds"]), with_kwargs=True
        )
        with torch.no_grad():
            model(**batch)
        hook.remove()
        expected = torch.cat(model.item_tokens(batch["item_features"]))
        assert torch.equal(seen[0][batch["input_ids"] == model.config.item_token_id], expected)

    def test_beams_repeat_the_items(self, listener: Listener, music: Path) -> None:
        batch = listener.processor(conversations(music)[1], catalogue=listener.catalogue)
        settings: dict[str, Any] = {"max_new_tokens": LENGTH, "do_sample": False}
        plain = listener.model.generate(**batch, **settings)
        three = listener.model.generate(**batch, **settings, num_beams=3, num_return_sequences=3)
        embeds = listener.model.item_tokens(batch.pop("item_features"))
        assert torch.equal(listener.model.generate(**batch, item_embeds=embeds, **settings), plain)
        assert len(three) == 3

    def test_only_trained_parts_learn_and_are_saved(self, listener: Listener, directory: Path) -> None:
        saved = load_file(directory / "adapter_model.safetensors")
        assert {name for name in saved if name.startswith("item_adapter.")}
        learning = {name for name, parameter in listener.model.named_parameters() if parameter.requires_grad}
        assert learning <= set(saved)
        conversation = [*user(item(1), "Who?"), {"role": "assistant", "content": "A band."}]
        batch = listener.processor(
            conversation, add_generation_prompt=False, return_labels=True, catalogue=listener.catalogue
        )
        listener.model(**batch).loss.backward()
        gradients = {n: p.grad for n, p in listener.model.named_parameters() if p.grad is not None}
        listener.model.zero_grad()
        assert gradients
        assert all(name.startswith("item_adapter.") for name in gradients)

    def test_what_does_not_fit_is_refused(self, listener: Listener, music: Path) -> None:
        batch = listener.processor(conversations(music)[1], catalogue=listener.catalogue)
        batch["item_features"] = batch["item_features"][:1]
        with pytest.raises(PromptError, match="4 places for soft tokens, but the items given make 2 in 1 items"):
            listener.model(**batch)
        with pytest.raises(PromptError, match="items were given as item_features and as item_embeds"):
            listener.model(**batch, item_embeds=[torch.zeros(2, 32)])
        with pytest.raises(ItemError, match="there is no item 'song-9'"):
            listener.respond(user(item(9), "Who?"))
        with pytest.raises(MessageError, match="no catalogue was opened"):
            Listener(listener.model, listener.processor).respond(user(item(1), "Who?"))

    def test_settings_of_items_are_checked(self, listener: Listener, directory: Path, tmp_path: Path) -> None:
        settings = {
            **{key: getattr(listener.model.config, key) for key in ("audio_encoder", "audio_adapter", "text_config")},
            "audio_token": "<a>",
            "audio_token_id": 1,
            "item_token": "<i>",
            "item_token_id": 2,
        }
        adapter, space = {"name": "linear"}, {"name": "tiny", "rows": 2, "width": 6}
        assert MusicLLMConfig(**settings, item_adapter=adapter, item_space=space).space_of_items == ITEM_SPACE
        with pytest.raises(ConfigError, match="item_adapter and item_space must be given together"):
            MusicLLMConfig(**settings, item_adapter=adapter)
        with pytest.raises(ConfigError, match=r"item_space: .*did you mean 'width'"):
            MusicLLMConfig(**settings, item_adapter=adapter, item_space={"name": "tiny", "widht": 6})
        with pytest.raises(ConfigError, match="item_adapter needs an item_token"):
            MusicLLMConfig(
                **{**settings, "item_token": None, "item_token_id": None}, item_adapter=adapter, item_space=space
            )
        altered = tmp_path / "altered"
        shutil.copytree(directory, altered)
        stated = json.loads((altered / "processor_config.json").read_text())
        stated["item_space"]["name"] = "other"
        (altered / "processor_config.json").write_text(json.dumps(stated))
        with pytest.raises(CheckpointError, match=r"item_space\.name is 'other'"):
            checkpoint.load(altered)

    def test_no_width_below_one(self) -> None:
        with pytest.raises(ConfigError, match="width is 0; expected 1 or more"):
            ItemSpace(name="tiny", width=0)


def test_ask_names_items_of_a_catalogue(
    directory: Path, catalogue: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [{"id": 1, "messages": user(item(1), "Who?")}, {"id": 2, "messages": user(item(7), "Who?")}]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    words = ["ask", "--batch", str(tmp_path / "q.jsonl"), "--out", str(tmp_path / "a.jsonl"), "--model", str(directory)]
    assert cli.main([*words, "--catalog", str(catalogue), "--max-new-tokens", "5"]) == 1
    first, second = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert first["id"] == 1
    assert isinstance(first["text"], str)
    assert second == {"id": 2, "error": second["error"]}
    assert "there is no item 'song-7'" in second["error"]
    assert cli.main([*words, "--catalog", str(tmp_path / "nowhere")]) == 2
    assert "there is no catalogue in" in capfd.readouterr().err
