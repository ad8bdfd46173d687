"""``config.json`` of ``transformers`` and our configs, from one to the other."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from keras_bert.checkpoints.huggingface.families import FAMILIES, REQUIRED
from keras_bert.checkpoints.huggingface.family import Family
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.writing import different_fields
from keras_bert.config import EncoderConfig, ModernBertConfig, XLNetConfig

__all__ = ["family_of", "read_config", "write_config"]

#: Our names of activations that are not theirs as well.
ACTIVATION_NAMES = {"gelu_tanh": "gelu_new"}

#: What the type of a config's field is called in a message.
TYPE_NAMES = {int: "a whole number", float: "a number", str: "a name", bool: "true or false"}

#: Beyond every size and every rate; infinity and NaN are too.
TOO_LARGE = 2**63


def read_config(
    source: str, fields: Mapping[str, Any], family: Family, has_pooler: bool
) -> EncoderConfig | ModernBertConfig | XLNetConfig:
    """Their config → ours.

    Args:
        source: Where it comes from, for messages.
        fields: The object in ``config.json``.
        family: The family that it names.
        has_pooler: Whether the checkpoint has a pooler, which the file does not say.

    Raises:
        CheckpointError: If it asks for another network, or sizes are missing or no sizes.
    """
    for name, only in family.refused.items():
        if fields.get(name, only) not in (only, None):
            raise CheckpointError(
                f"{source} says {name}={fields[name]!r}; only {only!r} can be loaded."
            )
    said = {
        ours: fields[theirs]
        for ours, theirs in family.fields.items()
        if fields.get(theirs) is not None
    }
    _check_types(source, said, family)
    required = [name for name in REQUIRED if name not in family.defaults]
    missing = [family.fields[name] for name in required if name not in said]
    if missing:
        raise CheckpointError(f"{source} does not say {', '.join(missing)}.")
    ours = {**family.defaults, **said, **family.always}
    if not family.projects and ours.get("embedding_size") == ours["hidden_size"]:
        del ours["embedding_size"]
    try:
        ours |= family.from_theirs(fields)
        return family.config_class(**ours, use_pooler=has_pooler)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: {error}") from None


def _check_types(source, said, family):
    """Refuses values of another type than the defaults of the config."""
    for field in dataclasses.fields(family.config_class):
        value, kind = said.get(field.name), type(field.default)
        if value is None or field.default is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = {
            int: number and isinstance(value, int) and abs(value) < TOO_LARGE,
            float: number and abs(value) < TOO_LARGE,
        }
        if not fits.get(kind, isinstance(value, kind)):
            expected = TYPE_NAMES.get(kind, kind.__name__)
            theirs = family.fields[field.name]
            raise CheckpointError(f"{source} says {theirs}={value!r}; expected {expected}.")


def write_config(
    config: EncoderConfig | ModernBertConfig | XLNetConfig, family: Family
) -> dict[str, Any]:
    """Our config → the fields that ``family`` has for it."""
    values = {
        **config.to_dict(),
        "hidden_activation": _their_name(config.hidden_activation),
        "classifier_activation": _their_name(config.classifier_activation),
        "embedding_size": config.embedding_width,
        "classifier_dropout": config.head_dropout_rate,
    }
    said = {theirs: values[ours] for ours, theirs in family.fields.items()}
    return {**said, **family.to_theirs(config)}


def _their_name(activation):
    return ACTIVATION_NAMES.get(activation, activation)


def family_of(
    config: EncoderConfig | ModernBertConfig | XLNetConfig, heads: Iterable[str]
) -> tuple[str, Family, EncoderConfig | ModernBertConfig | XLNetConfig]:
    """The family that computes what a config asks for.

    It is the one whose config, written and read again, says the same: of all heads, or else of
    those that are there.

    Args:
        config: The encoder's config.
        heads: Kinds of the heads that are there.

    Returns:
        Its ``model_type``; the family; and the config to write. That has more rows in the tables of
        positions and types than ``config`` where with rows of zeros there the same is computed.

    Raises:
        CheckpointError: If there is none.
    """
    differences = {}
    for kinds, written in itertools.product((None, heads), _with_more_rows(config)):
        for model_type, family in FAMILIES.items():
            if not isinstance(config, family.config_class):
                continue
            found = _differences(written, family, kinds)
            if found == []:
                return model_type, family, written
            if found is not None and written is config:
                differences[model_type] = found
    nearest = min(differences, key=lambda name: len(differences[name]))
    raise CheckpointError(
        "No family of transformers computes what this config asks for. The nearest is "
        f"{nearest!r}, which has no words for "
        f"{', '.join(differences[nearest])}."
    )


def _with_more_rows(config):
    """A config, and those under which rows of zeros in tables make the same network of it."""
    if not isinstance(config, EncoderConfig):
        return [config]
    typed = dataclasses.replace(config, type_vocab_size=config.type_vocab_size or 1)
    configs = [config] if typed == config else [config, typed]
    if not config.positions_skip_padding:
        # The first token's position is the row behind padding's then.
        rows = config.max_position_embeddings + config.pad_token_id + 1
        configs.append(
            dataclasses.replace(typed, positions_skip_padding=True, max_position_embeddings=rows)
        )
    return configs


def _differences(config, family, heads):
    """What a config asks for that a family has no words for; None if it cannot say anything."""
    try:
        again = read_config("", write_config(config, family), family, config.use_pooler)
    except CheckpointError:
        return None
    found = different_fields(config, again, heads)
    # transformers looks up a type for each token: the table must have a row.
    if "embeddings.type_embeddings" in family.embeddings and not config.type_vocab_size:
        found.append("type_vocab_size=0")
    return found
