"""`python -m mllm` is the command `mllm`."""

from __future__ import annotations

import sys

from mllm.cli import main

if __name__ == "__main__":
    sys.exit(main())
