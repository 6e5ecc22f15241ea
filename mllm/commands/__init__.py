"""The commands of `mllm`, one a file: arguments in, exit status out."""
