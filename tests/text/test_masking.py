"""Hidden tokens: how many, which, and what becomes of them; by count and against a loop."""

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.text.masking import TokenMasking, fill, uniforms

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrst"]
WORDS += ["##" + letter for letter in "abcdefghijklmno"]
FIRST = 5


@pytest.fixture(scope="module")
def tokenizer():
    return kb.WordPieceTokenizer(WORDS)


def rows_of(lengths, seed=0, left=False):
    """Rows of random tokens between [CLS] and [SEP], padded on one side."""
    random = np.random.default_rng(seed)
    ids, mask = (np.zeros((len(lengths), max(lengths)), np.int32) for _ in range(2))
    for row, length in enumerate(lengths):
        place = slice(-length, None) if left else slice(0, length)
        tokens = random.integers(FIRST, len(WORDS), length)
        tokens[[0, -1]] = 2, 3
        ids[row, place], mask[row, place] = tokens, 1
    return {"input_word_ids": ids, "input_mask": mask}


def chosen_of(masked):
    """A set of (position, id) for each row."""
    names = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
    columns = (masked[name].numpy().tolist() for name in names)
    return [
        {(p, i) for p, i, w in zip(*row, strict=True) if w} for row in zip(*columns, strict=True)
    ]


@pytest.mark.parametrize("rate, most", [(0.15, None), (0.15, 5), (0.5, 20), (1.0, None)])
def test_as_many_as_the_paper_says(tokenizer, rate, most):
    lengths = list(range(2, 130))
    ids = rows_of(lengths)
    masked = TokenMasking(tokenizer, rate, most)(ids, np.arange(len(lengths)))
    for length, chosen, row in zip(lengths, chosen_of(masked), ids["input_word_ids"], strict=True):
        wanted = min(most or length, max(1, round(length * rate)), length - 2)
        assert len(chosen) == wanted, length
        assert all(row[place] == original for place, original in chosen)
        assert all(0 < place < length - 1 for place, _ in chosen)
    positions, weights = masked["masked_lm_positions"], masked["masked_lm_weights"]
    assert positions.shape[1] == weights.numpy().sum(1).max()
    assert not positions.numpy()[weights.numpy() == 0].any()


def test_the_rest_is_as_it_was(tokenizer):
    ids = rows_of([30] * 50)
    ids["input_type_ids"] = ids["input_mask"] * 7
    masked = TokenMasking(tokenizer)(ids, np.arange(50))
    changed = masked["input_word_ids"].numpy() != ids["input_word_ids"]
    for row, chosen in enumerate(chosen_of(masked)):
        assert set(np.flatnonzero(changed[row])) <= {place for place, _ in chosen}
    assert masked["input_type_ids"] is ids["input_type_ids"]


def test_shares(tokenizer):
    """80 % masked, 10 % any token of all, 10 % kept; every place as often as every other."""
    length, count = 42, 4000
    ids = rows_of([length] * count)
    masked = TokenMasking(tokenizer)(ids, np.arange(count))
    before, after = ids["input_word_ids"], masked["input_word_ids"].numpy()
    places = np.zeros((count, length), bool)
    for row, chosen in enumerate(chosen_of(masked)):
        places[row, [place for place, _ in chosen]] = True
    total = places.sum()
    assert total == count * round(length * 0.15)
    is_mask, same = after[places] == 4, after[places] == before[places]
    # A random token is the mask token, or the one that stood there, now and then.
    size = len(WORDS)
    error = 4 * np.sqrt(0.25 / total)
    assert is_mask.mean() == pytest.approx(0.8 + 0.1 / size, abs=error)
    assert same.mean() == pytest.approx(0.1 + 0.1 / size, abs=error)
    anything = after[places][~is_mask & ~same]
    counts = np.bincount(anything, minlength=size)
    assert (counts > 0).all() or set(np.flatnonzero(counts == 0)) == {4}
    expected = total * 0.1 / size
    assert np.abs(np.delete(counts, 4) - expected).max() < 5 * np.sqrt(expected)
    per_place = places.sum(0)[1:-1]
    expected = total / (length - 2)
    assert np.abs(per_place - expected).max() < 5 * np.sqrt(expected)
    # Neighbours are not chosen together more often than by chance.
    both = (places[:, 1:-2] & places[:, 2:-1]).mean()
    assert both == pytest.approx(6 / 40 * 5 / 39, rel=0.05)


@pytest.mark.parametrize("whole_word", [False, True])
def test_a_row_is_masked_alike_whatever_is_beside_it(tokenizer, whole_word):
    masking = TokenMasking(tokenizer, whole_word=whole_word, rate=0.3)
    lengths = [12, 40, 25]
    together = masking(rows_of(lengths), [7, 8, 9])
    lone = {name: value[2:, :25] for name, value in rows_of(lengths).items()}
    alone = masking(lone, [9])
    assert chosen_of(alone)[0] == chosen_of(together)[2]
    assert np.array_equal(alone["input_word_ids"][0], together["input_word_ids"][2, :25])
    left = masking(rows_of(lengths, left=True), [7, 8, 9])
    pairs = zip(lengths, chosen_of(together), strict=True)
    moved = [{(place + 40 - n, i) for place, i in chosen} for n, chosen in pairs]
    assert chosen_of(left) == moved


