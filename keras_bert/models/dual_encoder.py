"""DualEncoder: texts to embeddings that are compared with each other."""

from __future__ import annotations

import functools

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_bert.data.batching import TokenizedTexts, sorted_batches, without_autotuning
from keras_bert.data.comparisons import comparison_tensors, read_comparisons
from keras_bert.data.inputs import is_texts, read_texts_argument
from keras_bert.data.text_groups import TextGroups
from keras_bert.layers.pooling import EmbeddingHead
from keras_bert.models.answering import INPUT_SIGNATURE, strings_of
from keras_bert.models.embedding_scores import correlations, cosines, retrieval_scores
from keras_bert.models.nearest import nearest, unit_vectors
from keras_bert.models.task import TaskModel

__all__ = ["DualEncoder"]


class _Similarity:
    """``similarity`` of a model, which takes texts too; of the class, which takes embeddings."""

    def __get__(self, model, owner=None):
        return functools.partial(_similarity, model)


def _similarity(model, first, second) -> np.ndarray:
    """Cosines of the angles between embeddings, or between those of texts.

    Args:
        model: What makes embeddings of texts; None: there are no texts.
        first: (m, dim), or a list of m texts.
        second: (n, dim), or a list of n texts.

    Returns:
        (m, n) float32, 1 for the same direction; 0 for a vector of zeros.
    """
    first, second = (unit_vectors(_embeddings(model, side)) for side in (first, second))
    return first @ second.T


def _embeddings(model, texts):
    """Those that are given, or those of the texts that are."""
    if isinstance(texts, str | bytes):
        texts = read_texts_argument(texts)  # which says what to write
    first = texts[0] if isinstance(texts, list | tuple) and len(texts) else texts
    kind = getattr(getattr(texts, "dtype", None), "kind", None)
    if not isinstance(first, str | bytes) and kind not in ("O", "U", "S"):
        return texts
    if model is None:
        raise TypeError("DualEncoder.similarity takes embeddings; model.similarity texts too.")
    return model.encode(texts)


