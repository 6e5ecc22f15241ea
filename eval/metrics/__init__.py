"""Scores as pure functions, one subject a file, in mir_eval's manner: conventions, units, validation, formula.

Each file has functions that take truths and estimates, one entry an item, and `evaluate(...) -> dict[str, float]`,
every figure of the subject by its name. Those that a run shows with intervals also come as an
`mllm.eval.statistic.Statistic`.
"""
