"""BertClassifier: one label, any number of labels, or a number per text or pair of texts."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_bert.data.inputs import is_texts
from keras_bert.data.packed_rows import PackedRows
from keras_bert.data.windowed_texts import WindowedTexts
from keras_bert.models.labels import REGRESSION, choose_problem
from keras_bert.models.problems import make_problem
from keras_bert.models.task import TaskModel
from keras_bert.models.windows import DOCUMENT_WINDOWS, in_chunks, merge_windows, with_documents

__all__ = ["BertClassifier"]

_POOLINGS = ("mean", "max")

#: What may stand beside the ids where rows are windows.
_WINDOW_INPUTS = ("window_source", "window_start", DOCUMENT_WINDOWS)


@keras.saving.register_keras_serializable("keras_bert")
class BertClassifier(TaskModel):
    """Assigns labels or a number to a text or a pair of texts.

    The head is BERT's: dropout and a linear layer over ``pooled_output``; or, where the encoder's
    config has a ``classifier_activation``, one more layer over ``[CLS]`` in place of the pooler.

    What its outputs stand for:

    - One of several labels, by cross entropy: with ``labels``.
    - Any number of labels, by binary cross entropy of each: with ``labels`` and
      ``multi_label=True``. A text's labels are a list or a set of names, empty where it has none;
      or one string with "|" between them; or 0.0 or 1.0 for each of the labels.
    - A number, by mean squared error: with ``num_labels=1`` and no ``labels``.

    With a ``stride`` in its preprocessor it reads long texts in windows, of pairs over the second
    text. It is trained to give each window its text's label; of a text's windows the mean of the
    logits, or the largest of each, is what it answers and what it is scored by.

    Args:
        encoder: A ``BertEncoder`` with a pooler or a ``classifier_activation``.
        preprocessor: A ``Preprocessor``.
        labels: Names of the labels, in the order of the logits, no name twice; two at least, or
            one with ``multi_label=True``.
        num_labels: Their number; without names they are called LABEL_0, LABEL_1, ... 1 without
            names is a regression.
        multi_label: Whether a text may have any number of labels.
        threshold: Least probability of a label that is answered, with ``multi_label=True``.
        window_pooling: "mean" or "max".
        **kwargs: See ``TaskModel``.

    Call: a dict of ids as ``BertEncoder`` takes → logits (batch, labels) float32, or (batch, 1).
    Of what a preprocessor with a ``stride`` makes, ``window_source`` included, it gives the logits
    of texts, without it those of windows.

    Answers: ``label`` (name), ``probability`` of that label, ``probabilities`` of all labels in
    the order of ``labels``; with ``multi_label=True`` ``labels`` (list of names, in the order of
    ``labels``) and ``probabilities``; for a regression ``value``.

    Scores: accuracy, macro-F1 and Matthews' correlation; of many labels micro-F1, macro-F1 and
    subset accuracy; of numbers Pearson's and Spearman's correlations and the mean squared error.

    Raises:
        ValueError: On fewer than two labels, a label twice, an argument out of its range, or an
            encoder without pooler.

    Source: section 4.1 of Devlin et al. 2018; google-research/bert ``run_classifier.py``.

    Example:
        >>> import keras_bert as kb
        >>> model = kb.BertClassifier.from_pretrained("minilm", labels=["bad", "good"])
        >>> model.fit([("I liked it", "good"), ("Never again", "bad")], epochs=3)
        >>> model.predict(["Quite nice"])[0]["label"]
        'good'
        >>> model = kb.BertClassifier.from_pretrained("minilm", labels=["toy", "book"],
        ...                                           multi_label=True)
        >>> model.fit([("A doll", ["toy"]), ("A picture book", {"toy", "book"}), ("A hat", [])])
        >>> model = kb.BertClassifier.from_pretrained("minilm", num_labels=1)
        >>> model.fit([(("A cat sits.", "A cat is sitting."), 4.8)])
    """

    takes_windows = True

    def __init__(
        self,
        encoder,
        preprocessor=None,
        labels=(),
        num_labels=None,
        multi_label=False,
        threshold=0.5,
        window_pooling="mean",
        **kwargs,
    ):
        super().__init__(encoder, preprocessor, **kwargs)
        self.problem = make_problem(labels, num_labels, multi_label, threshold)
        self.labels = list(self.problem.labels)
        if window_pooling not in _POOLINGS:
            raise ValueError(f"window_pooling={window_pooling!r}. Expected one of {_POOLINGS}.")
        self.window_pooling = window_pooling
        config = encoder.config
        if config.classifier_activation is None and not config.use_pooler:
            raise ValueError(
                "BertClassifier reads the encoder's pooled_output, and this encoder has no "
                "pooler. Build it with use_pooler=True."
            )
        self._class_weights = None
        self.head = self.add_head("classifier", self.problem.outputs)
        self.built = True

    @classmethod
    def from_pretrained(
        cls,
        folder: str,
        labels=None,
        seq_length: int | None = None,
        *,
        num_labels: int | None = None,
        multi_label: bool | None = None,
        threshold: float | None = None,
        window_pooling: str | None = None,
        **kwargs,
    ) -> BertClassifier:
        """Loads a pretrained encoder, and the head where the checkpoint has one that fits.

        Args:
            folder: A checkpoint as ``BertEncoder.from_pretrained`` reads it, with a vocabulary.
            labels: Names of the labels. Default: those of the checkpoint's head. A head is
                loaded if its labels are these, or if it has as many without names, and if it does
                not say that it was trained for another problem.
            seq_length: Longest input in tokens; default: what the checkpoint allows.
            num_labels: Number of labels without names; 1 is a regression. Default: as many as the
                checkpoint's head has.
            multi_label: Whether a text may have any number of labels. Default: as the checkpoint
                says of a head that is loaded (``problem_type`` in ``config.json``).
            threshold: See the class. Default: that of a ``.keras`` file, or 0.5.
            window_pooling: See the class. Default: that of a ``.keras`` file, or "mean".
            **kwargs: ``stride`` and ``truncation`` as ``Preprocessor`` takes them, by default those
                of a classifier's ``.keras`` file; ``verify`` as ``HeadModel.from_pretrained`` takes
                it; the rest is passed to the encoder, such as
                ``dtype="mixed_bfloat16"``.

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
        found = checkpoint.labels("classifier")
        options, fits = choose_problem(
            folder, found, checkpoint.problem_type, labels, num_labels, multi_label
        )
        asked = _given({"threshold": threshold, "window_pooling": window_pooling})
        settings = {**checkpoint.classifier_settings, **asked, **kwargs}
        answering = ("threshold", "window_pooling")
        options |= {name: settings.pop(name) for name in answering if name in settings}
        heads = ["classifier"] if fits else []
        model = cls.load(checkpoint, options, heads, seq_length, **settings)
        model.compile()
        return model

    @classmethod
    def needs_pooler(cls, config):
        """The head reads it, unless it has a dense layer of its own."""
        return config.classifier_activation is None

    def head_layers(self):
        """One head: ``classifier``."""
        return {"classifier": self.head}

    @property
    def problem_type(self) -> str:
        """What the outputs stand for: the field of that name in configs of ``transformers``."""
        return self.problem.problem_type

    @property
    def multi_label(self) -> bool:
        """Whether a text may have any number of labels."""
        return self.threshold is not None

    @property
    def threshold(self) -> float | None:
        """Least probability of a label that is answered; None where a text has one label.

        It may be set, e.g. to what is best on validation data; metrics take it from ``compile``.
        """
        return getattr(self.problem, "threshold", None)

    @threshold.setter
    def threshold(self, threshold):
        if not self.multi_label:
            raise ValueError("Only a model with multi_label=True has a threshold.")
        self.problem = make_problem(self.labels, None, True, threshold)
        self._answer_function, self._text_answer_functions = None, {}

    def call(self, inputs, training=None):
        """Ids → logits (batch, labels) float32."""
        inputs, windows = _without_windows(inputs)
        logits = self.head(self.text_features(inputs, training=training), training=training)
        return logits if windows is None else merge_windows(logits, windows, self.window_pooling)

    # Answers.

    @property
    def one_row_per_text(self):
        """Whether no text is read in windows."""
        return self.preprocessor is None or self.preprocessor.stride is None

    def text_answers(self, *texts):
        """Answers strings, in the graph; see the class."""
        if self.one_row_per_text:
            return super().text_answers(*texts)
        ids = self.text_preprocessor()(
            texts[0] if len(texts) == 1 else texts, return_truncated=True
        )
        source, truncated = ids.pop("window_source"), ids.pop("truncated")
        del ids["window_start"]
        logits = in_chunks(lambda rows: self(rows, training=False), ids)
        answers = self.answers(merge_windows(logits, source, self.window_pooling))
        return {**answers, "truncated": tf.math.segment_max(truncated, source)}

    def answers(self, outputs):
        """Logits → answers; see the class."""
        return self.problem.answers(outputs)

    def read_answer(self, answer):
        """Python values of an answer; ``probabilities`` stay an array."""
        return self.problem.read_answer(answer)

    # Training.

    def fit(self, x=None, y=None, *, class_weight=None, **kwargs):
        """Trains on text; see ``TaskModel.fit``.

        Args:
            x: As ``TaskModel.fit`` takes it.
            y: As ``TaskModel.fit`` takes it.
            class_weight: Name (or number) of a label → how much a text with it counts in the loss,
                1 for labels left out; or "balanced": rare labels count as much as frequent ones.
                With ``multi_label=True`` it is how much counts that a text has the label, against
                that it has not; "balanced" is then texts without ÷ texts with it.
            **kwargs: See ``TaskModel.fit``.

        Raises:
            ValueError: If ``class_weight`` has an unknown label or no weight, or for a regression.
        """
        if class_weight is None:
            return super().fit(x, y, **kwargs)
        self._class_weights = self.problem.class_weights(
            class_weight, lambda: self._all_targets(x, y)
        )
        try:
            if is_texts(x):
                return super().fit(x, y, **kwargs)
            if self.multi_label:
                raise ValueError("class_weight for several labels per text needs text, not ids.")
            return super().fit(
                x, y, class_weight=dict(enumerate(self._class_weights.tolist())), **kwargs
            )
        finally:
            self._class_weights = None

    def _all_targets(self, x, y):
        """The targets of all texts of any form of data."""
        if isinstance(x, tf.data.Dataset):
            labels = x.map(lambda text, label, *_: label)
            batched = tf.nest.flatten(x.element_spec)[0].shape.rank
            labels = (labels if batched else labels.batch(1024)).map(self.graph_targets)
            return np.concatenate(list(labels.as_numpy_iterator()))
        return self.targets(self.read_labelled(x, y)[1]) if is_texts(x) else np.asarray(y)

    def targets(self, labels):
        """Labels as users write them → (batch,) int32 numbers.

        With ``multi_label=True`` (batch, labels) float32 of 0 and 1; for a regression (batch,)
        float32.

        Raises:
            ValueError: On an unknown label, or no finite number; the message names its place.
        """
        return self.problem.targets(labels)

    def graph_targets(self, labels):
        """``targets`` in a ``tf.data`` pipeline; an unknown name is an error there too."""
        return self.problem.graph_targets(labels)

    def labelled_rows(self, texts, labels):
        """Rows of ids with targets; of windows each has its text's."""
        if self.one_row_per_text:
            return super().labelled_rows(texts, labels)
        rows = PackedRows(self.text_preprocessor(), self.strings(texts))
        rows.targets = tf.gather(tf.constant(self.targets(labels)), rows.source)
        return rows

    def evaluated_rows(self, texts, labels):
        """Of windows all of a text stay together, so that the text is scored and not they."""
        if self.one_row_per_text:
            return super().evaluated_rows(texts, labels)
        return WindowedTexts(self.text_preprocessor(), self.strings(texts), self.targets(labels))

    def run_options(self):
        """The weights of classes."""
        return {} if self._class_weights is None else {"class_weight": str(self._class_weights)}

    def _training_dataset(self, x, y, batch_size):
        dataset = super()._training_dataset(x, y, batch_size)
        if isinstance(x, tf.data.Dataset) and not self.one_row_per_text:
            dataset = dataset.map(_per_window)
        if self._class_weights is None:
            return dataset
        if len(dataset.element_spec) > 2:
            raise ValueError("The dataset has weights of its own: give no class_weight, or none.")
        weights = self._class_weights
        return dataset.map(lambda ids, y: (ids, y, self.problem.sample_weights(y, weights)))

    def _labelled_data(self, x, y=None, batch_size=None):
        examples, data = super()._labelled_data(x, y, batch_size)
        if self.has_scores and is_texts(x) and isinstance(x, tf.data.Dataset):
            ends = x.cardinality() != tf.data.INFINITE_CARDINALITY
            examples = _examples_of(x) if ends else None
        if is_texts(x) and not self.one_row_per_text:
            data = data.map(_per_text)
        return examples, data

    # Scores.

    @property
    def has_scores(self):
        """Only of numbers; what else is scored is so batch by batch."""
        return self.problem_type == REGRESSION

    def scores(self, texts, labels, answers):
        """Spearman's correlation of a regression."""
        return self.problem.scores(labels, answers)

    @property
    def main_metric(self):
        """Accuracy; of several labels the F1 of all their decisions; of a number Spearman's ρ."""
        return self.problem.main_metric

    def report_sections(self, texts, labels, answers):
        """Scores, curves, confusions or residuals, and the worst errors, as fits the problem."""
        return self.problem.report_sections(texts, labels, answers)

    def default_loss(self):
        """Cross entropy, binary cross entropy, or mean squared error."""
        return self.problem.loss()

    def default_metrics(self):
        """The scores of the class, but for those that need all answers at once."""
        return self.problem.metrics()

    def get_config(self):
        """Returns the constructor's arguments."""
        config = {
            **super().get_config(),
            "labels": list(self.labels),
            "num_labels": self.problem.outputs,
            "multi_label": self.multi_label,
            "window_pooling": self.window_pooling,
        }
        return config | _given({"threshold": self.threshold})


