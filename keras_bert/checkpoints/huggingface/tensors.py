"""Finding a folder's weights: which files there are, whole or in shards."""

from __future__ import annotations

import json
import os

from keras_bert.checkpoints.loading import Tensors
from keras_bert.checkpoints.report import CheckpointError, some_of
from keras_bert.checkpoints.safetensors import TensorFiles
from keras_bert.checkpoints.torch_pickle import PickledTensors

__all__ = ["open_tensors"]

#: File → its reader, the first that is there. An index names the files of a model in shards.
READERS = {"model.safetensors": TensorFiles, "pytorch_model.bin": PickledTensors}


def open_tensors(folder: str) -> Tensors:
    """Opens ``model.safetensors`` or ``pytorch_model.bin``, or the shards that an index names.

    Raises:
        FileNotFoundError: If the folder holds none of them, with the way out where it holds
            weights of another kind.
        CheckpointError: If a file is damaged or the index points outside the folder.
    """
    for name, reader in READERS.items():
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return reader([path])
        if os.path.isfile(f"{path}.index.json"):
            return _open_shards(folder, f"{path}.index.json", reader)
    hint = ""
    if os.path.isfile(os.path.join(folder, "tf_model.h5")):
        hint = (
            " It holds tf_model.h5, which is not read here; load it once with transformers 4 and "
            "save it with safe_serialization=True."
        )
    raise FileNotFoundError(
        f"{folder} holds neither {' nor '.join(READERS)}, whole or in shards.{hint}"
    )


def _open_shards(folder, index, reader):
    try:
        with open(index, encoding="utf-8") as file:
            weight_map = json.load(file)["weight_map"]
        shards = sorted(set(weight_map.values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{index} is damaged: no readable weight_map ({error}).") from None
    for shard in shards:
        if not isinstance(shard, str) or shard != os.path.basename(shard) or shard in ("", ".."):
            raise CheckpointError(f"{index} names the shard {shard!r}, outside its own folder.")
        if not os.path.isfile(os.path.join(folder, shard)):
            raise CheckpointError(f"{index} names the shard {shard}, which is not in {folder}.")
    files = reader([os.path.join(folder, shard) for shard in shards])
    missing = sorted(set(weight_map) - set(files))
    if missing:
        raise CheckpointError(f"{index} promises tensors that no shard holds: {some_of(missing)}.")
    return files
