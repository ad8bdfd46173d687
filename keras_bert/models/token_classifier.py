"""BertTokenClassifier: entities of a text, or a name for each of its words."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_bert.data.batching import warn_of_cuts
from keras_bert.data.inputs import is_texts
from keras_bert.data.packed_rows import PackedRows
from keras_bert.data.tagged import (
    labels_of_examples,
    read_tagged,
    read_tagged_texts,
    word_bytes,
)
from keras_bert.data.tags import OUTSIDE, tag_names, tags_of_spans
from keras_bert.metrics.entities import (
    entities_of,
    entity_scores,
    span_scores,
    token_accuracy,
)
from keras_bert.metrics.report import entity_sections
from keras_bert.metrics.report.tags import tag_sections
from keras_bert.metrics.tokens import TokenAccuracy
from keras_bert.models.labels import checked_labels, choose_labels
from keras_bert.models.tag_labels import TagLabels
from keras_bert.models.tagging import (
    entities_of_words,
    piece_targets,
    pieces_of,
    tag_names_of_words,
    tags_of_words,
)
from keras_bert.models.task import TaskModel
from keras_bert.text.preprocessor import string_tensor
from keras_bert.text.words import join_words, split_words

__all__ = ["BertTokenClassifier"]

LABEL_PIECES = ("all", "first")


@keras.saving.register_keras_serializable("keras_bert")
class BertTokenClassifier(TaskModel):
    """Finds the names in a text, or says of each word what part of speech it is.

    The head is dropout and a linear layer over ``sequence_output``.

    Labels such as ``O``, ``B-PER`` and ``I-PER`` mark entities; IOE2, IOBES and BILOU do, too. Tags
    of any scheme are brought to that of the labels before training. Other labels are names of
    words, one each, and ``O``, where it is one of them, is nothing found.

    **Words.** The text of a list of words has a blank between two of them, and nothing beside
    Chinese, Japanese, Thai, Lao, Khmer and Burmese characters, as those texts have. A plain text is
    answered by words, too: runs of letters and digits, marks, single characters of those scripts.
    Each is given the label of its first piece.

    **Pieces.** The reference trains the first piece of each word (Devlin et al. 2018, section 5.3),
    and so does ``label_pieces="first"``. That leaves the other pieces saying anything, which is no
    harm as long as texts come as the same words. In plain text they do not: a Chinese word of the
    training data is several characters here, and ``U.S.`` or ``don't`` several words, whose first
    pieces were never trained. So the default is ``"all"``: later pieces are trained as going on
    with their word, ``I-PER`` behind ``B-PER``. On given words both do equally well.

    **Long texts.** With a ``stride`` a text of any length is cut into windows, and each piece is
    judged in the window where it has most context; without, texts are cut at ``seq_length``, with
    a warning.

    Args:
        encoder: A ``BertEncoder``.
        preprocessor: A ``Preprocessor``, with a stride or without; or None.
        labels: Names of the labels, in the order of the logits; two at least, no name twice.
        label_pieces: ``"all"`` or ``"first"``: the pieces of a word that are trained.
        joiner: What stands between two words of a list; default: as said above.
        **kwargs: See ``TaskModel``.

    Call: a dict of ids as ``BertEncoder`` takes → logits (batch, seq, labels) float32.

    Examples to train on: (words, tags); or (text, entities), with dicts of ``label``, ``start`` and
    ``end`` in characters; or what ``read_conll`` returns.

    Answers: ``entities``, a list of dicts: ``label``, ``start`` and ``end`` (characters of the
    text as Python counts them, so that ``text[start:end]`` is the entity), ``text`` and ``score``,
    the mean probability of its words' labels. For a list of words also ``tags``, the label of each,
    and ``text``, the text that they were joined to. A word without pieces, or cut off, goes on with
    the entity around it, else is ``O``, or None where there is no such label.

    Scores: ``precision``, ``recall`` and ``f1`` of whole entities as conlleval counts them, and
    ``accuracy``, the share of words whose tag is right; ``token_accuracy`` is that of pieces.

    Raises:
        ValueError: On fewer than two labels, a label twice, or ``label_pieces`` that is neither.

    Source: section 5.3 of Devlin et al. 2018.

    Example:
        >>> import keras_bert as kb
        >>> train = kb.data.read_conll("train.conll")                      # doctest: +SKIP
        >>> model = kb.BertTokenClassifier.from_pretrained(
        ...     "bert-base-cased", labels=train.label_names, stride=64)    # doctest: +SKIP
        >>> model.fit(train, epochs=3)                                     # doctest: +SKIP
        >>> model.predict(["Anna lives in Köln."])[0]["entities"][1]       # doctest: +SKIP
        {'label': 'LOC', 'start': 14, 'end': 18, 'text': 'Köln', 'score': 0.99}
    """

    takes_windows = True

    @property
    def main_metric(self):
        """F1 of entities; of labels that mark none the accuracy of words."""
        return "f1" if self._tag_labels.of_entities else "accuracy"

    def __init__(
        self, encoder, preprocessor=None, labels=(), label_pieces="all", joiner=None, **kwargs
    ):
        super().__init__(encoder, preprocessor, **kwargs)
        self.labels = checked_labels(labels)
        if label_pieces not in LABEL_PIECES:
            raise ValueError(f"label_pieces={label_pieces!r}. Expected one of {LABEL_PIECES}.")
        self.label_pieces, self.joiner = label_pieces, joiner
        self._tag_labels = TagLabels(self.labels)
        self.head = self.add_head("token_classifier", len(self.labels))
        self.built = True

    @classmethod
    def from_pretrained(
        cls,
        folder: str,
        labels=None,
        seq_length: int | None = None,
        stride: int | None = None,
        label_pieces: str = "all",
        joiner: str | None = None,
        **kwargs,
    ) -> BertTokenClassifier:
        """Loads a pretrained encoder, and the head where the checkpoint has one that fits.

        Args:
            folder: A checkpoint as ``BertEncoder.from_pretrained`` reads it.
            labels: Names of the labels; ``labels_of(data)`` finds them in data. Default: those of
                the checkpoint's head. A head is loaded if its labels are these, or if it has as
                many without names.
            seq_length: Longest input in tokens; default: what the checkpoint allows.
            stride: Tokens that two windows of a long text share; None cuts long texts.
            label_pieces: As the class says.
            joiner: As the class says.
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
        found = checkpoint.labels("token_classifier")
        labels, fits = choose_labels(folder, found, labels)
        heads = ["token_classifier"] if fits else []
        options = {"labels": labels, "label_pieces": label_pieces, "joiner": joiner}
        model = cls.load(checkpoint, options, heads, seq_length, stride=stride, **kwargs)
        model.compile()
        return model

    @staticmethod
    def labels_of(x, y=None) -> list[str]:
        """The labels that a model of some data needs.

        Args:
            x: Examples as ``fit`` takes them.
            y: As ``fit`` takes them.

        Returns:
            ``"O"``, then ``B-`` and ``I-`` of each type; or the different tags, sorted, where they
            mark no entities.

        Example:
            >>> BertTokenClassifier.labels_of([(["Anna", "lives"], ["B-PER", "O"])])
            ['O', 'B-PER', 'I-PER']
        """
        found, of_entities = labels_of_examples(x, y)
        if of_entities:
            found = {tag for name in found for tag in tags_of_spans([(name, 0, 1)], 1)}
        return tag_names(found)

    def head_layers(self):
        """One head: ``token_classifier``."""
        return {"token_classifier": self.head}

    def call(self, inputs, training=None):
        """Ids → logits (batch, seq, labels) float32."""
        outputs = self.encoder(inputs, training=training)
        return self.head(outputs["sequence_output"], training=training)

    # Training.

    @property
    def one_row_per_text(self):
        """No: a long text may be several, and there is a label for each token."""
        return False

    def read_labelled(self, x, y=None):
        """Texts with tags, in the scheme of the labels, or with ``(label, start, end)``."""
        texts, labels = read_tagged(x, y)
        if not isinstance(texts[0], str):
            pairs = enumerate(zip(texts, labels, strict=True))
            labels = [self._known_tags(place, *pair) for place, pair in pairs]
        return texts, labels

    def read_texts(self, x):
        """Strings, or tuples of words."""
        return read_tagged_texts(x)

    def labelled_rows(self, texts, labels):
        """Packed rows with a label for each token."""
        if isinstance(texts[0], str):
            texts, spans, numbers = self._words_of_texts(texts, labels)
        else:
            texts, spans = self._joined(texts)
            numbers = [self._tag_labels.numbers(tags) for tags in labels]
        rows = PackedRows(self.text_preprocessor(), [texts])
        warn_of_cuts(rows.truncated, self.preprocessor.seq_length)
        every = self.label_pieces == "all"
        rows.targets = piece_targets(rows, spans, numbers, self._tag_labels, every)
        return rows

    def default_loss(self):
        """Cross entropy over the logits of the tokens that have a label."""
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=PackedRows.ignored
        )

    def default_metrics(self):
        """Accuracy of tokens; those of words and entities are ``scores``."""
        return [TokenAccuracy(PackedRows.ignored)]

    # Scores.

    def scores(self, texts, labels, answers):
        """Precision, recall and F1 of entities, as conlleval counts them, and accuracy of words."""
        found = self._all_scores(texts, labels, answers)
        entities = found["micro"] if self._tag_labels.of_entities else {}
        scores = {name: entities[name] for name in ("precision", "recall", "f1") if entities}
        return scores | {name: found[name] for name in ("accuracy",) if name in found}

    def scores_by_type(self, x, y=None, scheme=None, batch_size=None) -> dict:
        """Scores of labelled examples, of every type of entity and over all.

        Args:
            x: As in ``fit``.
            y: As in ``fit``.
            scheme: None counts leniently, as conlleval does; a scheme's name, such as ``"IOB2"``,
                strictly, as seqeval's ``mode="strict"``, where the examples are words.
            batch_size: Texts per step; default 32.

        Returns:
            What ``keras_bert.metrics.entity_scores`` returns. Of labels that mark no entities, the
            types are the labels. Of plain texts there is no ``accuracy``.
        """
        texts, labels = self.read_labelled(*_materialised(x, y))
        return self._all_scores(texts, labels, self._answer_all(texts, batch_size or 32), scheme)

    def report_sections(self, texts, labels, answers):
        """Scores, kinds of error, mistakes, texts with their entities or their wrong words."""
        scores = self.scores(texts, labels, answers)
        if isinstance(texts[0], str):
            gold = [[_entity(*span) for span in spans] for spans in labels]
        elif self._tag_labels.of_entities:
            joined = [join_words(words, self.joiner) for words in texts]
            texts = [text for text, _ in joined]
            spans = [places for _, places in joined]
            gold = [
                [_entity(label, where[i][0], where[j - 1][1]) for label, i, j in entities_of(tags)]
                for where, tags in zip(spans, labels, strict=True)
            ]
        else:
            return tag_sections(texts, labels, [answer["tags"] for answer in answers], scores)
        return entity_sections(texts, gold, [answer["entities"] for answer in answers], scores)

    def _all_scores(self, texts, labels, answers, scheme=None):
        if isinstance(texts[0], str):
            found = [[_span_of(entity) for entity in answer["entities"]] for answer in answers]
            return span_scores(labels, found)
        tags = [[tag or OUTSIDE for tag in answer["tags"]] for answer in answers]
        if self._tag_labels.of_entities:
            return entity_scores(labels, tags, scheme)
        spans = (
            [[(tag, i, i + 1) for i, tag in enumerate(row)] for row in s] for s in (labels, tags)
        )
        return {**span_scores(*spans), "accuracy": token_accuracy(labels, tags)}

    # Answers.

    def strings(self, texts):
        """Plain texts; or the texts of words, and where the words are, as bytes of int32."""
        if isinstance(texts[0], str):
            return [texts]
        joined, spans = self._joined(texts)
        return [joined, [words.tobytes() for words in spans]]

    def text_answers(self, texts, words=None):
        """Answers texts, in the graph.

        Args:
            texts: (batch,) string.
            words: (batch,) string: first byte and end of each word as int32, little-endian;
                default: the words that ``split_words`` finds.

        Returns:
            Ragged (batch, entities): ``label``, ``start``, ``end``, ``text`` and ``score``; with
            words also ``tags`` (batch, words); ``truncated`` int32 (batch,).
        """
        starts, ends = split_words(texts) if words is None else _unpacked(words)
        labels = self._tag_labels
        model = lambda ids: self(ids, training=False)  # noqa: E731
        pieces = pieces_of(self.text_preprocessor(), model, texts, len(self.labels))
        tagged = tags_of_words(pieces, texts, starts, ends, labels)
        answers = entities_of_words(tagged, texts, starts, ends, labels)
        if words is not None:
            answers["tags"] = starts.with_values(tag_names_of_words(tagged, labels))
            answers["joined"] = texts
        return {**answers, "truncated": pieces.truncated}

    def read_answer(self, answer):
        """Python values: a dict per entity."""
        columns = ("label", "start", "end", "text", "score")
        rows = zip(*(answer[name].tolist() for name in columns), strict=True)
        entities = [
            {
                "label": _decoded(label),
                "start": start,
                "end": end,
                "text": _decoded(text),
                "score": s,
            }
            for label, start, end, text, s in rows
        ]
        if "tags" not in answer:
            return {"entities": entities}
        tags = [_decoded(tag) or None for tag in answer["tags"].tolist()]
        return {"entities": entities, "tags": tags, "text": _decoded(answer["joined"])}

    # Words.

    def _known_tags(self, place, words, tags):
        """A text's tags in the scheme of the labels."""
        try:
            numbers = self._tag_labels.numbers(tags)
        except KeyError as error:
            (word,) = error.args
            where = f"Example {place}, word {word} ({words[word]!r})"
            raise self._tag_labels.problem(word, tags[word], where) from None
        return [self.labels[number] for number in numbers]

    def _joined(self, texts):
        """Texts of lists of words, and where the words are, in bytes."""
        joined = [join_words(words, self.joiner) for words in texts]
        return [text for text, _ in joined], [word_bytes(spans, text) for text, spans in joined]

    def _words_of_texts(self, texts, entities):
        """Plain texts, where their words are in bytes, and the numbers of the words' labels.

        An entity that begins or ends inside of a word divides it.
        """
        starts, ends = split_words(string_tensor(texts))
        spans, numbers = [], []
        for place, (text, marked) in enumerate(zip(texts, entities, strict=True)):
            words = np.stack([starts[place].numpy(), ends[place].numpy()], axis=1)
            marked = [(label, *word_bytes([span], text)[0].tolist()) for label, *span in marked]
            words = _divided(words, {border for _, *span in marked for border in span})
            first = [np.searchsorted(words[:, 0], (start, end)) for _, start, end in marked]
            within = [(m[0], *map(int, f)) for m, f in zip(marked, first, strict=True)]
            try:
                numbers.append(self._tag_labels.numbers_of_spans(within, len(words)))
            except KeyError as error:
                label = next((m for m in within if m[1] <= error.args[0] < m[2]), ("O",))[0]
                raise self._tag_labels.problem(0, label, f"Example {place}") from None
            spans.append(words.astype(np.int32))
        return texts, spans, numbers

    # Data.

    def _note_pairs(self, pairs):
        """Nothing: several strings of an example are its words."""

    def _training_dataset(self, x, y, batch_size):
        return super()._training_dataset(*_materialised(x, y), batch_size)

    def _labelled_data(self, x, y=None, batch_size=None):
        return super()._labelled_data(*_materialised(x, y), batch_size)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "labels": list(self.labels),
            "label_pieces": self.label_pieces,
            "joiner": self.joiner,
        }


