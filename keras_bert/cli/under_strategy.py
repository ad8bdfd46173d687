"""What ``--strategy`` and ``--devices`` ask for, around a whole command."""

import argparse
import contextlib
import os
from collections.abc import Iterator

__all__ = ["under_strategy"]


@contextlib.contextmanager
def under_strategy(args: argparse.Namespace) -> Iterator["_Workers"]:
    """Makes the strategy and enters its scope; only the chief of several workers prints.

    Raises:
        PeerLost: If another worker of the cluster does not come, or is lost.
    """
    from keras_bert.training import cluster_of, lost_peers, strategy, wait

    made = strategy(args.strategy, args.devices)
    cluster = cluster_of(made)
    with made.scope(), lost_peers(made), _silence_unless(cluster.is_chief):
        yield _Workers(cluster.is_chief, lambda: wait(made))


class _Workers:
    """Whether this process is the chief, and a function that waits for the others."""

    def __init__(self, is_chief, wait):
        self.is_chief = is_chief
        self.wait = wait


@contextlib.contextmanager
def _silence_unless(prints: bool) -> Iterator[None]:
    """Throws away what is printed, unless told otherwise; errors and warnings stay."""
    if prints:
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
