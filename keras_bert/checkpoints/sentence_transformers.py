"""Folders of sentence-transformers: an encoder, and what makes one embedding of its output."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import warnings
from collections.abc import Mapping
from typing import Any

from keras_bert.checkpoints.buffers import to_be_filled
from keras_bert.checkpoints.folder import read_json
from keras_bert.checkpoints.huggingface.tensors import open_tensors
from keras_bert.checkpoints.loading import fill
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.safetensors import write_tensors
from keras_bert.checkpoints.sources import resolve
from keras_bert.checkpoints.verification import compare, read_numbers
from keras_bert.checkpoints.writing import Parts, entries
from keras_bert.config import ACTIVATIONS as BERT_ACTIVATIONS
from keras_bert.layers.pooling import POOLING_MODES, EmbeddingHead

__all__ = [
    "Modules",
    "encoder_folder",
    "load_model",
    "read_embedding",
    "read_modules",
    "with_settings",
    "write_modules",
]

#: Class of an activation in PyTorch → our name. Source: ``torch.nn``'s list of activations.
ACTIVATIONS = {
    "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.GELU": "gelu",
    "torch.nn.modules.activation.SiLU": "silu",
    "torch.nn.modules.activation.Mish": "mish",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.modules.linear.Identity": None,
}

#: Old key of a pooling's config → its mode.
POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

#: Path of a dense layer ← name of its tensor.
DENSE = {"kernel": "linear.weight", "bias": "linear.bias"}

#: Classes that can be read, each at most once but dense layers, in this order.
ORDER = ("Transformer", "Pooling", "Dense", "Normalize")

#: Where the longest input stands, by the encoder's family as versions before 2.0 called it.
LENGTH_FILES = [
    f"sentence_{family}_config.json"
    for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
]

#: The names of classes that all versions know.
TYPE = "sentence_transformers.models."


@dataclasses.dataclass(frozen=True)
class Modules:
    """What ``modules.json`` and the files that it names say, but for the encoder.

    Attributes:
        pooling: Modes, in the order in which they are joined.
        dense: Arguments of each dense layer.
        normalize: Whether embeddings have length 1.
        dense_folders: Where each dense layer's weights are, as ``modules.json`` has it.
        seq_length: Longest input in tokens; None where it is not said.
        lower_case: Whether text is lower-cased before the tokenizer gets it.
    """

    pooling: tuple[str, ...]
    dense: tuple[dict[str, Any], ...] = ()
    normalize: bool = False
    dense_folders: tuple[str, ...] = ()
    seq_length: int | None = None
    lower_case: bool = False

    def __str__(self):
        parts = [f"pooling {' + '.join(self.pooling)}"]
        parts += [f"dense {d['activation'] or 'linear'} {d['units']}" for d in self.dense]
        return ", ".join(parts + ["normalized"] * self.normalize)


def encoder_folder(folder: str) -> str:
    """Returns the folder of a model's encoder: a subfolder where ``modules.json`` says so.

    ``modules.json`` lists what a sentence goes through; the first is the encoder. Versions before
    2.0 saved it to ``0_Transformer``, beside a ``config.json`` that holds their own version.

    Args:
        folder: Any folder.

    Raises:
        CheckpointError: If ``modules.json`` is damaged or points outside the folder.

    Source: ``SentenceTransformer.save`` in sentence-transformers 1.0 and 2.0.
    """
    path = os.path.join(folder, "modules.json")
    if not os.path.isfile(path):
        return folder
    try:
        with open(path, encoding="utf-8") as file:
            place = json.load(file)[0]["path"]
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: no readable first module ({error!r}).") from None
    _check_place(path, place)
    return os.path.join(folder, place) if place else folder


def _check_place(path, place):
    if not isinstance(place, str) or os.path.basename(place) != place or place in ("..", "."):
        raise CheckpointError(f"{path} names the module {place!r}, outside its own folder.")


def read_modules(folder: str) -> Modules | None:
    """Reads what follows the encoder; None in a folder without ``modules.json``.

    Args:
        folder: Any folder.

    Raises:
        CheckpointError: If a file is damaged, or something else than pooling, dense layers and
            normalisation follows, or not in this order.

    Source: ``Pooling``, ``Dense`` and ``Normalize`` in sentence-transformers 6.2; the old keys in
    versions before that.
    """
    path = os.path.join(folder, "modules.json")
    if not os.path.isfile(path):
        return None
    kinds = _kinds(path)
    at = {kind: [place for found, place in kinds if found == kind] for kind in ORDER}
    dense = [_dense(os.path.join(folder, place)) for place in at["Dense"]]
    for place in at["Normalize"]:
        _check_features(os.path.join(folder, place, "config.json"), optional=True)
    _warn_of_prompt(folder)
    return Modules(
        _pooling(os.path.join(folder, at["Pooling"][0], "config.json")),
        tuple(dense),
        bool(at["Normalize"]),
        tuple(at["Dense"]),
        *_length(encoder_folder(folder)),
    )


def _kinds(path):
    """(class, folder) of each module."""
    try:
        with open(path, encoding="utf-8") as file:
            found = [(module["type"], module["path"]) for module in json.load(file)]
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise CheckpointError(
            f"{path} is damaged: no readable list of modules ({error!r})."
        ) from None
    kinds = []
    for name, place in found:
        _check_place(path, place)
        kind = str(name).rpartition(".")[2]
        if not str(name).startswith("sentence_transformers.") or kind not in ORDER:
            raise CheckpointError(
                f"{path} asks for a module {name!r}; what can be read is {', '.join(ORDER)} of "
                "sentence_transformers."
            )
        kinds.append((kind, place))
    names = [kind for kind, _ in kinds]
    right = sorted(names, key=ORDER.index)
    once = all(names.count(kind) <= 1 for kind in ORDER if kind != "Dense")
    if names != right or not once or names[:2] != ["Transformer", "Pooling"]:
        raise CheckpointError(
            f"{path} lists {', '.join(names) or 'nothing'}; expected Transformer, Pooling, any "
            "number of Dense, and perhaps Normalize."
        )
    return kinds


def _read(path):
    try:
        return read_json(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing, which modules.json asks for.") from None


def _pooling(path):
    fields = _read(path)
    modes = fields.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in POOLING_KEYS.items() if fields.get(key)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else modes
    if not isinstance(modes, list) or not modes or any(m not in [*POOLING_MODES] for m in modes):
        raise CheckpointError(
            f"{path} says pooling_mode={modes!r}; known are {', '.join(POOLING_MODES)}."
        )
    return tuple(modes)


def _dense(folder):
    path = os.path.join(folder, "config.json")
    fields = _check_features(path)
    # What PyTorch's layer does where nothing is said.
    activation = fields.get("activation_function", "torch.nn.modules.activation.Tanh")
    units, bias = fields.get("out_features"), fields.get("bias", True)
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise CheckpointError(
            f"{path} says activation_function={activation!r}; known are {', '.join(ACTIVATIONS)}."
        )
    if fields.get("use_residual"):
        raise CheckpointError(f"{path} says use_residual=true, which cannot be read.")
    if isinstance(units, bool) or not isinstance(units, int) or units < 1:
        raise CheckpointError(f"{path} says out_features={units!r}; expected a positive number.")
    if not isinstance(bias, bool):
        raise CheckpointError(f"{path} says bias={bias!r}; expected true or false.")
    tensors = _tensors(folder)
    shape = (units, fields.get("in_features"))
    # Before a layer of that size asks for memory.
    if "linear.weight" not in tensors or tuple(tensors.shape("linear.weight")) != shape:
        raise CheckpointError(
            f"{folder} does not fit its config: expected linear.weight of shape {list(shape)}."
        )
    return {"units": units, "activation": ACTIVATIONS[activation], "use_bias": bias}


def _check_features(path, optional=False):
    """The fields of a module that must work on the embedding of the text."""
    if optional and not os.path.isfile(path):
        return {}
    fields = _read(path)
    for key in ("module_input_name", "module_output_name"):
        if fields.get(key) not in (None, "sentence_embedding"):
            raise CheckpointError(
                f"{path} says {key}={fields[key]!r}; what can be read is 'sentence_embedding'."
            )
    return fields


def _tensors(folder):
    try:
        return open_tensors(folder)
    except FileNotFoundError as error:
        raise CheckpointError(f"{error} modules.json asks for a dense layer there.") from None


def _length(folder):
    """Longest input and whether text is lower-cased, by the first of the files that is there."""
    paths = [os.path.join(folder, name) for name in LENGTH_FILES]
    path = next(filter(os.path.isfile, paths), None)
    fields = read_json(path) if path else {}
    length = fields.get("max_seq_length")
    if length is not None and (isinstance(length, bool) or not isinstance(length, int)):
        raise CheckpointError(f"{path} says max_seq_length={length!r}; expected a number.")
    if length is not None and length < 2:
        raise CheckpointError(f"{path} says max_seq_length={length}; expected 2 at least.")
    return length, bool(fields.get("do_lower_case", False))


def _warn_of_prompt(folder):
    path = os.path.join(folder, "config_sentence_transformers.json")
    fields = read_json(path) if os.path.isfile(path) else {}
    name, prompts = fields.get("default_prompt_name"), fields.get("prompts")
    prompt = prompts.get(name) if isinstance(prompts, dict) and isinstance(name, str) else None
    if prompt:
        warnings.warn(
            f"{path} puts {prompt!r} before every text; this model takes texts as they are. Write "
            "it there yourself.",
            stacklevel=5,
        )


def load_model(
    cls: type,
    source: str,
    changed: Mapping[str, Any],
    seq_length: int | None,
    verify: bool,
    **encoder_options,
) -> Any:
    """Makes a ``DualEncoder`` of a checkpoint; see ``DualEncoder.from_pretrained``.

    Args:
        cls: The class.
        source: The checkpoint.
        changed: ``pooling`` and ``normalize``, where they are not to be as the checkpoint says.
        seq_length: Longest input in tokens; None: as the checkpoint says.
        verify: Whether to compare with the numbers beside the checkpoint.
        **encoder_options: Passed to the encoder.
    """
    from keras_bert.checkpoints import open_checkpoint

    path = resolve(source)
    modules = read_modules(path) if os.path.isdir(path) else None
    checkpoint = open_checkpoint(path)
    saved = getattr(getattr(checkpoint, "model", None), "embedding", None)
    options = _options(modules, saved)
    if modules is not None and modules.seq_length is not None and seq_length is None:
        seq_length = min(modules.seq_length, checkpoint.config.max_seq_length)
    with to_be_filled() if options.get("dense") else contextlib.nullcontext():
        model = cls.load(
            checkpoint, {**options, **changed}, [], seq_length, verify=verify, **encoder_options
        )
    if saved is not None:
        model.embedding.set_weights(saved.get_weights())
    elif modules is not None:
        model.load_report.loaded += _fill_dense(path, modules, model.embedding)
        if modules.lower_case and model.preprocessor is not None:
            was = model.preprocessor
            tokenizer = _lower_cased(path, was.tokenizer)
            model.preprocessor = type(was)(tokenizer, seq_length=was.seq_length)
    if verify and not changed:
        parts = Parts(model.encoder, embedding=model.embedding)
        model.load_report.parity = compare(path, read_numbers(path), parts)
    return model


def _options(modules, saved):
    """Arguments of ``DualEncoder``: as a saved one's, as the folder says, or its defaults."""
    if saved is not None:
        config = saved.get_config()
        return {name: config[name] for name in ("pooling", "dense", "normalize")}
    if modules is None:
        # As sentence-transformers has it for any other folder.
        return {"normalize": False}
    return {
        "pooling": list(modules.pooling),
        "dense": [dict(options) for options in modules.dense],
        "normalize": modules.normalize,
        "head_is_fresh": False,
    }


