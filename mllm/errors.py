"""Every error that a user can cause: what was given, what was expected, what to do.

Raised everywhere in the package and caught once, in the command line, which prints the sentence and exits with 2.
"""


class MllmError(Exception):
    """Root of all errors that a user can cause; the message is one or two plain sentences."""


class AudioError(MllmError):
    """A file or buffer that cannot be heard: missing, not audio, empty, silent, too short."""


class NotAudioError(AudioError):
    """A file or buffer that nothing here can open as audio."""


class AudioLimitError(AudioError):
    """A recording that is longer, or takes longer to decode, than this server allows."""


class MessageError(MllmError):
    """A conversation that is not in the message format."""


class PromptError(MllmError):
    """A conversation that cannot become a prompt: longer than the context, or no place for its soft tokens."""


class ItemError(MllmError):
    """A catalogue item that does not exist, or that nobody can look up."""


class CatalogueError(MllmError):
    """A catalogue that is absent, incomplete, damaged, or made for another model."""


class ConfigError(MllmError):
    """A setting that is unknown or out of range."""


class EncodingError(MllmError):
    """What an encoder makes of a recording: not in the store, in a damaged shard, or not to be kept there."""


class TrainingError(MllmError):
    """A training that cannot go on: its loss is no number any more, or memory or disk are full."""


class CheckpointError(MllmError):
    """A checkpoint that is absent, incomplete, altered or of another shape."""


class EndpointError(MllmError):
    """A language model behind an address that does not answer, or answers with something else."""
