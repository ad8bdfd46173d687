"""Whether this process trains with others, and the error of one whose cluster is not whole."""

__all__ = ["PeerLost", "has_joined", "note_joined"]

_joined = False


class PeerLost(RuntimeError):
    """Another worker never came, died, or does not answer.

    The process that gets it cannot go on; ``keras-bert`` ends with exit code 75, see
    ``keras_bert.launching.exit_codes``. All workers are to be started again.
    """


def note_joined() -> None:
    """Notes that this process is now one worker of several, for good."""
    global _joined
    _joined = True


def has_joined() -> bool:
    """Whether this process is one worker of several."""
    return _joined
