"""The one error of a refused export."""


class ExportError(RuntimeError):
    """An artefact could not be written, or did not give the model's answers.

    Nothing is left behind: the directory is as it was before the call.

    >>> issubclass(ExportError, RuntimeError)
    True
    """
