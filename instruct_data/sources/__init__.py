"""Where instruction data come from, one data set a file; `mllm.registry` finds them by their file names."""
