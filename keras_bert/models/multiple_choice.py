"""BertMultipleChoice: which of several texts goes with a first one."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import ops

from keras_bert.data.batching import without_autotuning
from keras_bert.data.choices import (
    choice_segments,
    choice_targets,
    read_choices,
    read_labelled_choices,
)
from keras_bert.data.text_groups import TextGroups, groups_of_rows
from keras_bert.models.task import TaskModel
from keras_bert.text.preprocessor import string_tensor

__all__ = ["BertMultipleChoice"]

#: Logit of a choice that is not there: its probability is 0 beside any other.
ABSENT = -1e9


@keras.saving.register_keras_serializable("keras_bert")
class BertMultipleChoice(TaskModel):
    """Chooses one of several texts, given a prompt; a choice is a pair of the prompt and its text.

    The head gives one score over ``[CLS]``, as a classifier's head gives several. Examples may have
    different numbers of choices.

    Args:
        encoder: A ``BertEncoder`` with a pooler or a ``classifier_activation``.
        preprocessor: A ``Preprocessor``, or None.
        **kwargs: See ``HeadModel``.

    Call: a dict of ids as ``BertEncoder`` takes, but of shape (batch, choices, seq) → logits
    (batch, choices) float32. A choice whose ``input_mask`` is 0 throughout is not there and gets
    -1e9.

    Source: section 4.4 of Devlin et al. 2018.

    Example:
        >>> import keras_bert as kb
        >>> encoder = kb.BertEncoder(kb.EncoderConfig(vocab_size=9, hidden_size=8, num_layers=1,
        ...                                           num_attention_heads=2, intermediate_size=8))
        >>> ids = keras.ops.convert_to_tensor([[[2, 7, 3], [2, 8, 3]]])
        >>> kb.BertMultipleChoice(encoder)({"input_word_ids": ids}).shape
        TensorShape([1, 2])
        >>> model = kb.BertMultipleChoice.from_pretrained("folder")  # doctest: +SKIP
        >>> model.fit([(("It rains.", ["I get wet.", "I get rich."]), 0), ...])  # doctest: +SKIP
        >>> model.predict([("It snows.", ["It is cold.", "It is hot."])])  # doctest: +SKIP
        [{'choice': 'It is cold.', 'index': 0, 'probability': 0.9, 'probabilities': [0.9, 0.1]}]
    """

    main_metric = "accuracy"

    def __init__(self, encoder, preprocessor=None, **kwargs):
        super().__init__(encoder, preprocessor, **kwargs)
        self.head = self.add_head("multiple_choice")
        self.built = True

    @classmethod
    def needs_pooler(cls, config):
        """The head reads it, unless it has a dense layer of its own."""
        return config.classifier_activation is None

    def head_layers(self):
        """One head: ``multiple_choice``."""
        return {"multiple_choice": self.head}

    def call(self, inputs, training=None):
        """Ids (batch, choices, seq) → logits (batch, choices) float32."""
        inputs = {name: ops.convert_to_tensor(ids) for name, ids in inputs.items()}
        shape = ops.shape(inputs["input_word_ids"])
        if len(shape) != 3:
            raise ValueError(
                f"input_word_ids must have the shape (batch, choices, seq); received {shape}."
            )
        there = None
        if "input_mask" in inputs:
            mask = inputs["input_mask"]
            there = ops.any(ops.not_equal(mask, 0), axis=-1)
            # Attention over no token at all is not the same everywhere; what it gives is dropped.
            nothing = ops.cast(ops.logical_not(there), mask.dtype)
            inputs["input_mask"] = mask + ops.expand_dims(nothing, -1)
        rows = {name: ops.reshape(ids, (-1, shape[-1])) for name, ids in inputs.items()}
        logits = ops.reshape(self._row_logits(rows, training), shape[:2])
        return logits if there is None else ops.where(there, logits, ABSENT)

    def _row_logits(self, rows, training=None):
        """Ids (rows, seq) → a logit for each row, (rows,)."""
        logits = self.head(self.text_features(rows, training=training), training=training)
        return ops.reshape(logits, (-1,))

    # Training.

    def default_loss(self):
        """Cross entropy over the choices."""
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def default_metrics(self):
        """Accuracy."""
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def read_labelled(self, x, y=None):
        """Examples as ``read_labelled_choices`` gives them, and which choices are right."""
        texts, labels = read_labelled_choices(x, y)
        return texts, choice_targets(texts, labels)

    def read_texts(self, x):
        """Prompts with their choices, as ``read_choices`` gives them."""
        return read_choices(x)

    def labelled_rows(self, texts, labels):
        """A row of ids for each choice of each example, and the numbers of the right ones."""
        prompts, choices = choice_segments(texts)
        return TextGroups(self.text_preprocessor(), choices, prompts, targets=labels)

    def _map_dataset(self, dataset, batch_size):
        prompt = _parts_of(dataset.element_spec)[0]
        if not prompt.shape.rank:
            dataset = dataset.ragged_batch(batch_size)
        self._note_pairs(True)

        def to_ids(*element):
            prompts, choices, labels = tf.nest.flatten(element, expand_composites=False)
            choices = _present(choices)
            rows = self._pairs_of(prompts, choices)
            rows.pop("truncated")
            tokenizer = self.text_preprocessor().tokenizer
            return groups_of_rows(rows, choices.row_splits, tokenizer), tf.cast(labels, tf.int32)

        dataset = dataset.map(to_ids, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
        return without_autotuning(dataset)

    # Answers.

    @property
    def one_row_per_text(self):
        """No: one per choice."""
        return False

    def answers(self, outputs):
        """Logits (batch, choices) → the best choice's number, and probabilities."""
        probabilities = tf.nn.softmax(tf.cast(outputs, tf.float32))
        return {
            "index": tf.argmax(probabilities, axis=-1, output_type=tf.int32),
            "probability": tf.reduce_max(probabilities, axis=-1),
            "probabilities": probabilities,
        }

    @property
    def text_inputs(self):
        """A prompt and its choices."""
        return "prompt", "choices"

    def text_specs(self):
        """Prompts (batch,), and choices (batch, most), padded with ""."""
        shapes = zip(self.text_inputs, ((None,), (None, None)), strict=True)
        return [tf.TensorSpec(shape, tf.string, name) for name, shape in shapes]

    def text_answers(self, prompt, choices):
        """Answers strings, in the graph.

        Args:
            prompt: (batch,) string.
            choices: (batch, choices) string, dense or ragged; where it is dense, empty strings at
                the end of a row stand for choices that are not there.

        Returns:
            ``choice`` string (batch,), ``index`` int32 (batch,), ``probability`` float32 (batch,),
            ``probabilities`` float32 (batch, choices), ragged where the choices are, 0 for a choice
            that is not there; ``truncated`` int32 (batch,).
        """
        ragged = _present(choices)
        rows = self._pairs_of(prompt, ragged)
        truncated = tf.math.segment_max(rows.pop("truncated"), ragged.value_rowids())
        logits = ragged.with_values(tf.convert_to_tensor(self._row_logits(rows, training=False)))
        is_ragged = isinstance(choices, tf.RaggedTensor)
        shape = ragged.bounding_shape() if is_ragged else tf.shape(choices, tf.int64)
        most = shape[1]
        # One at least: without a text there is none, and of none there is no best.
        answers = self.answers(logits.to_tensor(ABSENT, shape=(-1, tf.maximum(most, 1))))
        answers["probabilities"] = answers["probabilities"][:, :most]
        best = ragged.row_splits[:-1] + tf.cast(answers["index"], ragged.row_splits.dtype)
        if is_ragged:
            answers["probabilities"] = tf.RaggedTensor.from_tensor(
                answers["probabilities"], ragged.row_lengths()
            )
        return {"choice": tf.gather(ragged.values, best), **answers, "truncated": truncated}

    def _string_specs(self, sides):
        return [tf.TensorSpec((None,), tf.string), tf.RaggedTensorSpec((None, None), tf.string)]

    def strings(self, texts):
        """The prompts, and the choices as a ragged tensor."""
        prompts, choices = choice_segments(texts)
        flat = string_tensor([choice for row in choices for choice in row])
        return [prompts, tf.RaggedTensor.from_row_lengths(flat, [len(row) for row in choices])]

    def read_answer(self, answer):
        """Python values: the choice as str, its number as int."""
        return {
            "choice": answer["choice"].decode("utf-8", "replace"),
            "index": int(answer["index"]),
            "probability": float(answer["probability"]),
            "probabilities": answer["probabilities"],
        }

    def _answer_all(self, texts, batch_size):
        answers = super()._answer_all(texts, batch_size)
        for answer, (_, choices) in zip(answers, texts, strict=True):
            # As it was given: without the start that a SWAG prompt puts before it.
            answer["choice"] = choices[answer["index"]]
        return answers

    def _pairs_of(self, prompts, choices):
        """Ids of each prompt with each of its choices: (rows, seq)."""
        first = tf.gather(prompts, choices.value_rowids())
        return self.text_preprocessor()((first, choices.values), return_truncated=True)


def _present(choices) -> tf.RaggedTensor:
    """The choices that are there, at least one of each example."""
    if isinstance(choices, tf.RaggedTensor):
        return choices
    numbers = tf.range(1, tf.shape(choices)[1] + 1)
    counts = tf.reduce_max(tf.where(tf.strings.length(choices) > 0, numbers, 1), axis=1)
    return tf.RaggedTensor.from_tensor(choices, counts)


def _parts_of(spec):
    """Specs of prompt, choices and label of a user's dataset."""
    parts = tf.nest.flatten(spec, expand_composites=False)
    right = len(parts) == 3 and [part.dtype.is_integer for part in parts] == [False, False, True]
    if not right or parts[0].dtype != tf.string or parts[1].dtype != tf.string:
        raise ValueError(
            "Expected a tf.data.Dataset of ((prompt, choices), number of the right choice), choices"
            f" a string tensor (choices,); received elements {spec}."
        )
    return parts