def read_embedding(folder: str, width: int) -> EmbeddingHead | None:
    """Makes what stands on the encoder in a folder of sentence-transformers.

    Args:
        folder: Any folder.
        width: The encoder's ``hidden_size``.

    Returns:
        The layer with its weights; None in a folder without ``modules.json``.

    Raises:
        CheckpointError: As for ``read_modules``, or if weights do not fit.
    """
    modules = read_modules(folder)
    if modules is None:
        return None
    with to_be_filled():
        head = EmbeddingHead(modules.pooling, modules.dense, modules.normalize)
        head.build((None, None, width))
    _fill_dense(folder, modules, head)
    return head


def _fill_dense(folder: str, modules: Modules, head: EmbeddingHead) -> list[str]:
    """Fills the dense layers; returns the names of the tensors."""
    names = []
    for place, layer in zip(modules.dense_folders, head.dense, strict=True):
        path = os.path.join(folder, place)
        table = DENSE if layer.use_bias else {"kernel": DENSE["kernel"]}
        found = fill(path, _tensors(path), [(layer, table)], {}, _is_kernel)
        names += [f"{place}/{name}" for name in found.loaded]
    return names


def _is_kernel(variable: Any, _name: str) -> bool:
    return variable.name == "kernel"


def _lower_cased(folder, tokenizer):
    """The same tokenizer, which lower-cases."""
    config = tokenizer.get_config()
    if "lower_case" not in config:
        raise CheckpointError(
            f"{folder} says do_lower_case=true, which a {type(tokenizer).__name__} cannot do."
        )
    if config["lower_case"]:
        return tokenizer
    # Letters become small before the tokenizer gets them; what it does with accents stays.
    accents = bool(config.get("strip_accents"))
    return type(tokenizer).from_config({**config, "lower_case": True, "strip_accents": accents})


