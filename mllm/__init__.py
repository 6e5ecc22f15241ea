"""mllm: a frozen language model that hears music.

The names of the public classes are resolved on first use, so that `import mllm` is instant and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mllm.configuration import MusicLLMConfig
    from mllm.listener import Listener
    from mllm.modeling import MusicLLMForConditionalGeneration
    from mllm.processing import MusicLLMProcessor

__version__ = "0.1.0"
__all__ = ["Listener", "MusicLLMConfig", "MusicLLMForConditionalGeneration", "MusicLLMProcessor", "__version__"]

_HOME_OF = {
    "Listener": "mllm.listener",
    "MusicLLMConfig": "mllm.configuration",
    "MusicLLMForConditionalGeneration": "mllm.modeling",
    "MusicLLMProcessor": "mllm.processing",
}


def __getattr__(name: str) -> object:
    """Import the file that defines `name` when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mllm' has no attribute {name!r}; it offers {', '.join(__all__)}")
    value: object = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