def _given(options):
    return {name: value for name, value in options.items() if value is not None}


def _without_windows(inputs):
    """Ids alone, and what says of which texts their rows are windows; None where nothing does."""
    if not isinstance(inputs, dict):
        return inputs, None
    ids = {name: value for name, value in inputs.items() if name not in _WINDOW_INPUTS}
    return ids, inputs.get(DOCUMENT_WINDOWS, inputs.get("window_source"))


def _examples_of(dataset):
    """All texts or pairs of a dataset, batched or not, and their labels."""
    texts, labels = [], []
    for text, label, *_ in dataset.as_numpy_iterator():
        sides = [np.atleast_1d(side).tolist() for side in tf.nest.flatten(text)]
        texts += sides[0] if len(sides) == 1 else list(zip(*sides, strict=True))
        labels += np.ravel(label).tolist()
    return texts, labels


def _per_window(ids, *of_texts):
    """A batch of texts' windows, each with what is its text's."""
    source = ids["window_source"]
    ids = {name: value for name, value in ids.items() if name not in _WINDOW_INPUTS}
    return (ids, *(tf.gather(part, source) for part in of_texts))


def _per_text(ids, targets, *rest):
    """A batch of texts' windows for a score of the texts."""
    return (with_documents(ids, tf.shape(targets)[0]), targets, *rest)