@keras.saving.register_keras_serializable("keras_bert")
class DualEncoder(TaskModel):
    """Makes one embedding of each text, as models of sentence-transformers do.

    Over ``sequence_output`` come pooling, then dense layers and normalisation where there are any.
    It is trained on texts that belong together, or on pairs with a score of how similar they are.

    Args:
        encoder: Any encoder.
        preprocessor: A ``Preprocessor``, or None.
        pooling: One or several of ``cls``, ``max``, ``mean``, ``mean_sqrt_len_tokens``,
            ``weightedmean``, ``lasttoken``; several are joined in the order given.
        dense: Arguments of each dense layer: ``units``, ``activation``, ``use_bias``.
        normalize: Whether embeddings have length 1.
        **kwargs: See ``HeadModel``.

    Call: a dict of ids as ``BertEncoder`` takes → embeddings (batch, dim) float32. Ids
    (batch, texts, seq), or a tuple of such dicts, one per text of an example → (batch, texts, dim).

    Source: Reimers & Gurevych 2019 (arXiv:1908.10084), section 3.

    Example:
        >>> import keras_bert as kb
        >>> model = kb.DualEncoder.from_pretrained("all-MiniLM-L6-v2")  # doctest: +SKIP
        >>> embeddings = model.encode(["It rains.", "Bad weather."])  # doctest: +SKIP
        >>> model.similarity(embeddings, embeddings).shape  # doctest: +SKIP
        (2, 2)
        >>> model.fit([("a question", "its answer"), ...])  # doctest: +SKIP
        >>> model.search(["a question"], corpus=answers, top_k=1)  # doctest: +SKIP
        [[{'index': 0, 'text': 'its answer', 'score': 0.93}]]
    """

    def __init__(
        self, encoder, preprocessor=None, pooling="mean", dense=(), normalize=True, **kwargs
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
        """Ids → embeddings (batch, dim) or (batch, texts, dim) float32."""
        if isinstance(inputs, list | tuple):
            return ops.stack([self.call(ids, training=training) for ids in inputs], axis=1)
        ids = inputs["input_word_ids"] if isinstance(inputs, dict) else inputs
        shape = ops.shape(ids)
        if len(shape) == 3:
            # All texts of all examples in one pass.
            rows = keras.tree.map_structure(lambda x: ops.reshape(x, (-1, shape[-1])), inputs)
            embeddings = self.call(rows, training=training)
            return ops.reshape(embeddings, (*shape[:2], embeddings.shape[-1]))
        sequence = self.encoder(inputs, training=training)["sequence_output"]
        mask = inputs.get("input_mask") if isinstance(inputs, dict) else None
        return self.embedding(sequence, mask, training=training)

    # Training.

    def compile(self, optimizer=None, loss=None, **kwargs):
        """Sets optimiser, loss and metrics; what is left out gets the task's defaults.

        Args:
            optimizer: See ``TaskModel.compile``.
            loss: ``multiple_negatives``, ``additive_margin``, ``triplet``, ``cosine`` or
                ``contrastive``; or one of ``keras_bert.training`` with options of its own; or any
                Keras loss of (batch,) scores and (batch, texts, dim) embeddings. Default: by what
                the examples are, ``multiple_negatives`` for texts that belong together, ``cosine``
                for scored pairs.
            **kwargs: See ``TaskModel.compile``.
        """
        from keras_bert.training.embedding_losses import embedding_loss

        super().compile(optimizer, embedding_loss(loss), **kwargs)

    def default_loss(self):
        """One that is chosen by what the examples are; see ``compile``."""
        from keras_bert.training.embedding_losses import LossByExamples

        return LossByExamples()

    def default_metrics(self):
        """None: scores are of all texts together; see ``scores``."""
        return []

    def fit(self, x=None, y=None, *, loss=None, **kwargs):
        """Trains on texts that are compared.

        Args:
            x: A list of texts that belong together: (text, text), or (anchor, positive, negative,
                ...). Or of pairs that have a score: ((text, text), score), or (text, text, score);
                for ``cosine`` from -1 to 1, for ``contrastive`` 0 or 1. Or ``Examples`` of pairs,
                or a ``tf.data.Dataset`` of such elements, batched or not.
            y: Scores, where ``x`` holds pairs alone.
            loss: As ``compile`` takes it, in place of the one compiled.
            **kwargs: See ``TaskModel.fit``.

        Returns:
            The ``keras.callbacks.History``; with validation data the scores of ``evaluate`` are in
            it. These data may be of another kind than those trained on: ``val_loss`` is then the
            default loss of their kind.

        Raises:
            TypeError: If something is no text; the message names its place.
            ValueError: If the loss takes other examples, or scores outside its range.
        """
        if loss is not None:
            kept = ("optimizer", "run_eagerly", "jit_compile") if self.compiled else ()
            self.compile(loss=loss, **{name: getattr(self, name) for name in kept})
        return super().fit(x, y, **kwargs)

    def evaluate(self, x=None, y=None, **kwargs):
        """Scores the model on texts that are compared.

        Args:
            x: As in ``fit``.
            y: As in ``fit``.
            **kwargs: See ``TaskModel.evaluate``.

        Returns:
            ``loss``, and of scored pairs ``pearson`` and ``spearman``, the correlations between
            cosines and scores; of texts that belong together ``recall@1``, ``recall@5``,
            ``recall@10`` and ``mrr``, each first text being looked for among all other texts.
        """
        return super().evaluate(x, y, **kwargs)

    def loss_of(self, x, y):
        """The compiled loss; in validation on another kind of examples that kind's default."""
        # Known from types and shapes alone, so that a graph has one of the losses in it.
        from keras_bert.training.embedding_losses import fitting_loss

        scored = keras.backend.standardize_dtype(y.dtype).startswith("float")
        ids = x["input_word_ids"] if isinstance(x, dict) else x
        texts = len(ids) if isinstance(ids, list | tuple) else ids.shape[1]
        return fitting_loss(self.loss, scored, texts)

    def mean_loss(self, x, y, y_pred, sample_weight, training):
        """That of ``loss_of``."""
        loss = self.loss_of(x, y)
        if loss is self.loss:
            return super().mean_loss(x, y, y_pred, sample_weight, training)
        return loss(y, y_pred, sample_weight=sample_weight)

    def read_labelled(self, x, y=None):
        """Texts and scores, or None in their place, as ``read_comparisons`` gives them."""
        return read_comparisons(x, y)

    def labelled_rows(self, texts, labels):
        """A row of ids for each text of each example, and the scores."""
        # What the examples are is in the type: see compute_loss.
        targets = np.zeros(len(texts), np.int32) if labels is None else labels
        groups = TextGroups(self.text_preprocessor(), texts, targets=targets, columns=True)
        groups.ignored = -1 if labels is None else None
        return groups

    def _training_dataset(self, x, y, batch_size):
        from keras_bert.training.embedding_losses import check_examples

        if not isinstance(x, tf.data.Dataset):
            x, y = self.read_labelled(x, y)
            check_examples(self.loss, x, y)
        return super()._training_dataset(x, y, batch_size)

    def _note_pairs(self, pairs):
        """Nothing: what is compared stands in rows of its own."""

    def _map_dataset(self, dataset, batch_size):
        texts, scores = comparison_tensors(dataset.element_spec)
        if not texts[0].shape.rank:
            dataset = dataset.batch(batch_size)
        count, scored = len(texts), scores is not None

        def to_ids(*element):
            texts, scores = comparison_tensors(element)
            ids = self.text_preprocessor()(tf.reshape(tf.stack(texts, axis=1), (-1,)))
            shape = (-1, count, tf.shape(ids["input_word_ids"])[-1])
            ids = {name: tf.reshape(rows, shape) for name, rows in ids.items()}
            none = tf.zeros(tf.shape(texts[0]), tf.int32)
            return ids, tf.cast(scores, tf.float32) if scored else none

        dataset = dataset.map(to_ids, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
        return without_autotuning(dataset)

    def fixed_batch(self, shapes, ids, targets):
        """A batch of a fixed shape; without scores the target -1 says what is no example."""
        rows = tf.shape(targets)[0]
        ids, targets = super().fixed_batch(shapes, ids, targets)
        if targets.dtype.is_integer:
            targets = shapes.without_absent(targets, rows, -1)
        return ids, targets

    # Answers.

    def answers(self, outputs):
        """Embeddings by their name."""
        return {"embedding": outputs}

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
        tokens = TokenizedTexts(self.text_preprocessor(), read_texts_argument(texts))
        embeddings = None
        for rows in sorted_batches(tokens.lengths, batch_size):
            found = ops.convert_to_numpy(self._graph()(tokens.batch(rows)))
            if embeddings is None:
                embeddings = np.empty((len(tokens), found.shape[-1]), np.float32)
            embeddings[rows] = found
        return embeddings

    def predict(self, x, batch_size=None, **kwargs):
        """Makes embeddings of texts, as ``encode``; of ids as ``keras.Model.predict``.

        Args:
            x: A list of texts, or a ``tf.data.Dataset`` of strings; or ids.
            batch_size: Texts per step; default 32.
            **kwargs: Passed to ``keras.Model.predict`` for inputs other than text.
        """
        if not is_texts(x):
            return super().predict(x, batch_size=batch_size, **kwargs)
        x = strings_of(x) if isinstance(x, tf.data.Dataset) else x
        return self.encode(x, batch_size or 32)

    similarity = _Similarity()

    def search(self, queries, corpus=None, top_k=10, corpus_embeddings=None, batch_size=32):
        """Finds the texts that are nearest to each query, by the cosine; all are compared.

        Args:
            queries: A list of texts, or their embeddings (queries, dim).
            corpus: The texts to search; None: they are known by their embeddings alone.
            top_k: How many to find.
            corpus_embeddings: ``encode(corpus)``, to be used again and again; any array that can be
                sliced, such as a ``numpy.memmap``. Memory beside it does not grow with it.
            batch_size: Texts per step of the encoder.

        Returns:
            For each query a list of ``{"index", "text", "score"}``, best first, of equal ones the
            lower index first; without ``"text"`` where there is no corpus.

        Raises:
            ValueError: If there is nothing to search, or embeddings do not fit.
        """
        if corpus is None and corpus_embeddings is None:
            raise ValueError("There is nothing to search. Give corpus= or corpus_embeddings=.")
        corpus = None if corpus is None else read_texts_argument(corpus)
        if corpus_embeddings is None:
            corpus_embeddings = self.encode(corpus, batch_size)
        if corpus is not None and len(corpus) != len(corpus_embeddings):
            raise ValueError(
                f"Received {len(corpus)} texts and {len(corpus_embeddings)} embeddings of them."
            )
        numbers, cosines = nearest(_embeddings(self, queries), corpus_embeddings, top_k)
        return [
            [_hit(corpus, int(n), float(c)) for n, c in zip(*row, strict=True)]
            for row in zip(numbers, cosines, strict=True)
        ]

    def scores(self, texts, labels, answers):
        """Correlations of cosines with scores; or how well texts find what belongs to them."""
        if labels is None:
            return retrieval_scores(texts, answers)
        return correlations(cosines(answers), labels)

    def _answer_all(self, texts, batch_size):
        """Embeddings (examples, texts, dim); those of a text that comes again are made once."""
        numbers = {}
        for group in texts:
            for text in group:
                numbers.setdefault(text, len(numbers))
        embeddings = self.encode(list(numbers), batch_size)
        return embeddings[np.array([[numbers[text] for text in group] for group in texts])]

    def _graph(self):
        """The function ids → embeddings, traced once for all shapes."""
        if self._embed is None:
            self._embed = tf.function(
                lambda ids: self(ids, training=False),
                input_signature=[INPUT_SIGNATURE],
                autograph=False,
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


def _hit(corpus, number, cosine):
    text = {} if corpus is None else {"text": corpus[number]}
    return {"index": number, **text, "score": cosine}
