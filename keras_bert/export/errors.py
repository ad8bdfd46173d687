"""What an export raises when the artefact would be wrong."""

__all__ = ["ExportError"]


class ExportError(RuntimeError):
    """An export was not written, or not kept, because it would not answer as the model does."""
