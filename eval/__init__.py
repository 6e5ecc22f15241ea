"""Evaluation: predictions and references in, figures out. Imported as `mllm.eval`."""
