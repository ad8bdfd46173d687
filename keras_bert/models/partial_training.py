"""Training a part of an encoder: frozen layers, LoRA, and how far each weight is from the top."""

from __future__ import annotations

import keras

from keras_bert.layers.low_rank import LowRank, check_rank

__all__ = ["PartialTraining", "without_lora"]


class PartialTraining:
    """What an encoder has for training less than all of its weights, or some more slowly.

    Every weight knows ``layers_above``, the number of steps from its layer to the head: 1 in the
    last block that runs, one more for each block before it, one more again in the embeddings, 0 in
    the pooler and in a LayerNorm behind the last block. Where blocks share their weights, the last
    of their places counts. ``AdamW(layer_decay=...)`` goes by it.
    """

    frozen_layers = 0
    frozen_embeddings = False
    #: Arguments of ``enable_lora``; None without.
    lora = None

    def freeze(self, layers: int | None = None, embeddings: bool = True):
        """Keeps lower layers from learning.

        Args:
            layers: How many, from the lowest on; None: all, and a LayerNorm behind them. The
                pooler counts as part of the head and goes on learning.
            embeddings: Whether the embeddings are frozen too.

        Raises:
            ValueError: If there are not so many layers, or if a layer would be frozen that shares
                its weights with one that would not.
        """
        order = self._block_numbers()
        layers = len(order) if layers is None else layers
        if not isinstance(layers, int) or not 0 <= layers <= len(order):
            raise ValueError(
                f"layers is a number from 0 to {len(order)}, the layers of this encoder; received "
                f"{layers!r}."
            )
        if set(order[:layers]) & set(order[layers:]):
            possible = [n for n in range(len(order) + 1) if not {*order[:n]} & {*order[n:]}]
            raise ValueError(
                f"Layers of this encoder share their weights: layers={layers} would freeze some "
                f"that are used further up. Possible are {', '.join(map(str, possible))}."
            )
        self.frozen_layers, self.frozen_embeddings = layers, bool(embeddings)
        self._mark_trainable()

    def unfreeze(self):
        """Lets all layers learn again; where LoRA is on, its weights alone."""
        self.freeze(0, embeddings=False)

    def enable_lora(self, rank=8, alpha=None, targets=None, train_pooler=False):
        """Freezes all weights and lets narrow matrices learn in their place; see ``LowRank``.

        Args:
            rank: Width of the narrow matrices.
            alpha: What is learnt counts alpha/rank times; default: rank.
            targets: Layers that get them, by the end of their path inside a block, such as
                ``("query_key_value", "attention/output", "intermediate")``. Default: what makes
                queries, keys and values.
            train_pooler: Whether the pooler goes on learning, as the head does.

        Raises:
            ValueError: If LoRA is on already, a rank is less than 1, or a target matches nothing.
        """
        if self.lora is not None:
            raise ValueError("LoRA is on already; merge_lora() ends it.")
        check_rank(rank)
        places = self._low_rank_places()
        targets = tuple(targets) if targets is not None else None
        for layer in _targeted(places, targets):
            layer.enable_lora(rank, alpha)
        self.lora = {"rank": rank, "alpha": alpha, "targets": targets, "train_pooler": train_pooler}
        self._mark_trainable()

    def merge_lora(self):
        """Adds what LoRA learnt to the weights and takes LoRA out; outputs stay what they were."""
        for layer in self._low_rank_places().values():
            layer.merge_lora()
        self.lora = None
        self._mark_trainable()

    def _block_numbers(self):
        """Numbers of the blocks in the order in which they run."""
        numbers = {id(block): number for number, block in enumerate(self.blocks)}
        return [numbers[id(block)] for block in self.running_blocks()]

    def _low_rank_places(self):
        """Path inside a block, behind the block's number → layer that LoRA can be enabled in."""
        places = [
            pair for number, block in enumerate(self.blocks) for pair in _below(block, str(number))
        ]
        return {path: layer for path, layer in places if isinstance(layer, LowRank)}

    def _mark_trainable(self):
        """Says of every part and of every weight whether it learns, and where it stands."""
        order = self._block_numbers()
        frozen = set(order[: self.frozen_layers])
        learns = [(self.embeddings, not self.frozen_embeddings), (self.pooler, True)]
        learns += [(block, number not in frozen) for number, block in enumerate(self.blocks)]
        learns.append((self.final_norm, self.frozen_layers < len(order)))
        adapted = self._adapted_weights()
        for part, learn in learns:
            if part is not None:
                part.trainable = learn
                # One by one too: a layer leaves those alone that were frozen by themselves.
                for weight in part.weights:
                    weight.trainable = learn and (adapted is None or id(weight) in adapted)
        self.note_places()

    def _adapted_weights(self):
        """Which weights learn where LoRA is on, by their ids; None where it is not."""
        if self.lora is None:
            return None
        layers = self._low_rank_places().values()
        weights = [weight for layer in layers for weight in layer.lora_weights()]
        if self.pooler is not None and self.lora["train_pooler"]:
            weights += self.pooler.weights
        return {id(weight) for weight in weights}

    def note_places(self):
        """Gives every weight its ``layers_above``; see the class."""
        order = self._block_numbers()
        steps = {number: len(order) - place for place, number in enumerate(order)}
        parts = [(self.embeddings, len(order) + 1)]
        parts += [(self.blocks[number], above) for number, above in steps.items()]
        parts += [(part, 0) for part in (self.final_norm, self.pooler) if part is not None]
        for part, above in parts:
            for weight in part.weights:
                weight.layers_above = above

    def partial_training(self) -> dict:
        """What is frozen and adapted, for saving; empty where all learns."""
        found = {}
        if self.frozen_layers or self.frozen_embeddings:
            found["frozen"] = {"layers": self.frozen_layers, "embeddings": self.frozen_embeddings}
        if self.lora is not None:
            targets = self.lora["targets"]
            found["lora"] = {**self.lora, "targets": targets and list(targets)}
        return {"partial_training": found} if found else {}

    def restore_partial_training(self, found: dict):
        """Freezes and adapts as ``partial_training`` said."""
        if "lora" in found:
            self.enable_lora(**found["lora"])
        if "frozen" in found:
            self.freeze(**found["frozen"])