def _unpacked(words):
    """Starts and ends of words as ``strings`` packs them: ragged int32 (batch, words)."""
    flat = tf.io.decode_raw(tf.strings.reduce_join(words), tf.int32)
    spans = tf.reshape(flat, (-1, 2))
    counts = tf.cast(tf.strings.length(words) // 8, tf.int64)
    starts = tf.RaggedTensor.from_row_lengths(spans[:, 0], counts, validate=False)
    return starts, starts.with_values(spans[:, 1])


def _divided(words, borders):
    """Words (words, 2), each cut in two at the borders inside of it."""
    inside = np.array(sorted(borders), words.dtype)
    word = np.searchsorted(words[:, 1], inside, side="right")
    starts = np.append(words[:, 0], np.iinfo(words.dtype).max)
    inside = inside[starts[word] < inside]
    return np.stack([np.sort(np.append(words[:, i], inside)) for i in (0, 1)], axis=1)


def _entity(label, start, end):
    return {"label": label, "start": start, "end": end}


def _span_of(entity):
    return entity["label"], entity["start"], entity["end"]


def _decoded(text):
    return text.decode("utf-8", "replace")


def _materialised(x, y):
    """A dataset of (words, tags) as lists; anything else as it is."""
    if not isinstance(x, tf.data.Dataset) or not is_texts(x):
        return x, y
    if x.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("The dataset never ends: take so many examples of it, dataset.take(...).")
    if any(isinstance(spec, tf.RaggedTensorSpec) for spec in tf.nest.flatten(x.element_spec)):
        x = x.unbatch()
    return list(x.as_numpy_iterator()), y
