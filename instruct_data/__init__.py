"""Data with exact answers: scores are read, arranged, rendered and labelled here; nothing in `mllm` imports it."""
