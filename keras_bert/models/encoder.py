"""BertEncoder: token ids to contextual vectors."""

import keras
from keras import ops

from keras_bert.config import EncoderConfig
from keras_bert.layers.embeddings import BertEmbeddings
from keras_bert.layers.heads import Pooler
from keras_bert.layers.transformer_block import TransformerBlock

__all__ = ["BertEncoder"]

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


@keras.saving.register_keras_serializable("keras_bert")
class BertEncoder(keras.Model):
    """The BERT encoder: embeddings, Transformer blocks, pooler.

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

    def __init__(self, config: EncoderConfig, **kwargs):
        super().__init__(**kwargs)
        self.config = config = EncoderConfig.of(config)
        if not isinstance(config, EncoderConfig):
            raise TypeError(
                f"BertEncoder takes an EncoderConfig; received {type(config).__name__}. To load a "
                "checkpoint call BertEncoder.from_pretrained(folder)."
            )
        policy = {"dtype": self.dtype_policy}
        self.embeddings = BertEmbeddings(config, name="embeddings", **policy)
        self.blocks = [
            TransformerBlock(config, name=f"block_{i}", **policy)
            for i in range(max(config.block_order) + 1)
        ]
        self.pooler = None
        if config.use_pooler:
            self.pooler = Pooler(
                config.hidden_size,
                initializer_range=config.initializer_range,
                name="pooler",
                **policy,
            )
        # All shapes are known from the config; weights that exist at once can be loaded at once.
        self.build()

    @classmethod
    def from_pretrained(cls, folder: str, **kwargs) -> "BertEncoder":
        """Loads an encoder from a checkpoint folder, a ``.keras`` file or ``hf://ORG/NAME``.

        Args:
            folder: A Hugging Face folder (``config.json`` and ``model.safetensors``, sharded or
                not) of a BERT, RoBERTa, XLM-R, CamemBERT, ELECTRA, ALBERT or DistilBERT; a folder
                of Google's TensorFlow 1 code (``bert_model.ckpt.*``) of a BERT, ALBERT or ELECTRA;
                a preset folder of KerasHub (``model.weights.h5``) of a BERT, RoBERTa, XLM-R,
                DistilBERT, ALBERT or ELECTRA; a folder or file written by keras_bert; or ``hf://ORG/NAME``.
            **kwargs: ``verify=True`` compares with the numbers beside a checkpoint that keras_bert
                wrote; the rest is passed to the constructor, such as ``dtype="mixed_bfloat16"``.

        Raises:
            FileNotFoundError: If there is no checkpoint, or nothing to verify with.
            CheckpointError: If weights are missing, unknown, damaged or of another shape than
                the config says; the message names them.
        """
        # Upwards on purpose: see EncoderConfig.from_pretrained.
        from keras_bert.checkpoints import load_encoder

        return load_encoder(folder, **kwargs)

    def save_pretrained(self, folder: str, format: str = "huggingface") -> str:
        """Writes a checkpoint in a format that others read; see ``keras_bert.checkpoints.save``."""
        # Upwards on purpose: see EncoderConfig.from_pretrained.
        from keras_bert.checkpoints import save

        return save(self, folder, format)

    def build(self, *_):
        """Creates all weights."""
        hidden = (None, None, self.config.hidden_size)
        for layer in (self.embeddings, *self.blocks, self.pooler):
            if layer is not None:
                layer.build(hidden)
        self.built = True

    def call(self, inputs, training=None, first_token_only=False, return_attention_scores=False):
        """Encodes a batch; see the class for names and shapes."""
        word_ids, mask, type_ids = self._read_inputs(inputs)
        hidden = self.embeddings(word_ids, type_ids, training=training)
        encoder_outputs, attention_scores = [], []
        order = self.config.block_order
        for place, number in enumerate(order, start=1):
            result = self.blocks[number](
                hidden,
                mask,
                training=training,
                first_token_only=first_token_only and place == len(order),
                return_attention_scores=return_attention_scores,
            )
            hidden, scores = result if return_attention_scores else (result, None)
            encoder_outputs.append(hidden)
            attention_scores.append(scores)
        outputs = {
            "sequence_output": hidden,
            "pooled_output": None if self.pooler is None else self.pooler(hidden),
            "encoder_outputs": encoder_outputs,
        }
        if return_attention_scores:
            outputs["attention_scores"] = attention_scores
        return outputs

    def _read_inputs(self, inputs):
        if not isinstance(inputs, dict):
            inputs = {"input_word_ids": inputs}
        unknown = sorted(set(inputs) - set(INPUTS))
        if unknown or "input_word_ids" not in inputs:
            raise ValueError(
                f"The encoder takes a dict with {', '.join(INPUTS)}, of which only the first must "
                f"be there; received {', '.join(map(str, inputs)) or 'nothing'}."
            )
        word_ids = ops.convert_to_tensor(inputs["input_word_ids"])
        if len(word_ids.shape) != 2:
            raise ValueError(
                "input_word_ids must have the shape (batch, seq); received "
                f"{tuple(word_ids.shape)}."
            )
        mask = inputs.get("input_mask")
        type_ids = inputs.get("input_type_ids")
        if type_ids is None:
            type_ids = ops.zeros_like(word_ids)
        return word_ids, mask, ops.convert_to_tensor(type_ids)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "config": self.config.to_dict(),
        }

    def get_build_config(self):
        """Nothing: the constructor builds."""
        return None
