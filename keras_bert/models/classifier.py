"""BertClassifier: one label per text or pair of texts."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_bert.metrics.classification import MacroF1
from keras_bert.models.labels import checked_labels, choose_labels
from keras_bert.models.task import TaskModel

__all__ = ["BertClassifier"]


@keras.saving.register_keras_serializable("keras_bert")
class BertClassifier(TaskModel):
    """Assigns one of several labels to a text or a pair of texts.

    The head is BERT's: dropout and a linear layer over ``pooled_output``; or, where the encoder's
    config has a ``classifier_activation``, one more layer over ``[CLS]`` in place of the pooler.

    Args:
        encoder: A ``BertEncoder`` with a pooler or a ``classifier_activation``.
        preprocessor: A ``Preprocessor``.
        labels: Names of the labels, in the order of the logits; two at least, no name twice.
        **kwargs: See ``TaskModel``.

    Call: a dict of ids as ``BertEncoder`` takes → logits (batch, labels) float32.

    Answers: ``label`` (name), ``probability`` of that label, ``probabilities`` of all labels in
    the order of ``labels``.

    Raises:
        ValueError: On fewer than two labels, a label twice, or an encoder without pooler.

    Source: section 4.1 of Devlin et al. 2018; google-research/bert ``run_classifier.py``.

    Example:
        >>> import keras_bert as kb
        >>> model = kb.BertClassifier.from_pretrained("minilm", labels=["bad", "good"])
        >>> model.fit([("I liked it", "good"), ("Never again", "bad")], epochs=3)
        >>> model.predict(["Quite nice"])[0]["label"]
        'good'
    """

    main_metric = "accuracy"

    def __init__(self, encoder, preprocessor=None, labels=(), **kwargs):
        super().__init__(encoder, preprocessor, **kwargs)
        self.labels = checked_labels(labels)
        config = encoder.config
        if config.classifier_activation is None and not config.use_pooler:
            raise ValueError(
                "BertClassifier reads the encoder's pooled_output, and this encoder has no "
                "pooler. Build it with use_pooler=True."
            )
        self.head = self.add_head("classifier", len(self.labels))
        self.built = True

    @classmethod
    def from_pretrained(
        cls, folder: str, labels=None, seq_length: int | None = None, **kwargs
    ) -> BertClassifier:
        """Loads a pretrained encoder, and the head where the checkpoint has one that fits.

        Args:
            folder: A checkpoint as ``BertEncoder.from_pretrained`` reads it, with a vocabulary.
            labels: Names of the labels. Default: those of the checkpoint's head. A head is
                loaded if its labels are these, or if it has as many without names.
            seq_length: Longest input in tokens; default: what the checkpoint allows.
            **kwargs: ``verify`` as ``HeadModel.from_pretrained`` takes it; the rest is passed to
                the encoder, such as ``dtype="mixed_bfloat16"``.

        Returns:
            A compiled model. ``model.load_report`` says what became of every tensor.

        Raises:
            FileNotFoundError: If there is no checkpoint.
            CheckpointError: If weights are missing, unknown, damaged or of the wrong shape.
            ValueError: If there are no labels, or the vocabulary does not fit the weights.
        """
        # Upwards on purpose: see EncoderConfig.from_pretrained.
        from keras_bert.checkpoints import open_checkpoint

        checkpoint = open_checkpoint(folder)
        labels, fits = choose_labels(folder, checkpoint.labels("classifier"), labels)
        heads = ["classifier"] if fits else []
        model = cls.load(checkpoint, {"labels": labels}, heads, seq_length, **kwargs)
        model.compile()
        return model

    @classmethod
    def needs_pooler(cls, config):
        """The head reads it, unless it has a dense layer of its own."""
        return config.classifier_activation is None

    def head_layers(self):
        """One head: ``classifier``."""
        return {"classifier": self.head}

    def call(self, inputs, training=None):
        """Ids → logits (batch, labels) float32."""
        return self.head(self.text_features(inputs, training=training), training=training)

    def answers(self, outputs):
        """Logits → label names and probabilities."""
        probabilities = tf.nn.softmax(tf.cast(outputs, tf.float32))
        best = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
        return {
            "label": tf.gather(tf.constant(self.labels), best),
            "probability": tf.reduce_max(probabilities, axis=-1),
            "probabilities": probabilities,
        }

    def read_answer(self, answer):
        """Python values: the label as str, its probability as float."""
        return {
            "label": answer["label"].decode("utf-8"),
            "probability": float(answer["probability"]),
            "probabilities": answer["probabilities"],
        }

    def targets(self, labels):
        """Label names, or numbers from 0, → (batch,) int32.

        Raises:
            ValueError: On an unknown label; the message names it and its place.
        """
        numbers = {name: i for i, name in enumerate(self.labels)}
        targets = np.empty(len(labels), np.int32)
        for i, label in enumerate(labels):
            name = label.decode("utf-8", "replace") if isinstance(label, bytes) else label
            number = numbers.get(name if isinstance(name, str) else str(name))
            if number is None and _is_number_of(name, self.labels):
                number = int(name)
            if number is None:
                raise ValueError(
                    f"Example {i} has the unknown label {label!r}; the model knows "
                    f"{', '.join(self.labels[:8])}{', ...' if len(self.labels) > 8 else ''}."
                )
            targets[i] = number
        return targets

    def graph_targets(self, labels):
        """``targets`` in a ``tf.data`` pipeline; an unknown name is an error there too."""
        if labels.dtype != tf.string:
            number = tf.cast(labels, tf.int32)
            known = tf.reduce_all((number >= 0) & (number < len(self.labels)))
            message = f"A label is outside 0 to {len(self.labels) - 1}."
        else:
            table = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant(self.labels), tf.range(len(self.labels))
                ),
                default_value=-1,
            )
            number = table.lookup(labels)
            known = tf.reduce_all(number >= 0)
            message = "A label is unknown to the model."
        with tf.control_dependencies([tf.debugging.Assert(known, [message, labels])]):
            return tf.identity(number)

    def default_loss(self):
        """Cross entropy over the logits."""
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def default_metrics(self):
        """Accuracy and macro-F1."""
        return [
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            MacroF1(len(self.labels)),
        ]

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "labels": list(self.labels)}


def _is_number_of(label, labels):
    whole = isinstance(label, int | np.integer) and not isinstance(label, bool)
    return whole and 0 <= label < len(labels)
