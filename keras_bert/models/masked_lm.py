"""BertMaskedLM: which token stands in each place."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from keras_bert.data.batching import without_autotuning
from keras_bert.data.examples import Examples
from keras_bert.data.inputs import is_texts, read_texts_argument
from keras_bert.data.masked_rows import MaskedRows, fixed_masked_batch, masked_batch
from keras_bert.data.passes import numbered
from keras_bert.metrics.language_model import MaskedAccuracy, Perplexity
from keras_bert.models.heads import token_logits
from keras_bert.models.task import TaskModel
from keras_bert.text.masking import TokenMasking, fill

__all__ = ["BertMaskedLM"]

#: Tokens for each gap, where no number is given.
TOP_K = 5


@keras.saving.register_keras_serializable("keras_bert")
class BertMaskedLM(TaskModel):
    """Finds the tokens that fit into the gaps of a text.

    Args:
        encoder: A ``BertEncoder``.
        preprocessor: A ``Preprocessor``, or None. With a ``stride``, long texts are several
            windows, and each gap is filled in the one where most is seen around it.
        masking: How ``fit`` and ``evaluate`` hide tokens: arguments of ``TokenMasking``, ``rate``,
            ``max_predictions`` and ``whole_word``.
        **kwargs: See ``HeadModel``.

    Call: a dict of ids as ``BertEncoder`` takes → logits (batch, seq, vocab) float32. With
    ``masked_lm_positions`` (batch, predictions) int32 among them only these places are scored:
    (batch, predictions, vocab). With the ``target_mapping`` that ``XLNetEncoder`` takes, its
    predictions are scored.

    Source: section 3.1 of Devlin et al. 2018.

    Example:
        >>> import keras_bert as kb
        >>> encoder = kb.BertEncoder(kb.EncoderConfig(vocab_size=9, hidden_size=8, num_layers=1,
        ...                                           num_attention_heads=2, intermediate_size=8))
        >>> ids = keras.ops.convert_to_tensor([[2, 7, 3]])
        >>> kb.BertMaskedLM(encoder)({"input_word_ids": ids}).shape
        TensorShape([1, 3, 9])
        >>> model = kb.BertMaskedLM.from_pretrained("bert-base-uncased")  # doctest: +SKIP
        >>> model.predict(["The capital of [MASK] is Paris."], top_k=1)  # doctest: +SKIP
        [[[{'token': 'france', 'score': 0.98, 'id': 2605,
            'sequence': 'The capital of france is Paris.'}]]]
    """

    takes_windows = True

    def __init__(self, encoder, preprocessor=None, masking=None, **kwargs):
        super().__init__(encoder, preprocessor, **kwargs)
        self.masking = dict(masking or {})
        self.head = self.add_head("masked_lm")
        self._filling = _Filling()
        self._top_k = TOP_K
        self._mask_seed, self._masks_anew = 0, False
        self.built = True

    def head_layers(self):
        """One head: ``masked_lm``."""
        return {"masked_lm": self.head}

    def call(self, inputs, training=None):
        """Ids → logits (batch, seq or predictions, vocab) float32."""
        inputs = dict(inputs) if isinstance(inputs, dict) else {"input_word_ids": inputs}
        positions = inputs.pop("masked_lm_positions", None)
        outputs = self.encoder(inputs, training=training)
        # XLNet answers for what it cannot see in a stream of its own.
        sequence = outputs.get("query_output", outputs["sequence_output"])
        return token_logits(self.head, self.encoder, sequence, positions, training=training)

    # Training.

    def default_loss(self):
        """Cross entropy over the hidden tokens; a batch's mean is over all of its tokens."""
        from keras_bert.training.losses import MaskedTokens

        return MaskedTokens()

    def default_metrics(self):
        """Accuracy and perplexity over the hidden tokens."""
        return [MaskedAccuracy(), Perplexity()]

    def fit(self, x=None, y=None, *, rate=None, max_predictions=None, whole_word=None, **kwargs):
        """Trains the model to find hidden tokens, other ones in each epoch.

        Args:
            x: Texts, or (text, text) pairs; or ``Examples``; or a ``tf.data.Dataset`` of them,
                batched or not. Labels are not read. In texts, ``"[MASK]"`` is text.
            y: Targets, where ``x`` holds ids: tokens (batch, predictions), -1 where none is asked.
            rate: See ``TokenMasking``; what is given is kept for later calls and saved.
            max_predictions: See ``TokenMasking``.
            whole_word: See ``TokenMasking``.
            **kwargs: See ``TaskModel.fit``.

        Returns:
            The ``keras.callbacks.History``.

        Raises:
            TypeError: If something is no text; the message names its place.
            ValueError: If the vocabulary has no mask token, or there is no text.
        """
        given = {"rate": rate, "max_predictions": max_predictions, "whole_word": whole_word}
        self.masking |= {name: value for name, value in given.items() if value is not None}
        return super().fit(x, y, **kwargs)

    def evaluate(self, x=None, y=None, *, seed=0, return_dict=True, **kwargs):
        """Scores the model on tokens that are hidden in texts, the same ones in every call.

        Args:
            x: As in ``fit``.
            y: As in ``fit``.
            seed: Another number hides other tokens.
            return_dict: Whether scores come by name; False gives Keras' list.
            **kwargs: See ``TaskModel.evaluate``.

        Returns:
            ``loss``, the mean cross entropy of all hidden tokens; ``perplexity``, its ``exp``; and
            ``accuracy``.
        """
        self._mask_seed = seed
        try:
            found = super().evaluate(x, y, return_dict=True, **kwargs)
        finally:
            self._mask_seed = 0
        if "perplexity" in found:
            # Keras' is a mean of the batches' means, whatever number of tokens they have.
            found["loss"] = math.log(max(found["perplexity"], 1.0))
        return found if return_dict else list(found.values())

    def read_labelled(self, x, y=None):
        """The texts; labels have no meaning here."""
        return read_texts_argument(x.texts if isinstance(x, Examples) else x), None

    def labelled_rows(self, texts, labels):
        """Rows of ids with hidden tokens, and what these were."""
        position = self.data_position if self._masks_anew else None
        return MaskedRows(self.text_preprocessor(), texts, self._token_masking(), position)

    def _token_masking(self):
        seed = self._draw_seed("masking") if self._masks_anew else self._mask_seed
        return TokenMasking(self.text_preprocessor().tokenizer, **self.masking, seed=seed)

    def _training_dataset(self, x, y, batch_size):
        self._masks_anew = True
        try:
            return super()._training_dataset(x, y, batch_size)
        finally:
            self._masks_anew = False

    def _map_dataset(self, dataset, batch_size):
        spec = [part for part in tf.nest.flatten(dataset.element_spec) if part.dtype == tf.string]
        if not spec[0].shape.rank:
            dataset = dataset.batch(batch_size)
        # A label beside a text, if any, is a string or a number behind it.
        count = 2 if isinstance(_first(dataset.element_spec), tuple | list) else 1
        self._note_pairs(count == 2)
        masking = self._token_masking()

        def to_ids(number, element):
            texts = tuple(tf.nest.flatten(element)[:count])
            ids = self.text_preprocessor()(texts if count == 2 else texts[0])
            ids = {name: ids[name] for name in ("input_word_ids", "input_mask", "input_type_ids")}
            keys = tf.range(tf.shape(ids["input_mask"])[0], dtype=tf.int64)
            keys += number * 2**31
            return masked_batch(masking, ids, keys)

        dataset = dataset.map(lambda *element: element if len(element) > 1 else element[0])
        anew = self._masks_anew
        dataset = numbered(dataset, self.data_position) if anew else dataset.enumerate()
        dataset = dataset.map(to_ids, num_parallel_calls=tf.data.AUTOTUNE)
        return without_autotuning(dataset.prefetch(2))

    def fixed_batch(self, shapes, ids, targets):
        """A masked batch of a fixed shape, with as many predictions as the longest rows have."""
        return fixed_masked_batch(self._token_masking(), shapes, ids, targets)

    # Answers.

    @property
    def one_row_per_text(self):
        """No: of a text with special tokens in it, and of its windows."""
        return False

    def predict(self, x, batch_size=None, top_k=TOP_K, **kwargs):
        """Finds the tokens that fit into the gaps of texts.

        Args:
            x: A list of texts or (text, text) pairs, or a ``tf.data.Dataset`` of strings, in which
                the tokenizer's mask token marks the gaps: ``[MASK]``, ``<mask>``. Other special
                tokens in them count as such too. Anything else goes to ``keras.Model.predict`` and
                gives logits.
            batch_size: Texts per step; default 32.
            top_k: How many tokens for each gap.
            **kwargs: Passed to ``keras.Model.predict`` for inputs other than text.

        Returns:
            For each text a list with an entry for each of its gaps, none where there are none: a
            list of ``{"token", "score", "id", "sequence"}``, best first. ``token`` is the word or
            the part of one, without blanks, ``score`` its probability, ``sequence`` the text (of a
            pair, the one that has the gap) with this gap filled. A gap in what had to be cut from
            a long text, which is warned of, has no entry.

        Raises:
            TypeError: If something is no text; the message names its place.
            ValueError: If there is no text, the vocabulary has no mask token, or ``top_k`` is less
                than 1.
        """
        if not is_texts(x):
            return super().predict(x, batch_size=batch_size, **kwargs)
        if top_k < 1:
            raise ValueError(f"top_k={top_k}; expected 1 or more.")
        # Rounded up, so that few graphs serve all numbers.
        self._top_k = 1 << max(3, (top_k - 1).bit_length())
        try:
            answers = super().predict(x, batch_size=batch_size)
        finally:
            self._top_k = TOP_K
        return [[gap[:top_k] for gap in gaps] for gaps in answers]

    def text_answers(self, *texts):
        """Answers strings, in the graph.

        Args:
            *texts: (batch,) string, one tensor per segment.

        Returns:
            ``token`` string, ``score`` float32 and ``id`` int32, ragged (batch, gaps, 5);
            ``segment`` int32 ragged (batch, gaps), which of the texts has the gap; ``truncated``
            int32 (batch,).
        """
        preprocessor = self._filling.preprocessor(self.text_preprocessor())
        tokenizer = preprocessor.tokenizer
        ids = preprocessor(
            texts[0] if len(texts) == 1 else texts, return_truncated=True, return_offsets=True
        )
        spans = {name: ids.pop(name) for name in ("starts", "ends", "input_segments")}
        truncated, batch = ids.pop("truncated"), tf.shape(texts[0])[0]
        source = ids.pop("window_source", tf.range(batch))
        ids.pop("window_start", None)
        gaps = (ids["input_word_ids"] == tokenizer.mask_id) & (spans["input_segments"] >= 0)
        columns = tf.broadcast_to(tf.range(tf.shape(gaps)[1]), tf.shape(gaps))
        columns = tf.ragged.boolean_mask(columns, gaps)
        logits = self({**ids, "masked_lm_positions": columns.to_tensor()}, training=False)
        logits = tf.boolean_mask(logits, tf.sequence_mask(columns.row_lengths()))
        places, segments, counts = _gaps_of_texts(gaps, spans, source, batch)
        # Over all of the encoder's tokens, but only those that have a name are answers.
        probabilities = tf.nn.softmax(tf.gather(tf.cast(logits, tf.float32), places))
        named = probabilities[:, : tokenizer.vocabulary_size]
        score, found = tf.math.top_k(named, min(self._top_k, tokenizer.vocabulary_size))
        tokens = tokenizer.detokenize(tf.reshape(found, (-1, 1)), skip_special_tokens=False)
        tokens = tf.reshape(tf.strings.strip(tokens), tf.shape(found))
        # By its name, which sentencepiece does not show.
        tokens = tf.where(found == tokenizer.unk_id, tokenizer.unk_token, tokens)
        answers = {"token": tokens, "score": score, "id": found, "segment": segments}
        answers = {
            name: tf.RaggedTensor.from_row_lengths(value, counts, validate=False)
            for name, value in answers.items()
        }
        return {**answers, "truncated": truncated}

    def read_answer(self, answer):
        """Python values: a list of the best tokens for each gap."""
        gaps = zip(*(answer[name] for name in ("token", "score", "id", "segment")), strict=True)
        return [
            [
                {"token": t.decode("utf-8", "replace"), "score": float(s), "id": int(i), **where}
                for t, s, i in zip(tokens, scores, ids, strict=True)
            ]
            for tokens, scores, ids, segment in gaps
            for where in [{"sequence": int(segment)}]
        ]

    def _answer_all(self, texts, batch_size):
        answers = super()._answer_all(texts, batch_size)
        tokenizer = self.text_preprocessor().tokenizer
        for text, gaps in zip(texts, answers, strict=True):
            numbers = [0, 0]
            for gap in gaps:
                segment = gap[0]["sequence"]
                whole = text[segment] if isinstance(text, tuple | list) else text
                whole = whole if isinstance(whole, str) else whole.decode("utf-8", "replace")
                for answer in gap:
                    answer["sequence"] = fill(tokenizer, whole, numbers[segment], answer["id"])
                numbers[segment] += 1
        return answers

    def _graph_text_answers(self, sides):
        key = (sides, self._top_k)
        if key not in self._text_answer_functions:
            self._text_answer_functions[key] = tf.function(
                lambda *texts: self.text_answers(*texts),
                input_signature=[tf.TensorSpec((None,), tf.string)] * sides,
                autograph=False,
            )
        return self._text_answer_functions[key]

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "masking": dict(self.masking)}


