"""What ``--strategy`` and ``--devices`` ask for, around a whole command."""

import argparse
import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator

__all__ = ["Workers", "under_strategy"]


@dataclasses.dataclass(frozen=True)
class Workers:
    """This process among those that train together.

    Attributes:
        is_chief: Whether it is the one that writes and prints.
        scope: Makes the context to build and fit a model in. Under several workers a variable is
            made by all of them at once or not at all, so that what the chief does alone, saving
            for one, is to be done outside.
        wait: Returns when all have called it.
    """

    is_chief: bool
    scope: Callable[[], contextlib.AbstractContextManager]
    wait: Callable[[], None]


@contextlib.contextmanager
def under_strategy(args: argparse.Namespace) -> Iterator[Workers]:
    """Makes the strategy; while this lasts, only the chief of several workers prints.

    Raises:
        PeerLost: If another worker of the cluster does not come, or is lost.
    """
    from keras_bert.training import cluster_of, lost_peers, strategy, wait

    made = strategy(args.strategy, args.devices)
    is_chief = cluster_of(made).is_chief
    with lost_peers(made), _silence_unless(is_chief):
        yield Workers(is_chief, made.scope, lambda: wait(made))


@contextlib.contextmanager
def _silence_unless(prints: bool) -> Iterator[None]:
    """Throws away what is printed, unless told otherwise; errors and warnings stay."""
    if prints:
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
