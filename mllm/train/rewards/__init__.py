"""Rewards that can be verified, one a file, found by file name (`mllm.registry`, kind "reward").

Each file has `reward(answer, facts) -> float | None`: an answer of the model and what is true of the question in, a
number in [0, 1] out; None where the reward does not apply to the question, whatever the answer is. Knows no model.
"""
