"""Kinds of conversation about what is known, one a file; `mllm.registry` finds them by their file names."""
