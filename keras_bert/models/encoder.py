"""Encoders, token ids to contextual vectors: what all have in common, and BERT's."""

import keras
from keras import ops

from keras_bert.config import EncoderConfig
from keras_bert.layers.bottleneck_block import BottleneckBlock
from keras_bert.layers.checkpointing import Checkpointed
from keras_bert.layers.embeddings import BertEmbeddings
from keras_bert.layers.heads import Pooler
from keras_bert.layers.transformer_block import TransformerBlock
from keras_bert.models.partial_training import PartialTraining

__all__ = ["BertEncoder", "Encoder"]

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


class Encoder(PartialTraining, keras.Model):
    """Embeddings, then blocks one after the other: what encoders of every family do.

    A family says what its parts are: it names its ``config_class``; its ``make_parts`` sets
    ``embeddings``, ``blocks`` and, if it has them, ``final_norm`` and ``pooler``; its ``embed``
    calls the embeddings.

    Args:
        config: A config of the family's class, or its dict.
        checkpointing: Whether training keeps each block's inputs alone and computes the block again
            for its gradient: less memory, and about a third more time. Outputs and gradients stay
            the same. It is an attribute too, which may be set at any time; a ``tf.function`` that
            was traced before does not see it. Attention scores, where asked for, are kept as
            without.

    Raises:
        TypeError: If the config is anything else.
        ValueError: If the encoder is made in a ``keras.RematScope``.
    """

    config_class: type

    def __init__(self, config, checkpointing=False, **kwargs):
        super().__init__(**kwargs)
        _check_remat_mode(self)
        self.checkpointing = bool(checkpointing)
        self.config = config = self.config_class.of(config)
        name, takes = type(self).__name__, self.config_class.__name__
        if not isinstance(config, self.config_class):
            raise TypeError(
                f"{name} takes a config of the class {takes}; received {type(config).__name__}. To "
                f"load a checkpoint call {name}.from_pretrained(folder)."
            )
        self.final_norm = self.pooler = None
        self.make_parts(config, {"dtype": self.dtype_policy})
        # All shapes are known from the config; weights that exist at once can be loaded at once.
        self.build()

    @classmethod
    def from_pretrained(cls, folder: str, **kwargs) -> "Encoder":
        """Loads an encoder from a checkpoint folder, a ``.keras`` file or ``hf://ORG/NAME``.

        Args:
            folder: A Hugging Face folder (``config.json`` and ``model.safetensors``,
                ``pytorch_model.bin`` or ``tf_model.h5``, sharded or not) of a BERT, RoBERTa, XLM-R,
                CamemBERT, ELECTRA, ALBERT, DistilBERT, MobileBERT, ModernBERT or XLNet; a folder
                of Google's TensorFlow 1 code (``bert_model.ckpt.*``) of a BERT, ALBERT, ELECTRA,
                MobileBERT or XLNet, with ``/generator`` behind it for the generator beside an
                ELECTRA; a TensorFlow 2 checkpoint of TF Model Garden's BERT, or a
                SavedModel of it as TF Hub and Kaggle have them; a preset folder of KerasHub
                (``model.weights.h5``) of a BERT, RoBERTa, XLM-R, DistilBERT, ALBERT or ELECTRA; a
                folder or file written by keras_bert; or ``hf://ORG/NAME``.
            **kwargs: ``verify=True`` compares with the numbers beside a checkpoint that keras_bert
                wrote; the rest is passed to the constructor, such as ``dtype="mixed_bfloat16"``.

        Returns:
            An encoder of the checkpoint's own kind, whichever class is asked: a
            ``ModernBertEncoder`` for a ModernBERT, an ``XLNetEncoder`` for an XLNet, else a
            ``BertEncoder``.

        Raises:
            FileNotFoundError: If there is no checkpoint, or nothing to verify with.
            CheckpointError: If weights are missing, unknown, damaged or of another shape than
                the config says; the message names them.
        """
        # Upwards on purpose: see EncoderConfig.from_pretrained.
        from keras_bert.checkpoints import load_encoder

        return load_encoder(folder, **kwargs)

    def save_pretrained(self, folder: str, format: str | None = None) -> str:
        """Writes a checkpoint in some format; see ``keras_bert.checkpoints.save``."""
        # Upwards on purpose: see EncoderConfig.from_pretrained.
        from keras_bert.checkpoints import save

        return save(self, folder, format)

    def build(self, *_):
        """Creates all weights."""
        hidden = (None, None, self.config.hidden_size)
        for layer in (self.embeddings, *self.blocks, self.final_norm, self.pooler):
            if layer is not None:
                layer.build(hidden)
        self.note_places()
        self.built = True

    def call(self, inputs, training=None, first_token_only=False, return_attention_scores=False):
        """Encodes a batch; see the class for names and shapes."""
        word_ids, mask, type_ids = self._read_inputs(inputs)
        hidden = self.embed(word_ids, type_ids, training)
        encoder_outputs, attention_scores = [], []
        blocks = self.running_blocks()
        for place, block in enumerate(blocks, start=1):
            is_last = place == len(blocks)
            result = self.run_block(
                block,
                hidden,
                mask,
                training=training,
                first_token_only=first_token_only and is_last,
                return_attention_scores=return_attention_scores,
            )
            hidden, scores = result if return_attention_scores else (result, None)
            if is_last and self.final_norm is not None:
                hidden = self.final_norm(hidden, training=training)
            encoder_outputs.append(hidden)
            attention_scores.append(scores)
        outputs = {
            "sequence_output": hidden,
            "pooled_output": self.pool(hidden),
            "encoder_outputs": encoder_outputs,
        }
        if return_attention_scores:
            outputs["attention_scores"] = attention_scores
        return outputs

    def make_parts(self, config, policy):
        """Sets the layers; ``policy`` holds their ``dtype``."""
        raise NotImplementedError

    def embed(self, word_ids, type_ids, training):
        """Calls the embeddings: (batch, seq) int32, twice → (batch, seq, hidden)."""
        raise NotImplementedError

    def running_blocks(self):
        """The blocks in the order in which they run; one may run several times."""
        return self.blocks

    def run_block(self, block, *inputs, training=None, return_attention_scores=False, **options):
        """Calls a block, with checkpointing where that is on; inputs as ``Checkpointed`` takes."""
        # Scores are handed out, so that they are kept anyway.
        if training and self.checkpointing and not return_attention_scores:
            block = Checkpointed(block)
        else:
            options["return_attention_scores"] = return_attention_scores
        return block(*inputs, training=training, **options)

    def pool(self, hidden):
        """``pooled_output`` of (batch, seq, hidden): (batch, hidden), or None without a pooler."""
        return None if self.pooler is None else self.pooler(hidden)

    def _read_inputs(self, inputs):
        inputs = self._checked_inputs(inputs, INPUTS)
        word_ids = inputs["input_word_ids"]
        type_ids = inputs.get("input_type_ids")
        if type_ids is None:
            type_ids = ops.zeros_like(word_ids)
        return word_ids, inputs.get("input_mask"), type_ids

    def _checked_inputs(self, inputs, known):
        """The inputs as tensors, by name, without those that are None."""
        if not isinstance(inputs, dict):
            inputs = {"input_word_ids": inputs}
        unknown = sorted(set(inputs) - set(known))
        if unknown or "input_word_ids" not in inputs:
            raise ValueError(
                f"The encoder takes a dict with {', '.join(known)}, of which only the first must "
                f"be there; received {', '.join(map(str, inputs)) or 'nothing'}."
            )
        inputs = {n: ops.convert_to_tensor(v) for n, v in inputs.items() if v is not None}
        shape = tuple(inputs["input_word_ids"].shape)
        if len(shape) != 2:
            raise ValueError(f"input_word_ids must have the shape (batch, seq); received {shape}.")
        return inputs

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "config": self.config.to_dict(),
            **({"checkpointing": True} if self.checkpointing else {}),
            **self.partial_training(),
        }

    @classmethod
    def from_config(cls, config):
        """Rebuilds an encoder from ``get_config``'s result, frozen and adapted as it was."""
        config = dict(config)
        partial = config.pop("partial_training", {})
        encoder = super().from_config(config)
        encoder.restore_partial_training(partial)
        return encoder

    def get_build_config(self):
        """Nothing: the constructor builds."""
        return None