class _Filling:
    """The preprocessor that finds the mask token in texts; no part of the model's state."""

    def __init__(self):
        self._of = self._made = None

    def preprocessor(self, preprocessor):
        """The same preprocessor, to which special tokens in texts are these tokens."""
        if self._of is not preprocessor:
            tokenizer = preprocessor.tokenizer
            if tokenizer.mask_id is None:
                raise ValueError(
                    f"The vocabulary lacks the mask token {tokenizer.mask_token!r}: there is "
                    "nothing that could mark a gap."
                )
            # Made outside of a graph that may be in the making, for it is used in others.
            with tf.init_scope():
                config = {**tokenizer.get_config(), "special_tokens_in_text": "special"}
                found = type(tokenizer).from_config(config)
                options = ("seq_length", "stride", "pad_to", "pad_multiple", "truncation")
                options = {name: getattr(preprocessor, name) for name in options}
                self._made = type(preprocessor)(found, **options)
            self._of = preprocessor
        return self._made


def _gaps_of_texts(gaps, spans, source, batch):
    """Each text's gaps in order, each where most is seen around it.

    Args:
        gaps: (rows, seq) bool: where a mask token is.
        spans: ``starts`` and ``input_segments`` of the rows.
        source: (rows,) int32: the text that a row is of.
        batch: Number of texts.

    Returns:
        Which of the gaps, counted row by row, is each text's first one and so on; the segments
        that they are in; and how many each text has.
    """
    at = tf.where(gaps)
    row, column = at[:, 0], tf.cast(at[:, 1], tf.int32)
    segment = tf.gather_nd(spans["input_segments"], at)
    start = tf.cast(tf.gather_nd(spans["starts"], at), tf.int64)
    same = tf.gather(spans["input_segments"], row) == segment[:, tf.newaxis]
    places = tf.range(tf.shape(gaps)[1])
    before = tf.reduce_sum(tf.cast(same & (places < column[:, tf.newaxis]), tf.int32), axis=1)
    behind = tf.reduce_sum(tf.cast(same & (places > column[:, tf.newaxis]), tf.int32), axis=1)
    text = tf.gather(source, row)
    # Texts have fewer than 2**40 bytes; there are two segments at most.
    key = (tf.cast(text, tf.int64) * 2 + tf.cast(segment, tf.int64)) * 2**40 + start
    order = tf.argsort(-tf.minimum(before, behind), stable=True)
    order = tf.gather(order, tf.argsort(tf.gather(key, order), stable=True))
    ordered = tf.gather(key, order)
    is_first = tf.concat([[True], ordered[1:] != ordered[:-1]], axis=0)[: tf.size(order)]
    chosen = tf.boolean_mask(order, is_first)
    counts = tf.math.bincount(tf.gather(text, chosen), minlength=batch, maxlength=batch)
    return chosen, tf.gather(segment, chosen), counts


def _first(spec):
    return spec[0] if isinstance(spec, tuple | list) else spec
