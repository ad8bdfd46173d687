"""TaskModel: what all task models share. Text in, the task's answers out."""

from __future__ import annotations

import itertools
import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_bert.data.batching import (
    TokenizedTexts,
    length_grouped_batches,
    sorted_batches,
    text_batches,
    warn_of_cuts,
    without_autotuning,
)
from keras_bert.data.inputs import is_texts, labelled_texts, read_texts_argument
from keras_bert.models.head_model import HeadModel
from keras_bert.text.preprocessor import string_tensor

__all__ = ["TaskModel", "UntrainedHeadWarning"]

INPUT_SIGNATURE = {
    name: tf.TensorSpec((None, None), tf.int32, name=name)
    for name in ("input_word_ids", "input_mask", "input_type_ids")
}


class UntrainedHeadWarning(UserWarning):
    """A task head answers that was neither loaded nor trained: its answers are random."""


class TaskModel(HeadModel):
    """A model with a head that is trained and asked in text.

    A task says what its labels and answers are. Always: ``call`` (ids → raw outputs),
    ``default_loss`` and ``default_metrics``. Where a text is one row of ids with one label:
    ``answers`` (raw outputs → named tensors, in the graph) and ``targets`` (labels → numbers).
    Where it is not, in their place: ``text_answers`` (strings → named tensors, in the graph) and
    ``labelled_rows`` (texts and labels → rows of ids and targets). Where its examples look
    otherwise: ``read_labelled``, ``read_texts``, ``strings`` and ``read_answer``. Where the field's
    score is one of whole answers: ``scores``.

    Args:
        encoder: A ``BertEncoder``.
        preprocessor: A ``Preprocessor``; without one the model takes ids only.
        takes_pairs: Whether an example is a pair of texts. ``fit`` sets it from its data.
        **kwargs: See ``HeadModel``.
    """

    def __init__(self, encoder, preprocessor=None, takes_pairs=False, **kwargs):
        super().__init__(encoder, preprocessor, **kwargs)
        self.takes_pairs = takes_pairs
        self._answer_function = None
        self._text_answer_functions = {}
        self._validation_examples = None

    # What a task defines.

    @property
    def one_row_per_text(self) -> bool:
        """Whether a text is always one row of ids, whose answer is ``answers`` of its outputs."""
        return True

    def read_labelled(self, x, y=None) -> tuple[list, list]:
        """Checks labelled examples as users hand them to ``fit``: returns texts and labels."""
        return labelled_texts(x, y)

    def read_texts(self, x) -> list:
        """Checks texts as users hand them to ``predict``; returns a list."""
        return read_texts_argument(x)

    def labelled_rows(self, texts, labels):
        """Turns examples into rows of ids with targets: ``TokenizedTexts`` or ``PackedRows``."""
        return TokenizedTexts(self.text_preprocessor(), texts, self.targets(labels))

    def targets(self, labels) -> np.ndarray:
        """Turns labels as users write them into the numbers that the loss takes."""
        raise NotImplementedError

    def answers(self, outputs) -> dict[str, tf.Tensor]:
        """Turns raw outputs into the task's answers: named tensors, first axis the batch."""
        raise NotImplementedError

    def strings(self, texts) -> list[list[str]]:
        """Turns a batch of texts into what ``text_answers`` takes: a list for each argument."""
        pairs = isinstance(texts[0], tuple | list)
        return list(map(list, zip(*texts, strict=True))) if pairs else [list(texts)]

    def text_answers(self, *texts) -> dict[str, tf.Tensor]:
        """Answers strings, in the graph.

        Args:
            *texts: (batch,) string, one tensor per segment.

        Returns:
            Named tensors, dense or ragged, first axis the batch; among them ``truncated`` int32
            (batch,), the pieces that were cut from each text.
        """
        ids = self.text_preprocessor()(
            texts[0] if len(texts) == 1 else texts, return_truncated=True
        )
        truncated = ids.pop("truncated")
        return {**self.answers(self(ids, training=False)), "truncated": truncated}

    def read_answer(self, answer: dict) -> dict:
        """Turns one text's answer, as NumPy values, into Python values."""
        return answer

    def scores(self, texts, labels, answers) -> dict[str, float]:
        """The field's scores of whole answers, where a mean over batches would not be them.

        Args:
            texts: As ``read_labelled`` returned them.
            labels: As ``read_labelled`` returned them.
            answers: What ``predict`` says of the texts.
        """
        return {}

    def default_loss(self):
        """Returns the task's loss."""
        raise NotImplementedError

    def default_metrics(self) -> list:
        """Returns the task's metrics, new objects."""
        raise NotImplementedError

    # Training.

    def compile(
        self,
        optimizer=None,
        loss=None,
        metrics=None,
        learning_rate=5e-5,
        warmup=0.1,
        jit_compile="auto",
        **kwargs,
    ):
        """Sets optimiser, loss and metrics; what is left out gets the task's defaults.

        Args:
            optimizer: Default: ``AdamW`` with warm-up and linear decay over the run that
                ``fit`` is asked for, weight decay 0.01 and clipping at global norm 1.
            loss: Default: the task's loss.
            metrics: Default: the task's metrics.
            learning_rate: Peak learning rate of the default optimiser.
            warmup: Share of the steps spent in warm-up by the default optimiser.
            jit_compile: Whether the training step is compiled by XLA. "auto": on a single GPU
                only. On CPU, oneDNN's fused kernels are as fast, and XLA would compile anew for
                every length.
            **kwargs: Passed to ``keras.Model.compile``.
        """
        # Upwards on purpose: a task model comes compiled, and what it is compiled with belongs
        # to training.
        from keras_bert.training import AdamW, WarmupLinearDecay

        if optimizer is None:
            optimizer = AdamW(WarmupLinearDecay(learning_rate, warmup=warmup))
        if jit_compile == "auto":
            jit_compile = len(tf.config.list_physical_devices("GPU")) == 1
        super().compile(
            optimizer=optimizer,
            loss=self.default_loss() if loss is None else loss,
            metrics=self.default_metrics() if metrics is None else metrics,
            jit_compile=jit_compile,
            **kwargs,
        )

    def get_compile_config(self):
        """What ``compile`` was called with, for saving."""
        return self._compile_config.serialize() if self.compiled else None

    def compile_from_config(self, config):
        """Compiles as a saved model was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *, batch_size=None, epochs=1, validation_data=None, **kwargs):
        """Trains on text.

        Args:
            x: Texts (strings or (text, text) pairs) with labels in ``y``; or a list of
                (text, label) or ((text, text), label); or ``Examples``; or a
                ``tf.data.Dataset`` of (text, label), batched or not. Anything else goes to
                ``keras.Model.fit`` as it is.
            y: Labels, where ``x`` holds texts alone.
            batch_size: Texts per step; default 32.
            epochs: Passes over the data.
            validation_data: Like ``x``, or a pair (texts, labels).
            **kwargs: Passed to ``keras.Model.fit``.

        Returns:
            The ``keras.callbacks.History``.

        An interrupt (Ctrl-C) leaves the model with the weights of the best epoch so far by
        validation loss, or the latest without validation data, and is raised again.

        Raises:
            TypeError: If something is no text; the message names its place.
            ValueError: On an unknown label, a label missing, or no data.
        """
        if not self.compiled:
            self.compile()
        # Here, because XLA cannot create variables while it compiles the first step.
        self.optimizer.build(self.trainable_variables)
        if is_texts(x):
            x, y, batch_size = self._training_dataset(x, y, batch_size or 32), None, None
            kwargs["shuffle"] = False  # the dataset does, by length
        self._start_schedule(x, batch_size or 32, epochs, kwargs)
        if validation_data is not None:
            examples, validation_data = self._labelled_data(
                *_split_validation(validation_data), kwargs.get("validation_batch_size")
            )
            self._validation_examples = examples
        keeper = _BestWeights()
        callbacks = [*_as_callbacks(kwargs.pop("callbacks", None)), _MarkTrained(), keeper]
        try:
            return super().fit(
                x,
                y,
                batch_size=batch_size,
                epochs=epochs,
                validation_data=validation_data,
                callbacks=callbacks,
                **kwargs,
            )
        except KeyboardInterrupt:
            keeper.restore()
            raise
        finally:
            self._validation_examples = None

    def train_step(self, data):
        """One step, only once the batch is there."""
        # A dataset that ends without having said when would otherwise take one more optimiser
        # step before its end is noticed. XLA compiles the step apart from the dataset.
        wait_for = [] if self.jit_compile else tf.nest.flatten(data)
        with tf.control_dependencies([part for part in wait_for if tf.is_tensor(part)]):
            return super().train_step(data)

    def evaluate(self, x=None, y=None, *, batch_size=None, return_dict=True, **kwargs):
        """Scores the model on labelled text.

        Args:
            x: As in ``fit``.
            y: As in ``fit``.
            batch_size: Texts per step; default 32.
            return_dict: Whether scores come by name; False gives Keras' list.
            **kwargs: Passed to ``keras.Model.evaluate``.

        Returns:
            ``{"loss": ..., ...}`` with one entry per metric.
        """
        if not self.compiled:
            self.compile()
        # fit evaluates through here too, with a dataset that is ready.
        in_fit = kwargs.get("_use_cached_eval_dataset")
        examples = self._validation_examples if in_fit else None
        if is_texts(x):
            self._warn_of_fresh_head("evaluate")
            examples, x = self._labelled_data(x, y, batch_size)
            y, batch_size = None, None
        found = super().evaluate(x, y, batch_size=batch_size, return_dict=True, **kwargs)
        if examples is not None and type(self).scores is not TaskModel.scores:
            found |= self.scores(*examples, self._answer_all(examples[0], batch_size or 32))
        return found if return_dict else list(found.values())

    # Answers.

    def predict(self, x, batch_size=None, **kwargs):
        """Answers texts.

        Args:
            x: A list of texts or (text, text) pairs, or a ``tf.data.Dataset`` of strings.
                Anything else goes to ``keras.Model.predict`` and gives raw outputs.
            batch_size: Texts per step; default 32.
            **kwargs: Passed to ``keras.Model.predict`` for inputs other than text.

        Returns:
            One dict per text, in the order given. Its entries are the task's.

        Raises:
            TypeError: If something is no text; the message names its place.
            ValueError: If there is no text.
        """
        self._warn_of_fresh_head("predict")
        if not is_texts(x):
            return super().predict(x, batch_size=batch_size, **kwargs)
        if isinstance(x, tf.data.Dataset):
            x = _strings_of(x)
        return self._answer_all(self.read_texts(x), batch_size or 32)

    def _answer_all(self, texts, batch_size):
        """Answers of any number of texts, in batches of similar length."""
        if len(texts) <= batch_size:
            return self._read_answers(self._answer_texts(texts))
        if self.one_row_per_text:
            tokens = TokenizedTexts(self.text_preprocessor(), texts)
            batches = sorted_batches(tokens.lengths, batch_size)
        else:
            batches = text_batches(texts, batch_size)
        results = [None] * len(texts)
        for rows in batches:
            if self.one_row_per_text:
                answers = self._graph_answers()(tokens.batch(rows))
            else:
                answers = self._answer_texts([texts[row] for row in rows])
            for row, answer in zip(rows, self._read_answers(answers), strict=True):
                results[row] = answer
        return results

    def _answer_texts(self, texts):
        """Answers of one batch of texts, from strings to answers in one call of one graph."""
        sides = [string_tensor(side) for side in self.strings(texts)]
        answers = self._graph_text_answers(len(sides))(*sides)
        warn_of_cuts(answers.pop("truncated").numpy(), self.text_preprocessor().seq_length)
        return answers

    def _read_answers(self, answers):
        """Named tensors of a batch → one dict of Python values per text."""
        columns = {name: _rows_of(tensor) for name, tensor in answers.items()}
        rows = zip(*columns.values(), strict=True)
        return [self.read_answer(dict(zip(columns, row, strict=True))) for row in rows]

    def _graph_answers(self):
        """The function ids → answers, traced once for all shapes."""
        if self._answer_function is None:
            self._answer_function = tf.function(
                lambda ids: self.answers(self(ids, training=False)),
                input_signature=[INPUT_SIGNATURE],
                autograph=False,
            )
        return self._answer_function

    def _graph_text_answers(self, sides):
        """The function strings → answers, and ``truncated``, of so many strings per example."""
        # One each: a tf.function that takes any number of them fails on the second number.
        if sides not in self._text_answer_functions:
            self._text_answer_functions[sides] = tf.function(
                lambda *texts: self.text_answers(*texts),
                input_signature=[tf.TensorSpec((None,), tf.string)] * sides,
                autograph=False,
            )
        return self._text_answer_functions[sides]

    def _warn_of_fresh_head(self, verb):
        if self.head_is_fresh:
            warnings.warn(
                f"{type(self).__name__}.{verb}: the head was neither loaded from a checkpoint nor "
                "trained, so that its answers are random. Call fit first.",
                UntrainedHeadWarning,
                stacklevel=3,
            )

    # Data.

    def _training_dataset(self, x, y, batch_size):
        if isinstance(x, tf.data.Dataset):
            return self._map_dataset(x, batch_size)
        texts, labels = self.read_labelled(x, y)
        self._note_pairs(isinstance(texts[0], tuple | list))
        rows = self.labelled_rows(texts, labels)
        # Drawn from NumPy's global generator, so that keras.utils.set_random_seed decides it.
        seed, epoch = int(np.random.randint(2**31)), -1

        def batches():
            nonlocal epoch
            epoch += 1
            return length_grouped_batches(rows.lengths, batch_size, seed=seed + epoch)

        return rows.dataset(batches)

    def _note_pairs(self, pairs):
        # RoBERTa and DistilBERT tell texts apart by the separators between them alone.
        by_types = self.preprocessor is not None and self.preprocessor.tokenizer.segment_types
        if pairs and by_types and self.encoder.config.type_vocab_size == 1:
            raise ValueError(
                "These are pairs of texts, whose tokens get segment types 0 and 1, and this "
                "encoder has type_vocab_size=1."
            )
        self.takes_pairs = pairs

    def _labelled_data(self, x, y=None, batch_size=None):
        """The examples, where they can be had, and what Keras evaluates: of any form of data."""
        if isinstance(x, tf.data.Dataset):
            return None, self._map_dataset(x, batch_size or 32) if is_texts(x) else x
        if not is_texts(x):
            return None, (x, y) if y is not None else x
        texts, labels = self.read_labelled(x, y)
        rows = self.labelled_rows(texts, labels)
        batches = sorted_batches(rows.lengths, batch_size or 32)
        return (texts, labels), rows.dataset(lambda: batches)

    def _map_dataset(self, dataset, batch_size):
        """A user's dataset of (text or pair, label), tokenised batch by batch."""
        spec = dataset.element_spec
        if not isinstance(spec, tuple) or len(spec) < 2:
            raise ValueError(
                f"Expected a tf.data.Dataset of (text, label); received elements {spec}."
            )
        if not tf.nest.flatten(spec)[0].shape.rank:
            dataset = dataset.batch(batch_size)
        self._note_pairs(len(tf.nest.flatten(spec[0])) == 2)

        def to_ids(texts, labels, *rest):
            texts = tuple(tf.nest.flatten(texts)) if self.takes_pairs else texts
            return (self.text_preprocessor()(texts), self.graph_targets(labels), *rest)

        dataset = dataset.map(to_ids, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
        return without_autotuning(dataset)

    def graph_targets(self, labels: tf.Tensor) -> tf.Tensor:
        """``targets`` for tensors, in a ``tf.data`` pipeline."""
        raise NotImplementedError

    def _start_schedule(self, x, batch_size, epochs, kwargs):
        """Tells the learning-rate schedule how many steps this call of ``fit`` will take."""
        # In float16 Keras wraps the optimiser in one that scales the loss.
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        schedule = getattr(optimizer, "_learning_rate", None)
        if hasattr(schedule, "start_run"):
            steps = kwargs.get("steps_per_epoch") or _steps_of(x, batch_size)
            epochs -= kwargs.get("initial_epoch", 0)
            schedule.start_run(int(optimizer.iterations), steps * epochs)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "takes_pairs": self.takes_pairs}


