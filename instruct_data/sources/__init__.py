"""Where instruction data come from, one data set a file; `mllm.registry` finds them by their file names.

A source has `ABOUT` (an `_files.About`) and `records(folder, *, seed=0) -> Iterator[Record | MllmError]`: what its
files hold as records, and for each row that cannot be used an error that names the row. Sources of labels also have
`tracks(folder) -> Iterator[Track | MllmError]`, sources of listening `interactions(folder) -> Interactions`. Paths
begin in `folder`. A folder that lacks a needed file is a `ConfigError` at the first row. A row whose recording is not
there is an error of its own, as others may be.
"""
