"""Makes a sound font of Gravis patches: `python scripts/gus_to_sf2.py /etc/timidity/freepats.cfg freepats.sf2`.

In: a TiMidity configuration file. Out: the sound font.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mllm.errors import MllmError
from mllm.instruct_data.gus import convert


def main() -> int:
    """Parses the arguments and converts; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configuration", type=Path, help="TiMidity configuration that names the patches")
    parser.add_argument("font", type=Path, help="sound font to write")
    arguments = parser.parse_args()
    try:
        count = convert(arguments.configuration, arguments.font)
    except MllmError as error:
        print(f"gus_to_sf2: {error}", file=sys.stderr)
        return 2
    print(f"{count} patches in {arguments.font}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
