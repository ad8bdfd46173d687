"""LoRA: two narrow matrices that learn in the place of a wide one."""

from typing import ClassVar

import keras
from keras import initializers, ops

__all__ = ["LowRank", "check_rank"]


class LowRank:
    """Gives a layer ``enable_lora`` and ``merge_lora``, with the names of ``keras.layers.Dense``.

    A layer with a matrix W (features, units) that adds ``change(inputs, name)`` to ``inputs W``
    computes ``inputs (W + α/r A B)``, with A (features, r) and B (r, units): the matrix plus a
    change of rank r. W is frozen, A and B learn. B begins with zeros, so that nothing changes at
    first. The matrix ``A B`` is never made: two narrow products cost less, and no gradient of the
    size of W is computed.

    Unlike Keras', the attribute ``kernel`` stays the frozen matrix alone, and saving keeps A and B
    beside it: what is loaded again goes on learning where it stopped, and can still be taken apart.

    A layer that mixes this in names its matrices in ``lora_targets``: name in the names of the two
    new weights → attribute. A matrix with more than two axes is taken as (features, all others).

    Source: section 4.1 of Hu et al. 2021 (arXiv:2106.09685).

    Example:
        >>> from keras_bert.layers import Linear
        >>> layer = Linear(3)
        >>> layer.build((None, 4))
        >>> layer.enable_lora(rank=2)
        >>> [weight.name for weight in layer.trainable_weights]
        ['bias', 'lora_kernel_a', 'lora_kernel_b']
    """

    lora_targets: ClassVar[dict[str, str]] = {"kernel": "kernel"}
    lora_enabled = False
    lora_rank = lora_alpha = None

    def enable_lora(self, rank, lora_alpha=None, a_initializer="he_uniform", b_initializer="zeros"):
        """Freezes the matrices and gives each a change of low rank that learns.

        Args:
            rank: r, at least 1.
            lora_alpha: α of the factor α/r of the change; default: r.
            a_initializer: Of the matrices A.
            b_initializer: Of the matrices B.

        Raises:
            ValueError: If the rank is less than 1, the layer has no weights yet, or LoRA is on.
        """
        check_rank(rank)
        if not self.built:
            raise ValueError(f"The layer {self.name} has no weights yet: build it first.")
        if self.lora_enabled:
            raise ValueError(f"LoRA is on already in the layer {self.name}: merge_lora() ends it.")
        starts = {"a": a_initializer, "b": b_initializer}
        self._tracker.unlock()
        for name, attribute in self.lora_targets.items():
            matrix = getattr(self, attribute)
            sides = {"a": (matrix.shape[0], rank), "b": (rank, _width(matrix))}
            for side, shape in sides.items():
                # In float32, whatever the matrix is in: small changes would be lost.
                weight = self.add_weight(
                    name=f"lora_{name}_{side}",
                    shape=shape,
                    initializer=initializers.get(starts[side]),
                    dtype="float32",
                )
                setattr(self, f"lora_{name}_{side}", weight)
            matrix.trainable = False
        self._tracker.lock()
        self.lora_enabled, self.lora_rank = True, rank
        self.lora_alpha = rank if lora_alpha is None else lora_alpha

    def merge_lora(self):
        """Adds the changes to the matrices for good and takes LoRA out of the layer."""
        if not self.lora_enabled:
            return
        for name, attribute in self.lora_targets.items():
            matrix = getattr(self, attribute)
            matrix.assign(self.merged(name))
            matrix.trainable = self.trainable
            for side in "ab":
                self._remove(f"lora_{name}_{side}")
        self.lora_enabled, self.lora_rank, self.lora_alpha = False, None, None

    def _remove(self, attribute):
        self._untrack_variable(getattr(self, attribute))
        # Not del, with which Keras collects garbage, once for every weight.
        setattr(self, attribute, None)

    def change(self, inputs, name="kernel"):
        """What LoRA adds to a product: (tokens, features) → (tokens, units), or None without."""
        if not self.lora_enabled:
            return None
        a, b = (ops.cast(weight, inputs.dtype) for weight in self._sides(name))
        return ops.matmul(ops.matmul(inputs, a), b * (self.lora_alpha / self.lora_rank))

    def merged(self, name="kernel"):
        """The matrix with its change, in the matrix' own shape."""
        matrix = ops.convert_to_tensor(getattr(self, self.lora_targets[name]))
        if not self.lora_enabled:
            return matrix
        a, b = self._sides(name)
        change = ops.matmul(a, b) * (self.lora_alpha / self.lora_rank)
        return matrix + ops.cast(ops.reshape(change, matrix.shape), matrix.dtype)

    def _sides(self, name):
        return getattr(self, f"lora_{name}_a"), getattr(self, f"lora_{name}_b")

    def lora_weights(self) -> list[keras.Variable]:
        """The weights that learn in the matrices' place; none without LoRA."""
        if not self.lora_enabled:
            return []
        return [weight for name in self.lora_targets for weight in self._sides(name)]


def check_rank(rank):
    """Raises ValueError unless it is a rank.

    Example:
        >>> check_rank(8)
    """
    if not isinstance(rank, int) or rank < 1:
        raise ValueError(f"The rank of LoRA is a whole number from 1 on; received {rank!r}.")


def _width(matrix):
    """Elements of a row of a matrix, however many axes they have."""
    width = 1
    for size in matrix.shape[1:]:
        width *= size
    return width
