"""Errors a user can cause. The CLI prints them as one line; a node counts and logs them."""

_MAX_LENGTH = 600


class S3EError(Exception):
    """Base of all known errors: the message is one sentence that names the offending value.

    That value may come from a stranger: as text, the message is one line of bounded length in
    which nothing can forge a line of a log, or steer a terminal.
    """

    def __str__(self) -> str:
        """Return the sentence."""
        said = super().__str__()
        text = ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in said)
        if len(text) <= _MAX_LENGTH:
            return text
        half = _MAX_LENGTH // 2
        return f'{text[:half]} ... {text[-half:]}'


class ConfigError(S3EError):
    """A configuration file, parameter or option is wrong."""


class RecordingError(S3EError):
    """A recording cannot be read, or lacks what was asked of it."""


class InputError(S3EError):
    """One frame, message or file holds values that cannot be used (NaN pose, wrong size)."""


class UnwritableError(InputError):
    """A file cannot be written now: the disk is full, read-only, or not there."""


class DependencyError(S3EError):
    """An optional dependency is not installed; the message says how to get it."""


class DropError(InputError):
    """One message or image is left out and counted; the recording or the node goes on.

    Attributes:
        reason: short name under which the drop is counted, such as ``image_encoding``.
    """

    def __init__(self, reason: str, message: str) -> None:
        """Keep the reason beside the sentence."""
        super().__init__(message)
        self.reason = reason
