"""Finds and loads what ``keras-bert train`` wrote."""

from collections.abc import Sequence
from pathlib import Path

from keras_bert.data.examples import Text

MODEL_NAME = "model.keras"


def model_file(path: str) -> Path:
    """The ``.keras`` file at ``path``: the file itself, or the ``model.keras`` of a folder.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If ``path`` is another kind of file.
    """
    found = Path(path)
    if not found.exists():
        raise FileNotFoundError(f"there is no model at {path}")
    if found.is_dir():
        if not (found / MODEL_NAME).is_file():
            raise FileNotFoundError(f"{path} holds no {MODEL_NAME}; {_what_to_do(found)}")
        return found / MODEL_NAME
    if found.suffix != ".keras":
        raise ValueError(f"{path} is no .keras file, nor a folder that holds {MODEL_NAME}")
    return found


def load_model(path: str, compile: bool = False):
    """Loads a task model from a ``.keras`` file or from a folder that holds ``model.keras``.

    Args:
        path: The file or folder.
        compile: Whether to load what it was compiled with, too: loss, metrics, and the optimiser,
            whose state is twice as large as the weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or holds something that is no task model of keras_bert.
    """
    file = model_file(path)
    import keras

    # Registers the classes that the file names.
    from keras_bert import metrics, models, text, training  # noqa: F401

    try:
        model = keras.saving.load_model(file, compile=compile)
    except Exception as error:  # zipfile, h5py, json and Keras each raise their own
        raise ValueError(f"{file} cannot be loaded as a model: {error}") from error
    if not isinstance(model, models.TaskModel):
        raise ValueError(f"{file} holds a {type(model).__name__}, no task model of keras_bert")
    return model


def require_kind(texts: Sequence[Text], model, source: str) -> None:
    """Refuses pairs for a model of single texts, and the other way round.

    Raises:
        ValueError: If they do not go together; ``source`` says where the texts are from.
    """
    if type(model).__name__ not in ("BertClassifier", "BertSpanLabeler", "BeamSpanLabeler"):
        return  # Lists of words, prompts with choices: the model says itself what it takes.
    are_pairs = isinstance(texts[0], tuple)
    if are_pairs and not model.takes_pairs:
        raise ValueError(
            f"{source} has pairs of texts and the model takes single texts; for a file, "
            "--text-column names the one to read"
        )
    if model.takes_pairs and not are_pairs:
        raise ValueError(
            f"{source} has single texts and the model takes pairs; for a file, --text-column and "
            "--text-pair-column name them"
        )


def _what_to_do(folder: Path) -> str:
    if (folder / "config.json").is_file():
        return f"it looks like a pretrained model: keras-bert train --from {folder} makes one of it"
    if (folder / "saved_model.pb").is_file() or any(folder.glob("[0-9]*/saved_model.pb")):
        return f"it looks like an export: keras-bert predict --saved-model {folder} asks it"
    return "give the --output folder of keras-bert train, or a .keras file"
