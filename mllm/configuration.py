"""The settings of a music language model: which parts it is made of, and the contract of its checkpoint.

In: keyword arguments or a parsed `config.json`. Out: one validated `MusicLLMConfig`, composed of the backbone's own
configuration and the settings of an encoder and an adapter plug-in. Knows neither weights nor files.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, ClassVar

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from mllm import registry
from mllm.errors import ConfigError
from mllm.items import ItemSpace
from mllm.lora import LoraSettings
from mllm.settings import config_from_dict, near

MODEL_TYPE = "mllm"
FROZEN_PARTS = ("backbone", "audio_encoder")
"""The parts that a checkpoint names but does not hold."""
FROZEN_KEYS = ("id_or_path", "revision", "sha256")
"""What `MusicLLMConfig.frozen` says of each frozen part."""
PLUG_INS = {"audio_encoder": "encoder", "audio_adapter": "adapter", "item_adapter": "adapter"}
"""Settings that hold the name and the fields of a plug-in, and the kind of plug-in."""
INHERITED_KEYS = frozenset(
    {
        "model_type",
        "name_or_path",
        "torch_dtype",
        "num_labels",
        "attn_implementation",
        "experts_implementation",
        "output_attentions",
    }
)
"""Keys that every transformers configuration takes beside its fields."""


class MusicLLMConfig(PreTrainedConfig):
    """Everything that shapes the model; see `mllm.checkpoint` for the files that fill it.

    Raises:
        ConfigError: on construction, naming every unknown key (with the near ones) and every value out of range.
    """

    model_type = MODEL_TYPE
    sub_configs: ClassVar[dict[str, Any]] = {"text_config": AutoConfig}
    has_no_defaults_at_init = True

    text_config: Any = None
    """Configuration of the frozen language model, as it stands in its own config.json."""
    audio_encoder: Any = None
    """{"name": file name in mllm/encoders, and the fields of its Config}."""
    audio_adapter: Any = None
    """{"name": file name in adapters, and the fields of its Config}."""
    audio_token: Any = None
    """Text of the placeholder of one soft token; must be one token of the tokenizer."""
    audio_token_id: Any = None
    """Id of the placeholder; may be past the backbone's vocabulary, since it is never looked up."""
    audio_start: Any = ""
    """Text rendered before the soft tokens of an audio."""
    audio_end: Any = ""
    """Text rendered after them."""
    item_token: Any = None
    """Text of the placeholder of a catalogue item; None where prompts have no place for items."""
    item_token_id: Any = None
    """Id of that placeholder."""
    item_adapter: Any = None
    """As `audio_adapter`, over the rows of an item's features; None where the model takes no items."""
    item_space: Any = None
    """The fields of `mllm.items.ItemSpace`: what the features of an item are."""
    lora: Any = None
    """The fields of `mllm.lora.LoraSettings`: the trained additions to the backbone; None where there are none."""
    max_windows: Any = 8
    """Windows of the encoder that are heard of one audio, at least 1."""
    layer_mix: Any = True
    """True: a learnt weighted sum over the encoder's hidden states; False, or an encoder with one: the last one."""
    sample_rate_hz: Any = None
    """Sample rate of the waveform; None: filled in from the encoder."""
    frames_per_second: Any = None
    """Frame rate of the encoder; None: filled in from it."""
    tokens_per_second: Any = None
    """Soft tokens for one second of audio; None: filled in from the adapter."""
    frozen: Any = None
    """For each of `FROZEN_PARTS`: id or path, revision, and the sha256 of its files. Empty before it is known."""
    chat_template: Any = None
    """Name of the template in mllm/chat_templates that was chosen; None: the tokenizer's own."""
    chat_template_sha256: Any = None
    """Hash of the tokenizer's chat template; None before it is known."""

    def __post_init__(self, **others: Any) -> None:
        problems = _unknown_keys(others, allowed=[f.name for f in dataclasses.fields(self)], hidden=INHERITED_KEYS)
        self.frozen = {} if self.frozen is None else self.frozen
        problems += self._build_text_config()
        for key in PLUG_INS:
            if key != "item_adapter" or self.item_adapter is not None:
                problems += self._complete_plug_in(key)
        problems += self._check_items() + self._check_lora()
        problems += self._check_tokens() + self._check_numbers() + _check_frozen(self.frozen)
        if not isinstance(self.chat_template, str | None):
            problems.append(f"chat_template is {self.chat_template!r}; expected a name or null")
        if self.chat_template_sha256 is not None and not _is_sha256(self.chat_template_sha256):
            problems.append(f"chat_template_sha256 is {self.chat_template_sha256!r}; expected 64 hexadecimal digits")
        if problems:
            raise ConfigError("; ".join(problems))
        # transformers sets the attention of every part from this key; the backbone keeps its own where nothing is said.
        others.setdefault("attn_implementation", getattr(self.text_config, "_attn_implementation", None))
        super().__post_init__(**others)  # type: ignore[no-untyped-call]

    @property
    def encoder_module(self) -> ModuleType:
        """The file of the encoder: its `Config`, `Encoder` and geometry functions."""
        return registry.find("encoder", self.audio_encoder["name"])

    @property
    def adapter_module(self) -> ModuleType:
        """The file of the adapter: its `Config`, `Adapter` and geometry functions."""
        return registry.find("adapter", self.audio_adapter["name"])

    @property
    def encoder_config(self) -> Any:
        """The encoder's `Config`, built from the settings under `audio_encoder`."""
        return self._plug_in_config("audio_encoder")

    @property
    def adapter_config(self) -> Any:
        """The adapter's `Config`, built from the settings under `audio_adapter`."""
        return self._plug_in_config("audio_adapter")

    @property
    def item_adapter_module(self) -> ModuleType:
        """The file of the adapter of items; `item_adapter` must be set."""
        return registry.find("adapter", self.item_adapter["name"])

    @property
    def item_adapter_config(self) -> Any:
        """That adapter's `Config`, built from the settings under `item_adapter`, which must be set."""
        return self._plug_in_config("item_adapter")

    @property
    def space_of_items(self) -> ItemSpace | None:
        """What the features of an item are; None where the model takes no items."""
        return None if self.item_space is None else config_from_dict(ItemSpace, self.item_space)

    @property
    def lora_settings(self) -> LoraSettings | None:
        """The settings of the LoRA on the backbone; None where there is none."""
        return None if self.lora is None else config_from_dict(LoraSettings, self.lora)

    @property
    def reserved_token_ids(self) -> tuple[int, ...]:
        """The placeholders that the backbone has an id for, in order; none of them is ever an answer."""
        ids = {self.audio_token_id, self.item_token_id}
        return tuple(sorted(one for one in ids if one is not None and one < self.text_config.vocab_size))

    def num_soft_tokens(self, num_samples: int) -> int:
        """Soft tokens of one window of `num_samples` samples; needs no weights."""
        encoder = self.encoder_config
        frames = self.encoder_module.num_frames(encoder, num_samples)
        rate = self.encoder_module.frames_per_second(encoder)
        return int(self.adapter_module.num_tokens(self.adapter_config, frames, rate))

    def _plug_in_config(self, key: str) -> Any:
        settings = {name: value for name, value in getattr(self, key).items() if name != "name"}
        return config_from_dict(registry.find(PLUG_INS[key], getattr(self, key)["name"]).Config, settings)

    def _build_text_config(self) -> list[str]:
        if isinstance(self.text_config, PreTrainedConfig):
            self.text_config = copy.deepcopy(self.text_config)  # a model that is in use may hold the one given
            return []
        if not isinstance(self.text_config, Mapping):
            return [f"text_config is {self.text_config!r}; expected the configuration of the language model"]
        settings = dict(self.text_config)
        model_type = settings.pop("model_type", None)
        if model_type not in CONFIG_MAPPING:
            return [f"text_config.model_type is {model_type!r}; expected one that transformers knows, such as 'llama'"]
        try:
            self.text_config = CONFIG_MAPPING[model_type](**settings)
        except (TypeError, ValueError) as error:
            return [f"text_config is not a {model_type} configuration: {error}"]
        return []

    def _complete_plug_in(self, key: str) -> list[str]:
        """Check the settings of a plug-in through its own dataclass and fill in the fields that were left out."""
        settings = getattr(self, key)
        if not isinstance(settings, Mapping) or not isinstance(settings.get("name"), str):
            return [f'{key} is {settings!r}; expected {{"name": file name of the {PLUG_INS[key]}, and its settings}}']
        try:
            config = self._plug_in_config(key)
        except ConfigError as error:
            return [f"{key}: {error}"]
        setattr(self, key, {"name": settings["name"], **dataclasses.asdict(config)})
        return []

    def _check_items(self) -> list[str]:
        if (self.item_adapter is None) != (self.item_space is None):
            return ["item_adapter and item_space must be given together"]
        if self.item_space is None:
            return []
        if self.item_token is None:
            return ["item_adapter needs an item_token, the place of an item in a prompt"]
        if not isinstance(self.item_space, Mapping):
            return [f"item_space is {self.item_space!r}; expected the name, rows and width of items' features"]
        try:
            self.item_space = dataclasses.asdict(config_from_dict(ItemSpace, self.item_space))
        except ConfigError as error:
            return [f"item_space: {error}"]
        return []

    def _check_lora(self) -> list[str]:
        if self.lora is None:
            return []
        if not isinstance(self.lora, Mapping):
            return [f"lora is {self.lora!r}; expected the settings of a LoRA, such as {{'rank': 8}}, or null"]
        try:
            self.lora = config_from_dict(LoraSettings, self.lora).to_dict()
        except ConfigError as error:
            return [f"lora: {error}"]
        return []

    def _check_tokens(self) -> list[str]:
        problems = []
        if not isinstance(self.audio_token, str) or not self.audio_token:
            problems.append(f"audio_token is {self.audio_token!r}; expected the text of the placeholder")
        if not _is_whole(self.audio_token_id, at_least=0):
            problems.append(f"audio_token_id is {self.audio_token_id!r}; expected a token id, 0 or more")
        problems += [
            f"{key} is {getattr(self, key)!r}; expected a text, which may be empty"
            for key in ("audio_start", "audio_end")
            if not isinstance(getattr(self, key), str)
        ]
        if (self.item_token is None) != (self.item_token_id is None):
            problems.append("item_token and item_token_id must be given together")
        elif self.item_token_id is not None and not _is_whole(self.item_token_id, at_least=0):
            problems.append(f"item_token_id is {self.item_token_id!r}; expected a token id, 0 or more")
        elif self.item_token_id is not None and self.item_token_id == self.audio_token_id:
            problems.append(
                f"audio_token_id and item_token_id are both {self.audio_token_id}; expected two different ids"
            )
        return problems

    def _check_numbers(self) -> list[str]:
        problems = []
        if not _is_whole(self.max_windows, at_least=1):
            problems.append(f"max_windows is {self.max_windows!r}; expected a whole number, 1 or more")
        if not isinstance(self.layer_mix, bool):
            problems.append(f"layer_mix is {self.layer_mix!r}; expected true or false")
        for key in ("sample_rate_hz", "frames_per_second", "tokens_per_second"):
            value = getattr(self, key)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
                problems.append(f"{key} is {value!r}; expected a number above 0")
        return problems


