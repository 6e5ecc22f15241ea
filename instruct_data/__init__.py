"""Instruction data: scores, audio and facts in, training records out. Imported as `mllm.instruct_data`."""
