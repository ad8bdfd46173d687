"""DualEncoder: texts to embeddings that are compared with each other."""

from __future__ import annotations

import keras
import numpy as np

from keras_bert.layers.pooling import EmbeddingHead
from keras_bert.models.head_model import HeadModel

__all__ = ["DualEncoder"]

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


@keras.saving.register_keras_serializable("keras_bert")
class DualEncoder(HeadModel):
    """Makes one embedding of each text, as models of sentence-transformers do.

    Over ``sequence_output`` come pooling, then dense layers and normalisation where there are any.

    Args:
        encoder: Any encoder.
        preprocessor: A ``Preprocessor``, or None.
        pooling: One or several of ``cls``, ``max``, ``mean``, ``mean_sqrt_len_tokens``,
            ``weightedmean``, ``lasttoken``; several are joined in the order given.
        dense: Arguments of each dense layer: ``units``, ``activation``, ``use_bias``.
        normalize: Whether embeddings have length 1.
        **kwargs: See ``HeadModel``.

    Call: a dict of ids as ``BertEncoder`` takes → embeddings (batch, dim) float32.

    Source: Reimers & Gurevych 2019 (arXiv:1908.10084), section 3.

    Example:
        >>> import keras_bert as kb
        >>> model = kb.DualEncoder.from_pretrained("all-MiniLM-L6-v2")  # doctest: +SKIP
        >>> embeddings = model.encode(["It rains.", "Bad weather."])  # doctest: +SKIP
        >>> model.similarity(embeddings, embeddings).shape  # doctest: +SKIP
        (2, 2)
    """

    def __init__(
        self, encoder, preprocessor=None, pooling="mean", dense=(), normalize=False, **kwargs
    ):
        # Without dense layers there is nothing to be trained or loaded.
        kwargs.setdefault("head_is_fresh", bool(dense))
        super().__init__(encoder, preprocessor, **kwargs)
        self.embedding = EmbeddingHead(pooling, dense, normalize, name="embedding")
        self.embedding.build((None, None, encoder.config.hidden_size))
        self._embed = None
        self.built = True

    @classmethod
    def from_pretrained(
        cls,
        folder: str,
        pooling=None,
        normalize: bool | None = None,
        seq_length: int | None = None,
        verify: bool = False,
        **kwargs,
    ):
        """Loads a model of sentence-transformers, or puts pooling on any other encoder.

        Args:
            folder: A folder with ``modules.json``, which says what follows the encoder; or any
                checkpoint as ``BertEncoder.from_pretrained`` reads it, which gets the mean over
                the tokens and no normalisation; or a saved ``DualEncoder``.
            pooling: As the constructor takes it, in place of what the folder says.
            normalize: Whether embeddings have length 1, in place of what the folder says.
            seq_length: Longest input in tokens. Default: ``max_seq_length`` of
                ``sentence_bert_config.json``, or else what the checkpoint allows.
            verify: Whether to compare with the numbers beside a checkpoint that keras_bert wrote.
            **kwargs: Passed to the encoder, such as ``dtype="mixed_bfloat16"``.

        Returns:
            A model. ``model.load_report`` says what became of every tensor.

        Raises:
            FileNotFoundError: If there is no checkpoint.
            CheckpointError: If a file is damaged or asks for another kind of module, or if weights
                are missing, unknown or of the wrong shape.
            ValueError: If the vocabulary does not fit the weights.
        """
        # Upwards on purpose: see EncoderConfig.from_pretrained.
        from keras_bert.checkpoints.sentence_transformers import load_model

        changed = {"pooling": pooling, "normalize": normalize}
        changed = {name: value for name, value in changed.items() if value is not None}
        return load_model(cls, folder, changed, seq_length, verify, **kwargs)

    def head_layers(self):
        """None of the kinds that ``keras_bert.models.heads`` knows: see ``embedding``."""
        return {}

    def call(self, inputs, training=None):
        """Ids → embeddings (batch, dim) float32."""
        sequence = self.encoder(inputs, training=training)["sequence_output"]
        mask = inputs.get("input_mask") if isinstance(inputs, dict) else None
        return self.embedding(sequence, mask, training=training)

    def encode(self, texts, batch_size: int = 32) -> np.ndarray:
        """Makes embeddings of texts.

        Args:
            texts: A list of strings.
            batch_size: Texts per step. Texts of similar length are put together.

        Returns:
            (texts, dim) float32, in the order given.

        Raises:
            TypeError: If something is no text; the message names its place.
            ValueError: If there is no text, or the model has no vocabulary.
        """
        # Here, for they need TensorFlow, which ids do without.
        from keras_bert.data.batching import TokenizedTexts, sorted_batches
        from keras_bert.data.inputs import read_texts_argument

        tokens = TokenizedTexts(self.text_preprocessor(), read_texts_argument(texts))
        embeddings = None
        for rows in sorted_batches(tokens.lengths, batch_size):
            found = keras.ops.convert_to_numpy(self._graph()(tokens.batch(rows)))
            if embeddings is None:
                embeddings = np.empty((len(tokens), found.shape[-1]), np.float32)
            embeddings[rows] = found
        return embeddings

    @staticmethod
    def similarity(first, second) -> np.ndarray:
        """Cosines of the angles between embeddings.

        Args:
            first: (m, dim).
            second: (n, dim).

        Returns:
            (m, n) float32, 1 for the same direction; 0 for a vector of zeros.

        Example:
            >>> print(DualEncoder.similarity([[1.0, 0.0]], [[2.0, 0.0], [0.0, 3.0]]))
            [[1. 0.]]
        """
        first, second = (_unit(np.asarray(vectors, np.float32)) for vectors in (first, second))
        return first @ second.T

    def _graph(self):
        """The function ids → embeddings, traced once for all shapes."""
        if self._embed is None:
            import tensorflow as tf

            signature = {name: tf.TensorSpec((None, None), tf.int32, name=name) for name in INPUTS}
            self._embed = tf.function(
                lambda ids: self(ids, training=False), input_signature=[signature], autograph=False
            )
        return self._embed

    def _forget_graphs(self):
        super()._forget_graphs()
        self._embed = None

    def get_config(self):
        """Returns the constructor's arguments."""
        head = self.embedding.get_config()
        ours = {name: head[name] for name in ("pooling", "dense", "normalize")}
        return {**super().get_config(), **ours}


def _unit(vectors):
    if vectors.ndim != 2:
        raise ValueError(f"Expected embeddings (texts, dim); received shape {vectors.shape}.")
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
