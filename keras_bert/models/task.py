"""TaskModel: what all task models share. Text in, the task's answers out."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_bert.complete_file import check_destination
from keras_bert.data.batching import TokenizedTexts
from keras_bert.data.inputs import is_texts, labelled_texts, read_texts_argument
from keras_bert.metrics.report import Scores, require_matplotlib, write_report
from keras_bert.models.answering import Answering, UntrainedHeadWarning
from keras_bert.models.fitting import Fitting
from keras_bert.models.fixed_batches import FixedBatches
from keras_bert.models.head_model import HeadModel
from keras_bert.models.report_facts import report_facts, report_title
from keras_bert.models.seen_steps import SeenSteps

__all__ = ["TaskModel", "UntrainedHeadWarning"]


class TaskModel(Fitting, FixedBatches, Answering, SeenSteps, HeadModel):
    """A model with a head that is trained and asked in text.

    A task says what its labels and answers are. Always: ``call`` (ids → raw outputs),
    ``default_loss`` and ``default_metrics``. Where a text is one row of ids with one label:
    ``answers`` (raw outputs → named tensors, in the graph) and ``targets`` (labels → numbers).
    Where it is not, in their place: ``text_answers`` (strings → named tensors, in the graph) and
    ``labelled_rows`` (texts and labels → rows of ids and targets), and ``evaluated_rows`` where
    what is scored is not what is trained. Where its examples look otherwise: ``read_labelled``,
    ``read_texts``, ``strings``, ``text_inputs``, ``text_specs`` and ``read_answer``. Where the
    field's score is one of whole answers: ``scores``.

    Args:
        encoder: A ``BertEncoder``.
        preprocessor: A ``Preprocessor``; without one the model takes ids only.
        takes_pairs: Whether an example is a pair of texts. ``fit`` sets it from its data.
        **kwargs: See ``HeadModel``.
    """

    #: Name of the score by which ``fit`` finds the best epoch, without its ``val_``.
    main_metric = "loss"

    def __init__(self, encoder, preprocessor=None, takes_pairs=False, **kwargs):
        super().__init__(encoder, preprocessor, **kwargs)
        self.takes_pairs = takes_pairs
        self._answer_function = None
        self._text_answer_functions = {}
        self._validation_examples = None
        # Of Keras' steps at a time, see keras_bert.training.distribution.Rounds.
        self.batches_left = {}

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

    def evaluated_rows(self, texts, labels):
        """As ``labelled_rows``, where what is scored is not what is trained."""
        return self.labelled_rows(texts, labels)

    def targets(self, labels) -> np.ndarray:
        """Turns labels as users write them into the numbers that the loss takes."""
        raise NotImplementedError

    def answers(self, outputs) -> dict[str, tf.Tensor]:
        """Turns raw outputs into the task's answers: named tensors, first axis the batch."""
        raise NotImplementedError

    @property
    def text_inputs(self) -> tuple[str, ...]:
        """Names of the arguments of ``text_answers``, as an export calls its inputs."""
        return ("text_a", "text_b") if self.takes_pairs else ("text",)

    def text_specs(self) -> list[tf.TensorSpec]:
        """What ``text_answers`` takes: strings (batch,), one tensor for each of ``text_inputs``.

        An argument that is several texts per example is (batch, most), padded with "".
        """
        return [tf.TensorSpec((None,), tf.string, name) for name in self.text_inputs]

    def strings(self, texts) -> list[list[str]]:
        """Turns a batch of texts into what ``text_answers`` takes: a list for each argument.

        An argument of several strings per text is a ragged tensor.
        """
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

    @property
    def has_scores(self) -> bool:
        """Whether there are ``scores``, for which all texts have to be answered."""
        return type(self).scores is not TaskModel.scores

    def scores(self, texts, labels, answers) -> dict[str, float]:
        """The field's scores of whole answers, where a mean over batches would not be them.

        Args:
            texts: As ``read_labelled`` returned them.
            labels: As ``read_labelled`` returned them.
            answers: What ``predict`` says of the texts.
        """
        return {}

    def report_sections(self, texts, labels, answers) -> list:
        """What a report shows, in order: ``keras_bert.metrics.report.Section`` objects.

        Args:
            texts: As ``read_labelled`` returned them.
            labels: As ``read_labelled`` returned them.
            answers: What ``predict`` says of the texts.
        """
        return [Scores("Scores", None, self.scores(texts, labels, answers))]

    def default_loss(self):
        """Returns the task's loss."""
        raise NotImplementedError

    def default_metrics(self) -> list:
        """Returns the task's metrics, new objects."""
        raise NotImplementedError

    def report(self, x, path, y=None, *, title=None, batch_size=None):
        """Writes one HTML page to look at: scores, errors with their texts, curves, calibration.

        The page needs no other file and no network. Its plots take matplotlib:
        ``pip install 'keras-bert-garden[report]'``.

        Args:
            x: Labelled texts, as in ``fit``.
            path: The HTML file. An existing one is replaced once the new one is whole.
            y: As in ``fit``.
            title: The page's heading; default: the model's class and the name of the data's file.
            batch_size: Texts per step; default 32.

        Returns:
            The file, a ``pathlib.Path``.

        Raises:
            ModuleNotFoundError: If matplotlib is not installed.
            OSError: If ``path`` cannot be written.
            TypeError: If ``x`` is no text; the message names what it is.
            ValueError: On an unknown label, a label missing, or no data.
        """
        # Before hours of predictions.
        check_destination(path)
        require_matplotlib()
        texts, labels = self.read_labelled(_listed(x), y)
        self._warn_of_fresh_head("report")
        answers = self._answer_all(self.read_texts(texts), batch_size or 32)
        sections = self.report_sections(texts, labels, answers)
        facts = report_facts(self, x, len(texts))
        return write_report(path, title or report_title(self, x), sections, facts)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "takes_pairs": self.takes_pairs}


def _listed(x):
    """Labelled examples; those of a dataset, batched or not, as a list of (text, label)."""
    if not isinstance(x, tf.data.Dataset):
        return x
    spec = x.element_spec
    if not isinstance(spec, tuple) or len(spec) < 2 or not is_texts(x):
        raise TypeError(f"Expected a tf.data.Dataset of (text, label); received elements {spec}.")
    x = x.unbatch() if tf.nest.flatten(spec)[0].shape.rank else x
    return [(text, label) for text, label, *_ in x.as_numpy_iterator()]