#: Ends of the paths of the layers that make queries, keys and values, whatever a family calls them.
QUERIES_KEYS_VALUES = (
    "attention/query_key_value",
    "attention/query_key",
    "attention/value",
    "attention",
)


def _below(layer, path):
    """All layers inside a layer, with their paths."""
    for inner in layer._layers:
        yield f"{path}/{inner.name}", inner
        yield from _below(inner, f"{path}/{inner.name}")


def _targeted(places, targets):
    """The layers that targets name."""
    wanted = QUERIES_KEYS_VALUES if targets is None else targets
    found = {t: [path for path in places if path.endswith(f"/{t}")] for t in wanted}
    missing = [target for target, paths in found.items() if not paths]
    if (targets is not None and missing) or not any(found.values()):
        known = dict.fromkeys(path.partition("/")[2] for path in places)
        raise ValueError(
            f"No layer of the blocks is called {', '.join(map(repr, missing))}; there are "
            f"{', '.join(known)}."
        )
    return [places[path] for path in dict.fromkeys(path for ps in found.values() for path in ps)]


def without_lora(encoder) -> keras.Model:
    """An encoder whose weights hold what LoRA learnt: itself, or a copy where LoRA is on."""
    if encoder.lora is None:
        return encoder
    plain = type(encoder)(encoder.config, name=encoder.name, dtype=encoder.dtype_policy)
    values = {weight.path: weight for weight in encoder.weights}
    for layer in encoder._low_rank_places().values():
        for name, attribute in layer.lora_targets.items():
            values[getattr(layer, attribute).path] = layer.merged(name)
    for weight in plain.weights:
        weight.assign(values[weight.path])
    return plain
