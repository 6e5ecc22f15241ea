"""Makes a sound font of recorded notes: `python scripts/samples_to_sf2.py FOLDER OUT.sf2`.

In: a folder with one folder an instrument and one sound file a note. Out: the sound font, and what was left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mllm.errors import MllmError
from mllm.instruct_data.samples import convert


def main() -> int:
    """Parses the arguments and converts; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of folders such as violin, with files such as As4.mp3")
    parser.add_argument("font", type=Path, help="sound font to write")
    arguments = parser.parse_args()
    try:
        converted = convert(arguments.folder, arguments.font)
    except MllmError as error:
        print(f"samples_to_sf2: {error}", file=sys.stderr)
        return 2
    for remark in converted.remarks:
        print(remark, file=sys.stderr)
    print(f"{converted.samples} recordings for {converted.programs} programs in {arguments.font}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
