"""Settings of the model: what is filled in, what is refused, and how it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, LlamaConfig

from mllm.configuration import MusicLLMConfig
from mllm.errors import ConfigError

TEXT: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 97,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
ENTRY = {"id_or_path": "backbone", "revision": None, "sha256": "0" * 64}


def settings(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "text_config": dict(TEXT),
        "audio_encoder": {"name": "cqt", "width": 32},
        "audio_adapter": {"name": "linear", "tokens_per_second": 2},
        "audio_token": "<audio>",
        "audio_token_id": 96,
    }
    return {**plain, **changes}


def test_settings_that_were_left_out_are_filled_in() -> None:
    config = MusicLLMConfig(**settings())
    assert isinstance(config.text_config, LlamaConfig)
    assert config.get_text_config() is config.text_config
    assert config.audio_encoder["name"] == "cqt"
    assert config.audio_encoder["window_seconds"] == config.encoder_config.window_seconds
    assert config.adapter_config.tokens_per_second == 2.0
    assert config.frozen == {}


def test_soft_tokens_are_counted_without_weights() -> None:
    config = MusicLLMConfig(**settings())
    assert config.num_soft_tokens(24000 * 10) == 20


@pytest.mark.parametrize("auto", [True, False])
def test_a_saved_configuration_is_read_back_the_same(tmp_path: Path, *, auto: bool) -> None:
    config = MusicLLMConfig(**settings(frozen={"backbone": ENTRY}, chat_template_sha256="a" * 64))
    config.save_pretrained(tmp_path)
    reader: Any = AutoConfig if auto else MusicLLMConfig
    assert reader.from_pretrained(tmp_path).to_diff_dict() == config.to_diff_dict()


def test_the_configuration_of_a_model_in_use_is_left_alone() -> None:
    text_config = LlamaConfig(**TEXT)
    text_config._attn_implementation = "sdpa"
    config = MusicLLMConfig(**settings(text_config=text_config))
    assert text_config._attn_implementation == config.text_config._attn_implementation == "sdpa"


def test_all_errors_are_said_at_once_with_the_near_names() -> None:
    with pytest.raises(ConfigError) as error:
        MusicLLMConfig(
            **settings(
                audio_encoder={"name": "cqt", "widht": 32},
                audio_adapter={"name": "linnear"},
                max_window=3,
                max_windows=0,
                item_token="<item>",
            )
        )
    for sentence in (
        "max_window is not a setting (did you mean 'max_windows'",
        "audio_encoder: widht is not a setting (did you mean 'width'",
        "there is no adapter named 'linnear'; did you mean 'linear'",
        "max_windows is 0; expected a whole number, 1 or more",
        "item_token and item_token_id must be given together",
    ):
        assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"text_config": None}, "text_config is None; expected the configuration"),
        ({"text_config": {"model_type": "lama"}}, "text_config.model_type is 'lama'; expected one that transformers"),
        ({"audio_encoder": None}, "audio_encoder is None; expected"),
        ({"audio_adapter": {"name": "linear", "tokens_per_second": 99}}, "audio_adapter: tokens_per_second"),
        ({"audio_token": ""}, "audio_token is ''; expected the text"),
        ({"audio_token_id": -1}, "audio_token_id is -1; expected a token id"),
        ({"audio_start": None}, "audio_start is None; expected a text"),
        ({"item_token": "<i>", "item_token_id": True}, "item_token_id is True; expected a token id"),
        ({"item_token": "<i>", "item_token_id": 96}, "are both 96; expected two different ids"),
        ({"layer_mix": 1}, "layer_mix is 1; expected true or false"),
        ({"sample_rate_hz": 0}, "sample_rate_hz is 0; expected a number above 0"),
        ({"frozen": []}, "frozen is []; expected {part"),
        ({"frozen": {"backbon": ENTRY}}, "frozen.backbon is not a setting (did you mean 'backbone'?)"),
        ({"frozen": {"backbone": "x"}}, "frozen.backbone is 'x'; expected {id_or_path"),
        ({"frozen": {"backbone": {**ENTRY, "sha": 1}}}, "frozen.backbone.sha is not a setting"),
        ({"frozen": {"backbone": {**ENTRY, "sha256": "1"}}}, "frozen.backbone.sha256 is '1'; expected 64"),
        ({"frozen": {"backbone": {**ENTRY, "id_or_path": ""}}}, "frozen.backbone.id_or_path is ''; expected an id"),
        ({"frozen": {"backbone": {**ENTRY, "revision": 3}}}, "frozen.backbone.revision is 3; expected a text"),
        ({"chat_template": ["vicuna"]}, "chat_template is ['vicuna']; expected a name or null"),
        ({"chat_template_sha256": "abc"}, "chat_template_sha256 is 'abc'; expected 64 hexadecimal digits"),
    ],
)
def test_what_is_out_of_range_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        MusicLLMConfig(**settings(**changes))
    assert sentence in str(error.value)
