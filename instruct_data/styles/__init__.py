"""Styles of generated music, one a file; `mllm.registry` finds them by their file names."""
