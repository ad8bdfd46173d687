"""The error of a worker whose cluster is not whole."""

__all__ = ["PeerLost"]


class PeerLost(RuntimeError):
    """Another worker never came, died, or does not answer.

    The process that gets it cannot go on; ``keras-bert`` ends with exit code 75, see
    ``keras_bert.launching.exit_codes``. All workers are to be started again.
    """
