"""The error raised when an export fails."""


class ExportError(RuntimeError):
    """Raised when an artefact cannot be written or its outputs differ from those of the model.

    No partial output is left behind: the directory is unchanged.

    >>> issubclass(ExportError, RuntimeError)
    True
    """
