"""What the model answers while it learns: a few conversations of the validation data, at each evaluation.

In: prepared conversations and the model. Out: `samples.jsonl` in the working directory and texts in TensorBoard, the
true answer beside the model's. Knows no schedules.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from mllm.processing import MusicLLMProcessor
from mllm.prompt import IGNORE_INDEX
from mllm.train.rows import Ready, Rows
from mllm.train.stage_trainer import StageTrainer

FILE = "samples.jsonl"


class Samples(TrainerCallback):
    """Answers the last turn of some conversations, without drawing.

    Args:
        trainer: whose model answers.
        rows: of the validation data; its first conversations are answered.
        processor: of the model.
        count: how many.
        max_new_tokens: longest answer.
    """

    def __init__(
        self, trainer: StageTrainer, rows: Rows, processor: MusicLLMProcessor, *, count: int, max_new_tokens: int
    ) -> None:
        self._trainer = trainer
        self._rows = rows
        self._processor = processor
        self._indices = range(min(count, len(rows.prepared)))
        self._max_new_tokens = max_new_tokens

    def on_evaluate(self, args: Any, state: Any, control: Any, **others: Any) -> None:  # noqa: ARG002 (the Trainer's form)
        """Answer, on every process, as the parts of a spread model must work together; one process writes."""
        said = [self._sample(self._rows.ready(index), state.global_step) for index in self._indices]
        if not state.is_world_process_zero:
            return
        with (Path(args.output_dir) / FILE).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in said)
        for callback in self._trainer.callback_handler.callbacks:
            writer = getattr(callback, "tb_writer", None)
            if writer is not None:
                for one in said:
                    writer.add_text(f"samples/{one['place']}", _shown(one), one["step"])

    def _sample(self, ready: Ready, step: int) -> dict[str, Any]:
        ids, labels = ready.prompt.input_ids, ready.prompt.labels
        begin = _last_answer(labels)
        model: Any = self._trainer.accelerator.unwrap_model(self._trainer.model)
        was_training = model.training
        model.eval()
        device = model.get_input_embeddings().weight.device
        place = self._rows.prepared[ready.index]["place"]
        with torch.no_grad():
            generated = model.generate(
                torch.tensor([ids[:begin]], device=device),
                attention_mask=torch.ones(1, begin, dtype=torch.long, device=device),
                audio_features=list(ready.features) or None,
                item_features=list(ready.item_features) or None,
                max_new_tokens=self._max_new_tokens,
                do_sample=False,
                eos_token_id=self._processor.tokenizer.eos_token_id,
                pad_token_id=self._processor.tokenizer.pad_token_id or self._processor.tokenizer.eos_token_id,
            )[0, begin:]
        model.train(was_training)
        decode = self._processor.tokenizer.decode
        return {
            "step": step,
            "place": place,
            "prompt": self._processor.decode(ids[:begin]),
            "expected": decode([label for label in labels[begin:] if label != IGNORE_INDEX], skip_special_tokens=True),
            "answer": decode(generated.tolist(), skip_special_tokens=True),
        }


def _last_answer(labels: tuple[int, ...]) -> int:
    """Where the last stretch of learnt tokens begins."""
    position = len(labels)
    while labels[position - 1] == IGNORE_INDEX:
        position -= 1
    while position > 0 and labels[position - 1] != IGNORE_INDEX:
        position -= 1
    return position


def _shown(sample: dict[str, Any]) -> str:
    return f"**expected** {sample['expected']}\n\n**answer** {sample['answer']}"
