"""What `mllm eval` can do, one action a file: `SUMMARY`, `USAGE`, `add_arguments(parser)` and `run(options)`."""