@keras.saving.register_keras_serializable("keras_bert")
class BertEncoder(Encoder):
    """The BERT encoder: embeddings, blocks, pooler.

    The blocks are Transformer blocks, or MobileBERT's where the config has something that those
    alone compute.

    Args:
        config: An ``EncoderConfig``.

    Inputs: a dict of int32 tensors (batch, seq): ``input_word_ids``; ``input_mask``, 1 for a
    token and 0 for padding (default: all tokens); ``input_type_ids`` (default: all 0).

    Outputs: a dict in the compute dtype:

    - ``sequence_output`` (batch, seq, hidden): the last block's output.
    - ``pooled_output`` (batch, hidden), or None where the encoder has no pooler.
    - ``encoder_outputs``: a list, one (batch, seq, hidden) per block that ran.
    - ``attention_scores``, only on ``return_attention_scores=True``: a list, one
      (batch, heads, seq, seq) float32 per block that ran, the probabilities before dropout.

    With ``first_token_only=True`` the last block computes its output for ``[CLS]`` alone
    (attending to all tokens), which is all that a classifier reads: seq is 1 in
    ``sequence_output``, in the last of ``encoder_outputs`` and in the queries of the last of
    ``attention_scores``.

    Raises:
        ValueError: On inputs without ``input_word_ids`` or with an unknown name.

    Source: Devlin et al. 2018 (arXiv:1810.04805); google-research/bert ``modeling.py``. Output
    names are those of TF Model Garden and TF Hub encoders.

    Example:
        >>> import keras_bert as kb
        >>> encoder = kb.BertEncoder(kb.EncoderConfig(vocab_size=100, hidden_size=16, num_layers=2,
        ...                                           num_attention_heads=2, intermediate_size=32))
        >>> ids = keras.ops.convert_to_tensor([[2, 7, 3]])
        >>> encoder({"input_word_ids": ids})["sequence_output"].shape
        (1, 3, 16)
    """

    config_class = EncoderConfig

    def make_parts(self, config, policy):
        """Sets the layers."""
        self.embeddings = BertEmbeddings(config, name="embeddings", **policy)
        block = TransformerBlock if _is_plain(config) else BottleneckBlock
        self.blocks = [
            block(config, name=f"block_{i}", **policy) for i in range(max(config.block_order) + 1)
        ]
        if config.use_pooler and config.pooler_dense:
            self.pooler = Pooler(
                config.hidden_size,
                initializer_range=config.initializer_range,
                name="pooler",
                **policy,
            )

    def embed(self, word_ids, type_ids, training):
        """Words, positions and segment types."""
        return self.embeddings(word_ids, type_ids, training=training)

    def running_blocks(self):
        """In the order that shared layers ask for."""
        return [self.blocks[number] for number in self.config.block_order]

    def pool(self, hidden):
        """MobileBERT's pooler may be ``[CLS]`` as it is."""
        if self.config.use_pooler and not self.config.pooler_dense:
            return hidden[:, 0]
        return super().pool(hidden)


def _check_remat_mode(encoder):
    # Keras' own, private: it notes in every layer the RematScope that it was made in.
    mode = getattr(getattr(encoder, "_remat_mode", None), "mode", None)
    if mode is not None:
        raise ValueError(
            f"The encoder is made in a keras.RematScope(mode={mode!r}), under which dropout draws "
            "other random numbers for the gradient than for the output. Make it outside, with "
            "checkpointing=True."
        )


def _is_plain(config):
    """Whether a ``TransformerBlock`` computes what the config asks for."""
    return (
        config.bottleneck_size is None
        and config.normalization == "layer_norm"
        and config.output_norm_epsilon is None
        and config.num_feedforward_networks == 1
    )
