"""What can be wrong with a data set, one check a file; `mllm.registry` finds them by their file names."""
