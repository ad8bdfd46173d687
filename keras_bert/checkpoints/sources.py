"""Where checkpoints come from: folders, ``.keras`` files and ``hf://`` ids."""

from __future__ import annotations

import glob
import os
import re

__all__ = ["resolve"]

#: What is fetched of a repository on the Hub: never a pickle.
HUB_FILES = (
    *("*.json", "*.safetensors", "vocab.txt", "spiece.model", "merges.txt"),
    *("*.weights.h5", "assets/tokenizer/*"),
)

#: What is fetched beside that of a repository without safetensors files.
TENSORFLOW_FILES = "tf_model*.h5"


def resolve(source: str) -> str:
    """Returns the local path of a checkpoint; downloads it where ``source`` is ``hf://ORG/NAME``.

    Args:
        source: A folder, a ``.keras`` file, or ``hf://ORG/NAME`` with an optional ``@REVISION``.

    Raises:
        FileNotFoundError: If nothing is there.
        ImportError: If ``hf://`` is asked for without the ``hub`` extra.
        ConnectionError: If the Hub cannot be reached and the files are not cached.
    """
    source = os.fspath(source)
    if source.startswith("hf://"):
        return _download(source)
    if os.path.exists(source) or _is_part(source):
        return source
    hint = ""
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        hint = f" For the Hugging Face Hub write 'hf://{source}'."
    raise FileNotFoundError(f"There is no checkpoint at {source!r}.{hint}")


def _is_part(source):
    """Whether a path that does not exist stands for one of two models in its folder."""
    parent, name = os.path.split(source.rstrip(os.sep))
    if name != "generator" or not glob.glob(os.path.join(glob.escape(parent), "*.index")):
        return False
    # Here, for it needs TensorFlow, which encoders on another backend do without.
    from keras_bert.checkpoints.google import GeneratorCheckpoint

    return GeneratorCheckpoint.is_there(source)


def _download(source):
    match = re.fullmatch(r"hf://([\w.-]+(?:/[\w.-]+)?)(?:@([\w./-]+))?", source)
    if not match:
        raise ValueError(f"{source!r} is no id; expected 'hf://ORGANISATION/NAME[@REVISION]'.")
    try:
        import huggingface_hub
    except ImportError:
        raise ImportError(
            f"{source} needs the Hub client: pip install 'keras-bert-garden[hub]'."
        ) from None
    name, revision = match.groups()

    def fetch(files):
        return huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=files)

    try:
        folder = fetch(list(HUB_FILES))
        # Where there are better weights these would be as many bytes again for nothing.
        found = glob.glob(os.path.join(glob.escape(folder), "**", "*.safetensors"), recursive=True)
        return folder if found else fetch([*HUB_FILES, TENSORFLOW_FILES])
    except Exception as error:  # the client raises whatever its HTTP library does
        raise ConnectionError(
            f"{source} could not be downloaded and is not in the local cache "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'offline'}). "
            "Without a network give the path of a downloaded folder."
        ) from error
