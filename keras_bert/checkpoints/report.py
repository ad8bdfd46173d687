"""What became of every tensor of a checkpoint."""

from __future__ import annotations

import dataclasses

__all__ = ["CheckpointError", "LoadReport", "some_of"]


class CheckpointError(ValueError):
    """A checkpoint is damaged, incomplete, or contradicts its own config."""


@dataclasses.dataclass
class LoadReport:
    """What a read did with every tensor.

    Attributes:
        source: Folder or file that was read.
        loaded: Names of the checkpoint's tensors that were used.
        ignored: Name → reason, for the checkpoint's tensors that were not used.
        fresh: Parts of the model that the checkpoint has no weights for; newly initialised.
        parity: Output → largest difference from what the checkpoint is known to compute; None where
            that was not verified.
    """

    source: str
    loaded: list[str] = dataclasses.field(default_factory=list)
    ignored: dict[str, str] = dataclasses.field(default_factory=dict)
    fresh: list[str] = dataclasses.field(default_factory=list)
    parity: dict[str, float] | None = None

    def __str__(self):
        fresh = f"; newly initialised: {', '.join(self.fresh)}" if self.fresh else ""
        ignored = "".join(f"\n  {name}: {reason}" for name, reason in self.ignored.items())
        outputs = (self.parity or {}).items()
        parity = "".join(f"\n  {name}: differs by {off:.2g} at most" for name, off in outputs)
        return (
            f"{self.source}: {len(self.loaded)} tensors loaded, {len(self.ignored)} ignored"
            f"{fresh}{ignored}{parity}"
        )


def some_of(names, most: int = 5) -> str:
    """The first of some names, and how many more there are, for a message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more
