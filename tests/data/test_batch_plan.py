"""What a plan says of batches is what the batches hold."""

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.batch_plan import BatchPlan, batch_sizes
from keras_bert.data.batching import TokenizedTexts, length_grouped_batches
from keras_bert.data.masked_rows import MaskedRows
from keras_bert.data.packed_rows import PackedRows
from keras_bert.data.text_groups import TextGroups
from keras_bert.text.masking import TokenMasking

WORDS = ["good", "bad", "very", "the card is late", "where", "service and food"]
RANDOM = np.random.default_rng(4)
TEXTS = [" ".join(RANDOM.choice(WORDS, RANDOM.integers(1, 12))) for _ in range(23)]
PAIRS = [(text, TEXTS[-1 - i]) for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint):
    return kb.Tokenizer.from_pretrained(str(tiny_checkpoint))


def preprocessor(tokenizer, **options):
    return kb.Preprocessor(tokenizer, seq_length=24, **options)


KINDS = {
    "texts": lambda t: TokenizedTexts(preprocessor(t), TEXTS, np.zeros(23)),
    "pairs": lambda t: TokenizedTexts(preprocessor(t), PAIRS, np.zeros(23)),
    "windows": lambda t: PackedRows(preprocessor(t, stride=6), [TEXTS]),
    "masked": lambda t: MaskedRows(preprocessor(t), TEXTS, TokenMasking(t, seed=1)),
    "columns": lambda t: TextGroups(
        preprocessor(t), [("good", text) for text in TEXTS], targets=np.zeros(23), columns=True
    ),
    "choices": lambda t: TextGroups(
        preprocessor(t), [TEXTS[i : i + 2 + i % 2] for i in range(20)], TEXTS[:20]
    ),
}


def masks(ids):
    parts = ids if isinstance(ids, tuple) else (ids,)
    return [part["input_mask"].numpy() for part in parts]


@pytest.mark.filterwarnings("ignore::keras_bert.data.batching.TruncationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_sizes_are_those_of_the_batches(tokenizer, kind):
    rows = KINDS[kind](tokenizer)
    batches = length_grouped_batches(rows.lengths, 4, seed=3)
    sizes = batch_sizes(rows, batches)
    elements = list(rows.dataset(lambda: batches))
    assert len(elements) == len(sizes.examples) > 4
    assert (sizes.positions > sizes.tokens).any()
    for place, element in enumerate(elements):
        ids = element[0] if isinstance(element, tuple) and len(element) == 2 else element
        found = masks(ids)
        assert sizes.examples[place] == len(found[0])
        assert sizes.tokens[place] == sum(mask.sum() for mask in found)
        assert sizes.positions[place] == sum(mask.size for mask in found)


@pytest.mark.filterwarnings("ignore::keras_bert.data.batching.TruncationWarning")
def test_columns_are_packed_apart_here(tokenizer):
    assert KINDS["columns"](tokenizer).apart and not KINDS["choices"](tokenizer).apart


def test_rows_and_texts(tokenizer):
    rows = KINDS["windows"](tokenizer)
    calls = []

    def batches(number):
        calls.append(number)
        return length_grouped_batches(rows.lengths, 4, seed=number)

    plan = BatchPlan(rows, batches, TEXTS)
    assert sorted(plan.rows(1, 0, 99)) == list(range(len(rows)))
    some = plan.rows(1, 2, 3)
    np.testing.assert_array_equal(some, np.concatenate(batches(1)[2:4]))
    assert plan.texts_of(some) == [TEXTS[rows.source[row]] for row in some]
    assert len(plan.rows(1, 90, 99)) == 0
    plan.sizes(1), plan.batches(1)
    assert calls.count(1) == 2  # one of them the test's own


def test_no_batches():
    class Rows:
        lengths = np.zeros(0, np.int32)

    assert len(batch_sizes(Rows, []).tokens) == 0


def test_lost_questions_keep_the_others_numbers(tiny_checkpoint):
    model = kb.BertSpanLabeler.from_pretrained(str(tiny_checkpoint))
    texts = [("where?", "the card is late"), ("who?", "good food"), ("what?", "bad service")]
    labels = [["card"], ["no such words"], ["service"]]
    with pytest.warns(UserWarning):
        rows = model.labelled_rows(*model.read_labelled(list(zip(texts, labels, strict=True))))
    plan = BatchPlan(rows, lambda number: [np.arange(len(rows))], texts)
    assert set(plan.texts_of(np.arange(len(rows)))) == {texts[0], texts[2]}
    assert isinstance(rows.targets, dict | tuple) or tf.is_tensor(rows.targets)
