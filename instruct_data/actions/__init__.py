"""What `mllm data` does with instruction data, one action a file; `mllm.registry` finds them by their file names."""
