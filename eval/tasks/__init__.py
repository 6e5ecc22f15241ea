"""Evaluation tasks, one benchmark a file. A new task is one new file here.

A file has

- `ABOUT`: an `mllm.eval.task_about.About` (title, version, what it measures, its figures, where its files come from);
- `load(music) -> Sequence[Question]`: its questions, from an `mllm.eval.music.Music` (rendered music, always at hand,
  or files of a benchmark). Raises `mllm.eval.music.AbsentError` where files are absent that it needs: the task is then
  skipped by name;
- `credit(question, said) -> float | None`: how right one answer is, in [0, 1]; None where it cannot be judged alone (a
  question that is not about the fact, or a figure of all answers together). Nothing said, or nothing that can be read,
  is 0, never None;
- optionally `figures(questions, said) -> Mapping[str, Statistic]`: its figures by their names in `ABOUT.figures`, each
  over the same questions in the same order; without it the only figure is "score", the mean credit;
- optionally `blind(questions) -> Mapping[str, list[Said]]`: answerers that hear nothing besides those of
  `mllm.eval.blind`, such as one that names the commonest instruments each time;
- optionally `read(question, said) -> str | None`: which of few possible answers (`Question.label`) was understood, for
  confusion matrices; without it `mllm.eval.understood` looks for the labels of the task in the answer.

It never asks a model, opens no recording but to make one, and draws by seeds only: the same music gives the same
questions, to the letter.
"""