def with_settings(folder: str, parts: Parts) -> Parts:
    """The parts of an encoder with the longest input and the tokenizer that its folder asks for."""
    modules = read_modules(folder)
    if modules is None:
        return parts
    length, tokenizer = parts.seq_length, parts.tokenizer
    if modules.seq_length is not None:
        length = min(modules.seq_length, parts.encoder.config.max_seq_length)
    if modules.lower_case and tokenizer is not None:
        tokenizer = _lower_cased(folder, tokenizer)
    return dataclasses.replace(parts, seq_length=length, tokenizer=tokenizer)


def write_modules(parts: Parts, folder: str) -> None:
    """Writes what makes a folder with an encoder one of sentence-transformers.

    The keys and the names of classes are the old ones, which all versions read, but for a joint of
    several poolings in another order than theirs.

    Args:
        parts: A model with an ``embedding``.
        folder: Where the encoder and its tokenizer have been written.

    Raises:
        CheckpointError: If PyTorch has no class for a dense layer's activation.
    """
    head = parts.embedding
    width = parts.encoder.config.hidden_size
    places = [("Transformer", ""), ("Pooling", "1_Pooling")]
    _write(folder, "1_Pooling/config.json", _pooling_fields(head.pooling.modes, width))
    width *= len(head.pooling.modes)
    for layer in head.dense:
        places.append(("Dense", f"{len(places)}_Dense"))
        _write_dense(folder, places[-1][1], layer, width)
        width = layer.units
    if head.normalize:
        places.append(("Normalize", f"{len(places)}_Normalize"))
        _write(folder, f"{places[-1][1]}/config.json", {})
    listed = [
        {"idx": i, "name": str(i), "path": place, "type": TYPE + kind}
        for i, (kind, place) in enumerate(places)
    ]
    _write(folder, "modules.json", listed)
    length = parts.seq_length or parts.encoder.config.max_seq_length
    _write(folder, LENGTH_FILES[0], {"max_seq_length": length, "do_lower_case": False})
    about = {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    _write(folder, "config_sentence_transformers.json", about)


def _pooling_fields(modes, width):
    if list(modes) != [mode for mode in POOLING_KEYS.values() if mode in modes]:
        return {"embedding_dimension": width, "pooling_mode": list(modes)}
    flags = {key: mode in modes for key, mode in POOLING_KEYS.items()}
    return {"word_embedding_dimension": width, **flags}


def _write_dense(folder, place, layer, width):
    ours = None if layer.activation is None else BERT_ACTIVATIONS[layer.activation]
    ours = None if ours == "linear" else ours
    theirs = next((theirs for theirs, name in ACTIVATIONS.items() if name == ours), None)
    if theirs is None:
        raise CheckpointError(
            f"sentence-transformers has no dense layer with activation {layer.activation!r}; it "
            f"has {', '.join(name or 'linear' for name in ACTIVATIONS.values())}."
        )
    fields = {
        "in_features": width,
        "out_features": layer.units,
        "bias": layer.use_bias,
        "activation_function": theirs,
    }
    _write(folder, f"{place}/config.json", fields)
    table = DENSE if layer.use_bias else {"kernel": DENSE["kernel"]}
    path = os.path.join(folder, place, "model.safetensors")
    write_tensors(path, entries([(layer, table)], _is_kernel))


def _write(folder, name, fields):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(fields, file, indent=2, ensure_ascii=False)
        file.write("\n")
