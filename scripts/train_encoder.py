"""Train the compact encoder: `cache` computes features of rendered clips once, `train` trains on them.

    python scripts/train_encoder.py cache --data DIR --store DIR [--patience_minutes 30]
    python scripts/train_encoder.py train --settings.stores '[DIR]' --settings.output DIR [--settings.minutes 75]

`train` goes on from the last checkpoint in the output folder. `--help` after either command lists every setting.
"""

from __future__ import annotations

from jsonargparse import auto_cli

from mllm.train import encoder, feature_store


def main() -> None:
    """Run the command given on the command line."""
    auto_cli({"cache": feature_store.follow, "train": encoder.train}, as_positional=False)


if __name__ == "__main__":
    main()