def _unknown_keys(
    given: Iterable[str], *, allowed: list[str], hidden: frozenset[str] = frozenset(), prefix: str = ""
) -> list[str]:
    return [
        f"{prefix}{key} is not a setting{near(key, allowed)}"
        for key in given
        if key not in allowed and key not in hidden and not key.startswith("_")
    ]


def _check_frozen(frozen: object) -> list[str]:
    if not isinstance(frozen, Mapping):
        return [f"frozen is {frozen!r}; expected {{part: {{id_or_path, revision, sha256}}}}"]
    problems = _unknown_keys(frozen, allowed=list(FROZEN_PARTS), prefix="frozen.")
    for part in FROZEN_PARTS:
        entry = frozen.get(part)
        if entry is None:
            continue
        if not isinstance(entry, Mapping):
            problems.append(f"frozen.{part} is {entry!r}; expected {{id_or_path, revision, sha256}}")
            continue
        problems += _unknown_keys(entry, allowed=list(FROZEN_KEYS), prefix=f"frozen.{part}.")
        if not isinstance(entry.get("id_or_path"), str) or not entry["id_or_path"]:
            problems.append(f"frozen.{part}.id_or_path is {entry.get('id_or_path')!r}; expected an id or a path")
        if not _is_sha256(entry.get("sha256")):
            problems.append(f"frozen.{part}.sha256 is {entry.get('sha256')!r}; expected 64 hexadecimal digits")
        if not isinstance(entry.get("revision"), str | None):
            problems.append(f"frozen.{part}.revision is {entry['revision']!r}; expected a text or null")
    return problems


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _is_whole(value: object, *, at_least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


AutoConfig.register(MODEL_TYPE, MusicLLMConfig, exist_ok=True)
