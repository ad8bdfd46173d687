"""keras_bert: BERT on Keras 3 and TensorFlow, from raw text to a served model.

The public names, and nothing else::

    import keras_bert as kb

    model = kb.BertClassifier.from_pretrained("path/to/folder", labels=["bad", "good"])
    model.fit([("I liked it", "good"), ("Never again", "bad")], epochs=3)
    model.predict(["Quite nice"])
    kb.export.saved_model(model, "saved_models/reviews")
"""

import importlib

from keras_bert.environment import check_environment, is_command_line

__version__ = "0.1.0"

#: Public name → the module that defines it.
_EXPORTS = {
    "AdamW": "keras_bert.training",
    "AddedToken": "keras_bert.text",
    "BeamSpanLabeler": "keras_bert.models",
    "BertClassifier": "keras_bert.models",
    "BertEncoder": "keras_bert.models.encoder",
    "BertMaskedLM": "keras_bert.models",
    "BertMultipleChoice": "keras_bert.models",
    "BertPretrainer": "keras_bert.models",
    "BertSpanLabeler": "keras_bert.models",
    "BertTokenClassifier": "keras_bert.models",
    "BytePairTokenizer": "keras_bert.text",
    "CheckpointError": "keras_bert.checkpoints.report",
    "DualEncoder": "keras_bert.models",
    "EncoderConfig": "keras_bert.config",
    "LAMB": "keras_bert.training",
    "ModernBertConfig": "keras_bert.config",
    "ModernBertEncoder": "keras_bert.models.modern_encoder",
    "Preprocessor": "keras_bert.text",
    "SentencePieceTokenizer": "keras_bert.text",
    "Tokenizer": "keras_bert.text",
    "WordPieceTokenizer": "keras_bert.text",
    "XLNetConfig": "keras_bert.config",
    "XLNetEncoder": "keras_bert.models.xlnet_encoder",
    "read_conll": "keras_bert.data.conll",
    "read_dataset": "keras_bert.data.reading",
    "read_examples": "keras_bert.data.sources",
    "read_parallel": "keras_bert.data.parallel",
    "read_squad": "keras_bert.data.squad",
}
_MODULES = (
    "checkpoints",
    "data",
    "export",
    "layers",
    "metrics",
    "models",
    "serving",
    "text",
    "training",
)

__all__ = [*_EXPORTS, *_MODULES, "__version__"]


def __getattr__(name):
    if name in _EXPORTS:
        value = getattr(importlib.import_module(_EXPORTS[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"keras_bert.{name}")
    else:
        raise AttributeError(f"module 'keras_bert' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)


def _register_saved_classes():
    """Imports what ``keras.saving.load_model`` must find by name in a ``.keras`` file."""
    import keras

    if keras.config.backend() == "tensorflow":
        for module in ("metrics", "models", "text", "training"):
            importlib.import_module(f"keras_bert.{module}")
    else:
        # The encoder runs on other backends; whatever touches strings needs TensorFlow.
        importlib.import_module("keras_bert.models.encoders")


# The command line does both itself, once it has understood its arguments: `keras-bert --help` and
# usage errors need not wait seconds for TensorFlow.
if not is_command_line():
    check_environment()
    _register_saved_classes()
