"""Audio encoders, one a file: waveform in, hidden states of every layer out. Found by file name (`mllm.registry`)."""