def test_keys_and_seeds_make_a_difference(tokenizer):
    row = {name: np.repeat(value, 3, 0) for name, value in rows_of([60]).items()}
    masking = TokenMasking(tokenizer)
    first, again, other = chosen_of(masking(row, [0, 0, 1]))
    assert first == again != other
    assert chosen_of(TokenMasking(tokenizer, seed=1)(row, [0, 0, 1]))[0] != first


def by_a_loop(tokens, draws, wanted):
    """Places chosen by google-research/bert's rule, words in the order of their first draws."""
    words = []
    for place, token in enumerate(tokens):
        if token in (0, 2, 3):
            words.append([])
        elif words and words[-1] and WORDS[token].startswith("##"):
            words[-1].append(place)
        else:
            words.append([place])
    chosen = set()
    for word in sorted(filter(None, words), key=lambda word: draws[word[0]]):
        if len(chosen) >= wanted:
            break
        if len(chosen) + len(word) <= wanted:
            chosen |= set(word)
    return chosen


@pytest.mark.parametrize("rate", [0.15, 0.5])
def test_whole_words_as_by_a_loop(tokenizer, rate):
    random = np.random.default_rng(1)
    lengths = random.integers(2, 60, 80).tolist()
    ids = rows_of(lengths, seed=2)
    masked = TokenMasking(tokenizer, rate, whole_word=True, seed=4)(ids, np.arange(80))
    draws = uniforms(np.arange(80), ids["input_mask"] > 0, seed=4).numpy()
    skipped = 0
    for row, chosen in enumerate(chosen_of(masked)):
        wanted = max(1, round(lengths[row] * rate))
        expected = by_a_loop(ids["input_word_ids"][row, : lengths[row]], draws[row], wanted)
        assert {place for place, _ in chosen} == expected
        skipped += len(expected) < min(wanted, lengths[row] - 2)
    assert skipped > 0  # words that were too long


def test_draws_are_uniform():
    draws = uniforms(np.arange(500), np.ones((500, 100), bool), seed=3).numpy()
    assert 0 <= draws.min() and draws.max() < 1
    counts = np.histogram(draws, 50, (0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 90  # chi-square of 49, less than 1 in 1000 above
    for other in (
        uniforms(np.arange(1, 501), np.ones((500, 100), bool), seed=3).numpy(),
        uniforms(np.arange(500), np.ones((500, 100), bool), seed=3, what=1).numpy(),
        uniforms(np.arange(500), np.ones((500, 100), bool), seed=4).numpy(),
        np.roll(draws, 1, axis=1),
        np.roll(draws, 1, axis=0),
    ):
        assert abs(np.corrcoef(draws.ravel(), other.ravel())[0, 1]) < 0.02


def test_in_a_graph(tokenizer):
    ids, masking = rows_of([9, 30]), TokenMasking(tokenizer, whole_word=True)
    spec = tf.TensorSpec((None, None), tf.int32)
    function = tf.function(masking, autograph=False).get_concrete_function(
        {name: spec for name in ids}, tf.TensorSpec((None,), tf.int64)
    )
    tensors = {name: tf.constant(value) for name, value in ids.items()}
    expected = masking(ids, [1, 2])
    for name, value in function(tensors, tf.constant([1, 2], tf.int64)).items():
        assert np.array_equal(value, expected[name])


def test_nothing_to_hide(tokenizer):
    masked = TokenMasking(tokenizer)(rows_of([2, 2]), [0, 1])
    assert masked["masked_lm_weights"].numpy().tolist() == [[0], [0]]


def test_bad_options(tokenizer):
    for rate in (0, 1.5):
        with pytest.raises(ValueError, match="expected a share above 0"):
            TokenMasking(tokenizer, rate)
    with pytest.raises(ValueError, match="max_predictions=0"):
        TokenMasking(tokenizer, max_predictions=0)
    with pytest.raises(ValueError, match="lacks the mask token"):
        TokenMasking(kb.WordPieceTokenizer([w for w in WORDS if w != "[MASK]"]))


def test_filled_texts(tokenizer):
    def filled(text, number, token):
        return fill(tokenizer, text, number, WORDS.index(token))

    assert filled("A [MASK], é [MASK].", 1, "b") == "A [MASK], é b."
    assert filled("A [MASK], é [MASK].", 0, "##b") == "Ab, é [MASK]."
    assert filled("[MASK]", 0, "[SEP]") == "[SEP]"
    assert filled("x  [MASK]  y", 0, "a") == "x  a  y"


def test_filled_texts_where_the_token_brings_the_blank(fixtures):
    folder = fixtures / "fill_mask" / "roberta"
    tokenizer = kb.Tokenizer.from_pretrained(str(folder))

    def filled(text, token):
        return fill(tokenizer, text, 0, tokenizer.vocabulary.index(token))

    for text in ("I <mask>.", "I<mask>."):
        assert filled(text, "Ġsee") == "I see."
        assert filled(text, "see") == "Isee."
    assert filled("<mask> it", "Ġsee") == "see it"
    assert "\N{REPLACEMENT CHARACTER}" in filled("a <mask>", "Ģ")
