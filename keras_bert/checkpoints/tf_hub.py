"""SavedModels of BERT as TF Hub and Kaggle have them.

A folder with ``saved_model.pb``, ``variables/`` and ``assets/``. TF Model Garden exports them from
its encoders, so that what is in ``variables/`` is a checkpoint of its kind. The graph is not run,
nor rebuilt: of ``saved_model.pb`` only the names of its operations are read, which tell the
activation, and the name of the vocabulary's file.

Source: tensorflow/models ``official/nlp/tools/export_tfhub_lib.py``.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from keras_bert.checkpoints.garden.folder import GardenCheckpoint
from keras_bert.checkpoints.report import CheckpointError

__all__ = ["TfHubCheckpoint"]

#: An operation that only one activation needs → that activation, in words of ours.
ACTIVATION_OPS = {"Erf": "gelu", "Erfc": "gelu", "Pow": "gelu_tanh", "Relu": "relu"}

#: What Keras notes of an encoder that is another network, wherever it notes it.
REFUSED = (b'"norm_first": true',)


class TfHubCheckpoint(GardenCheckpoint):
    """A folder with the SavedModel of a BERT encoder.

    Args:
        folder: The folder: ``saved_model.pb``, ``variables/`` and ``assets/``.

    Raises:
        CheckpointError: If a file is missing or damaged, or there is no BERT encoder in it.
    """

    format = "TF Hub"

    @staticmethod
    def is_there(folder: str) -> bool:
        """Whether a folder holds a SavedModel."""
        return os.path.isfile(os.path.join(folder, "saved_model.pb"))

    @staticmethod
    def find(folder: str) -> str:
        """Path of the checkpoint without ``.index``."""
        return os.path.join(folder, "variables", "variables")

    @functools.cached_property
    def _graph(self):
        """The first of the SavedModel's graphs; there is one only."""
        path = os.path.join(self.folder, "saved_model.pb")
        try:
            graphs = SavedModel.FromString(Path(path).read_bytes()).meta_graphs
        except DecodeError as error:
            raise CheckpointError(f"{path} is damaged: {error}.") from None
        if not graphs:
            raise CheckpointError(f"{path} holds no graph.")
        return graphs[0]

    def _said(self) -> tuple[str, dict[str, Any]]:
        path = os.path.join(self.folder, "saved_model.pb")
        for file in (path, os.path.join(self.folder, "keras_metadata.pb")):
            content = Path(file).read_bytes() if os.path.isfile(file) else b""
            for words in REFUSED:
                if words in content:
                    raise CheckpointError(f"{file} says {words.decode()}, which cannot be loaded.")
        graph = self._graph.graph_def
        nodes = [node for function in graph.library.function for node in function.node_def]
        ops = {node.op for node in (*graph.node, *nodes)}
        found = sorted({ACTIVATION_OPS[op] for op in ops & ACTIVATION_OPS.keys()})
        if len(found) != 1:
            raise CheckpointError(
                f"{path} does not tell its activation: of {', '.join(ACTIVATION_OPS)}, it has the "
                f"operations of {' and '.join(found) or 'none'}."
            )
        return path, {"hidden_activation": found[0]}

    @functools.cached_property
    def _tokenizer(self):
        from keras_bert.text import Tokenizer, WordPieceTokenizer
        from keras_bert.text.vocabulary import read_vocabulary

        # Ours has all that a tokenizer knows beside it.
        if os.path.isfile(os.path.join(self.folder, "tokenizer_config.json")):
            return Tokenizer.from_pretrained(self.folder)
        tokens = read_vocabulary(self._vocabulary_path())
        said = self._tensors.stored("do_lower_case")
        return WordPieceTokenizer(tokens, lower_case=True if said is None else bool(said))

    def _vocabulary_path(self):
        names = [file.filename for file in self._graph.asset_file_def]
        nodes = self._graph.object_graph_def.nodes
        parts = {part.local_name: part.node_id for part in nodes[0].children} if nodes else {}
        number = parts.get("vocab_file", -1)
        if not 0 <= number < len(nodes) or not nodes[number].HasField("asset"):
            raise FileNotFoundError(
                f"{self.folder} has no WordPiece vocabulary; its assets are {', '.join(names)}."
            )
        place = nodes[number].asset.asset_file_def_index
        # The name is data: it may lead anywhere.
        if not 0 <= place < len(names) or os.path.basename(names[place]) != names[place]:
            raise CheckpointError(f"{self.folder}: the vocabulary's file is not in its assets.")
        return os.path.join(self.folder, "assets", names[place])
