"""What keeps a model from being shipped."""


class ExportError(Exception):
    """A recipe, its data or the model it leads to is not as it must be; nothing was written."""
