"""The short table of a run in Markdown: headline figures with intervals, blind lines beside them.

In: `Results`. Out: text. Computes nothing.
"""

from __future__ import annotations

from mllm.eval.results import Results


def table(results: Results) -> str:
    """Headline figures, a row each."""
    lines = []
    for name, task in results.tasks.items():
        for figure_name, figure in task.figures.items():
            lines.append(f"{name}/{figure_name}: {figure.scores} blind {figure.blind} gains {figure.gains}")
    lines += [f"skipped {name}: {why}" for name, why in results.skipped.items()]
    return "\n".join(lines) + "\n"
