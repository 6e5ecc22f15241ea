"""Train the compact encoder: `cache` and `stems` compute features of rendered clips once, `train` trains on them,
`finish` fits the instruments to the end and writes the whole encoder.

    python scripts/train_encoder.py cache --data DIR --store DIR [--patience_minutes 30]
    python scripts/train_encoder.py stems --data DIR --store STEMS
    python scripts/train_encoder.py train --settings.stores '[DIR]' --settings.output RUN [--settings.minutes 75]
    python scripts/train_encoder.py finish --settings.encoder RUN/encoder --settings.stores '[DIR]' \
        --settings.stems '[STEMS]' --settings.dev '[DEV]' --settings.output E

`train` and `finish` go on from the last state in the output folder. `--help` after either command lists every setting.
"""

from __future__ import annotations

from jsonargparse import auto_cli

from mllm.train import encoder, feature_store, stem_store, timbre


def main() -> None:
    """Run the command given on the command line."""
    auto_cli(
        {
            "cache": feature_store.follow,
            "stems": stem_store.add_stems,
            "train": encoder.train,
            "finish": timbre.finish,
        },
        as_positional=False,
    )


if __name__ == "__main__":
    main()
