"""Makes a checkpoint of a published projector of MusiLingo, MERT-v1-330M and the Vicuna that it was trained with.

    python scripts/import_musilingo.py --projector checkpoint_5.pth --backbone vicuna-7b-v0 --encoder MERT-v1-330M \
        --output musilingo

The soft tokens are then MusiLingo's own; docs/mert-and-vicuna.md says what is not.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jsonargparse import auto_cli
from transformers import AutoConfig, AutoTokenizer

from mllm import checkpoint, musilingo
from mllm.errors import MllmError
from mllm.processing import MusicLLMProcessor


def run(projector: Path, backbone: Path, encoder: Path, output: Path, chat_template: str = "vicuna") -> int:
    """Reads the projector, puts the model together and writes the checkpoint, which names the frozen parts.

    Args:
        projector: MusiLingo's file, .pth or .safetensors.
        backbone: directory of the language model, with its tokenizer.
        encoder: directory of MERT.
        output: directory of the checkpoint, absent or empty.
        chat_template: name of a file in mllm/chat_templates.
    """
    try:
        model = checkpoint.assemble(
            backbone=backbone,
            audio_encoder=encoder,
            encoder_name="mert",
            adapter=musilingo.ADAPTER,
            chat_template=chat_template,
            audio_token="<AudioHere>",  # noqa: S106 (text of a placeholder)
            audio_token_id=AutoConfig.from_pretrained(backbone).vocab_size,  # never looked up
            audio_start="<Audio>",
            audio_end="</Audio> ",
        )
        musilingo.fill_from(model, projector)
        tokenizer = AutoTokenizer.from_pretrained(backbone)
        processor = MusicLLMProcessor.from_config(model.config, tokenizer)
        card = f"# MusiLingo's projector\n\nImported from `{projector.name}`: see docs/mert-and-vicuna.md.\n"
        settings = {"projector": str(projector), "backbone": str(backbone), "encoder": str(encoder)}
        checkpoint.save(model, processor, output, card=card, run=settings)
    except MllmError as error:
        print(f"import_musilingo: {error}", file=sys.stderr)
        return 2
    print(f"{output} makes the soft tokens of {projector}")
    return 0


if __name__ == "__main__":
    sys.exit(auto_cli(run, as_positional=False))
