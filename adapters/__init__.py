"""Adapters, one a file: frames of an encoder in, soft tokens out. Imported as `mllm.adapters`, found by file name."""
