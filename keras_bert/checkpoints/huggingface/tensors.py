"""Finding a folder's weights: which files there are, whole or in shards."""

from __future__ import annotations

import os

from keras_bert.checkpoints.folder import read_json
from keras_bert.checkpoints.hdf5 import HDF5Tensors
from keras_bert.checkpoints.huggingface.tensorflow_weights import (
    TensorFlowWeights,
    is_weight,
    pytorch_name,
)
from keras_bert.checkpoints.loading import Tensors
from keras_bert.checkpoints.report import CheckpointError, some_of
from keras_bert.checkpoints.safetensors import TensorFiles
from keras_bert.checkpoints.torch_pickle import PickledTensors

__all__ = ["open_tensors"]

#: File → its reader, the first that is there. An index names the files of a model in shards.
READERS = {
    "model.safetensors": TensorFiles,
    "pytorch_model.bin": PickledTensors,
    "tf_model.h5": HDF5Tensors,
}


def open_tensors(folder: str) -> Tensors:
    """Opens the weights of a folder, whole or the shards that an index names.

    Returns:
        The tensors as PyTorch's classes name and lay them out, whoever saved them.

    Raises:
        FileNotFoundError: If the folder holds no weights.
        CheckpointError: If a file is damaged or the index points outside the folder.
    """
    for name, reader in READERS.items():
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return _as_pytorch(reader([path]), whole=True)
        if os.path.isfile(f"{path}.index.json"):
            return _open_shards(folder, f"{path}.index.json", reader)
    raise FileNotFoundError(
        f"{folder} holds none of {', '.join(READERS)}, neither whole nor in shards."
    )


def _open_shards(folder, index, reader):
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} is damaged: no readable weight_map.")
    for shard in weight_map.values():
        if not isinstance(shard, str) or os.path.basename(shard) != shard or shard in ("", ".."):
            raise CheckpointError(f"{index} names the shard {shard!r}, outside its own folder.")
    shards = sorted(set(weight_map.values()))
    for shard in shards:
        if not os.path.isfile(os.path.join(folder, shard)):
            raise CheckpointError(f"{index} names the shard {shard}, which is not in {folder}.")
    files = _as_pytorch(reader([os.path.join(folder, shard) for shard in shards]), whole=False)
    promised = (pytorch_name(n, 1) if is_weight(n, 1) else n for n in weight_map)
    missing = sorted(set(promised) - set(files))
    if missing:
        raise CheckpointError(f"{index} promises tensors that no shard holds: {some_of(missing)}.")
    return files


def _as_pytorch(files, whole):
    if isinstance(files, HDF5Tensors):
        # A whole file has a layer and the class before each weight's name; shards have neither.
        return TensorFlowWeights(files, outer=2 if whole else 0)
    return TensorFlowWeights(files, outer=0) if any(is_weight(n, 0) for n in files) else files
