"""What is evaluated, one kind a file: language models that hear, tools, recommenders. A new one is one new file here.

A file has

- `TITLE`: a sentence;
- `NEEDS`: what must be installed beside mllm, as a `pip install` line or a sentence, or "";
- `open_model(place, settings) -> Model`: `place` is what stands behind "=" in `--model NAME=PLACE` (a directory, an
  address, a name), or None. Raises `ConfigError` with what to install or give.

The type `Model` is in `mllm.eval.model`.
"""