class _MarkTrained(keras.callbacks.Callback):
    """Notes that the head has been trained, after the first step."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.head_is_fresh = False


class _BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the lowest validation loss, for an interrupt."""

    def __init__(self):
        super().__init__()
        self._best, self._weights = np.inf, None

    def on_epoch_end(self, epoch, logs=None):
        loss = (logs or {}).get("val_loss")
        if loss is not None and loss < self._best:
            self._best, self._weights = loss, self.model.get_weights()

    def restore(self):
        """Gives the model its best weights so far, if there was a validated epoch."""
        if self._weights is not None:
            self.model.set_weights(self._weights)


def _steps_of(x, batch_size):
    """Steps in one pass over what ``keras.Model.fit`` takes."""
    if isinstance(x, tf.data.Dataset):
        steps = int(x.cardinality())
        if steps == tf.data.INFINITE_CARDINALITY:
            raise ValueError("The dataset never ends: give steps_per_epoch.")
        if steps == tf.data.UNKNOWN_CARDINALITY:
            steps = int(x.reduce(np.int64(0), lambda count, *_: count + 1))
        return steps
    if isinstance(x, keras.utils.PyDataset):
        return x.num_batches
    return -(-len(tf.nest.flatten(x)[0]) // batch_size)


def _as_callbacks(callbacks):
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks] * bool(callbacks)


def _split_validation(data):
    """(texts, labels) as Keras takes it, against a tuple of two (text, label) items."""
    if (
        isinstance(data, tuple)
        and len(data) == 2
        and all(isinstance(part, list | np.ndarray | tf.Tensor) for part in data)
    ):
        return data
    return data, None


def _rows_of(tensor):
    """A tensor's rows as NumPy values; those of a ragged one are of any length."""
    if not isinstance(tensor, tf.RaggedTensor):
        return tensor.numpy()
    values, splits = _rows_of(tensor.values), tensor.row_splits.numpy()
    return [values[start:end] for start, end in itertools.pairwise(splits)]


def _strings_of(dataset):
    """All texts of a dataset of strings or pairs, batched or not; labels are dropped."""
    texts = []
    for element in dataset.as_numpy_iterator():
        parts = element if isinstance(element, tuple) else (element,)
        parts = [p for p in parts if np.asarray(p).dtype.kind in "OSU"]
        columns = [np.atleast_1d(p).tolist() for p in parts]
        texts += columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    return texts
