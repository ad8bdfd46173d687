"""The objects of a TensorFlow 2 checkpoint.

TensorFlow 2 stores variables as parts of objects, which are parts of others. An object may be
reached on several ways, of which the name that its values are stored under is only the shortest:
the same encoder's word table may be ``encoder/_embedding_layer/embeddings``,
``model/layer_with_weights-0/embeddings``, ``masked_lm/embedding_table`` or ``variables/0``. So a
reader follows the graph of the objects, which is stored beside them, as TensorFlow itself does.

Source: ``tensorflow/core/protobuf/trackable_object_graph.proto``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.tf_variables import OBJECT_GRAPH, Variables

__all__ = ["ROOT", "ObjectGraph"]

#: Number of the object that was saved.
ROOT = 0


class ObjectGraph:
    """The objects of a checkpoint by number, and the names of their parts.

    Args:
        variables: The checkpoint's variables.

    Raises:
        CheckpointError: If the graph is damaged.
    """

    def __init__(self, variables: Variables):
        try:
            nodes = TrackableObjectGraph.FromString(variables.stored(OBJECT_GRAPH)).nodes
        except (DecodeError, TypeError) as error:
            raise CheckpointError(
                f"{variables.prefix}: {OBJECT_GRAPH} is damaged: {error}."
            ) from None
        self._parts = [{part.local_name: part.node_id for part in n.children} for n in nodes]
        numbers = range(len(nodes))
        if not nodes or not all(n in numbers for parts in self._parts for n in parts.values()):
            raise CheckpointError(f"{variables.prefix}: {OBJECT_GRAPH} is damaged.")
        self._keys = [{a.name: a.checkpoint_key for a in node.attributes} for node in nodes]

    def parts(self, number: int) -> dict[str, int]:
        """The parts of an object: name → number."""
        return self._parts[number]

    def follow(self, number: int, path: str) -> int | None:
        """The object at the end of a path such as "encoder/_pooler_layer"; None without one."""
        for name in path.split("/"):
            number = self._parts[number].get(name)
            if number is None:
                return None
        return number

    def key(self, number: int | None) -> str | None:
        """The name under which the value of a variable is stored; None for what is none."""
        return None if number is None else self._keys[number].get("VARIABLE_VALUE")

    def nearest(self, wanted: Callable[[int], bool]) -> list[int]:
        """The wanted objects on the shortest ways from the root; all of them equally far."""
        seen, near = {ROOT}, [ROOT]
        while near:
            found = [number for number in near if wanted(number)]
            if found:
                return found
            parts = (part for number in near for part in self._parts[number].values())
            near = list(dict.fromkeys(part for part in parts if part not in seen))
            seen.update(near)
        return []

    def nearest_ends(self, path: str) -> list[int]:
        """The ends of a path, from the objects nearest to the root that have it."""
        near = self.nearest(lambda number: self.follow(number, path) is not None)
        return [self.follow(number, path) for number in near]

    def below(self, number: int) -> Iterator[tuple[str, int]]:
        """All that an object is made of: shortest path and number."""
        seen, near = {number}, [("", number)]
        while near:
            parts = [(f"{p}{n}", i) for p, above in near for n, i in self._parts[above].items()]
            near = []
            for path, part in parts:
                if part not in seen:
                    seen.add(part)
                    near.append((f"{path}/", part))
                    yield path, part
