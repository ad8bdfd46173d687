"""Answers from the beams of windows, by another reading of run_squad.py and by hand."""

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.layers import BeamSpanHead
from keras_bert.models.beam_decoding import Beams, answer_mask, beam_answers, beams_of
from keras_bert.models.span_decoding import own_tokens
from keras_bert.models.windows import in_chunks
from keras_bert.text.question_windows import QuestionWindows
from tests.models.xlnet_texts import xlnet_tokenizer

WORDS = "moon red street was quiet teacher nothing said laughed over".split()
LONGEST = 3


@pytest.fixture(scope="module")
def windows():
    preprocessor = kb.Preprocessor(
        xlnet_tokenizer(), seq_length=20, stride=5, truncation="only_first"
    )
    return QuestionWindows(preprocessor, 4)


@pytest.fixture(scope="module")
def contexts():
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, count)) for count in (3, 30, 1, 12, 22, 2, 5, 8)]
    return [*texts, "", "é 中文 😀 moon"]


def softmax(logits):
    shares = np.exp(logits.astype(np.float64) - logits.max())
    return shares / shares.sum()


def reference(head, hidden, packed, rows, context, starts, ends):
    """The spans of one question, the best first, and the least logit of no answer."""
    mask = answer_mask(packed).numpy()
    in_text, own = (x.numpy() for x in own_tokens(packed, int(packed["window_source"][-1]) + 1))
    length = hidden.shape[1]
    spans, last_resort, nulls = [], [], []
    for row in rows:
        part, of_row = (np.repeat(x[row][None], length, axis=0) for x in (hidden, mask))
        given = {k: v.numpy() for k, v in head(part, of_row, np.arange(length)).items()}
        nulls.append(float(head(part[:1], of_row[:1])["cls_logits"][0]))
        begin = softmax(given["start_logits"][0])
        finish = [softmax(logits) for logits in given["end_logits"]]
        allowed = [
            (i, j)
            for i in np.flatnonzero(own[row])
            for j in range(i, min(i + LONGEST, length))
            if in_text[row, j]
        ]
        beams = {
            (i, j)
            for i in np.argsort(-begin, kind="stable")[:starts]
            for j in np.argsort(-finish[i], kind="stable")[:ends]
        }
        score = {(i, j): np.log(begin[i]) + np.log(finish[i][j]) for i, j in allowed}
        spans += [(score[i, j], row, i, j) for i, j in allowed if (i, j) in beams]
        if allowed:
            best = max((i for i, _ in allowed), key=lambda i: begin[i])
            last_resort.append(max((score[i, j], row, i, j) for i, j in allowed if i == best))
    found = []
    for value, row, i, j in sorted(spans or last_resort, reverse=True):
        first, behind = packed["starts"][row, i], packed["ends"][row, j]
        text = context.encode()[first:behind].decode().strip()
        if text and text not in [each[1] for each in found]:
            found.append((value, text))
    return found, min(nulls), bool(spans)


@pytest.mark.parametrize(("starts", "ends"), [(1, 1), (3, 2), (5, 5)])
def test_answers_are_the_references(windows, contexts, starts, ends):
    questions = ["who", "what was red", "why"] * 3 + ["a"]
    packed = windows((questions, contexts))
    random = np.random.default_rng(starts)
    head = BeamSpanHead(starts, ends)
    head.build((None, None, 6))
    head.set_weights([random.normal(size=weight.shape) for weight in head.get_weights()])
    rows, length = packed["input_word_ids"].shape
    hidden = random.normal(size=(rows, length, 6)).astype(np.float32)
    in_text, own = own_tokens(packed, len(contexts))
    masks = {"answer_mask": answer_mask(packed), "in_text": in_text, "own": own}

    @tf.function(autograph=False)
    def answered():
        def some(part):
            return beams_of(head, part.pop("hidden"), part, LONGEST)

        beams = in_chunks(some, {"hidden": tf.constant(hidden), **masks}, 4, Beams.specs())
        return beam_answers(beams, packed, tf.constant(contexts), LONGEST, n_best=50)

    answers = answered()
    resorts = 0
    for number, context in enumerate(contexts):
        of_question = np.flatnonzero(packed["window_source"].numpy() == number)
        wanted, null, has_beams = reference(
            head, hidden, packed, of_question, context, starts, ends
        )
        resorts += bool(wanted) and not has_beams
        assert float(answers["no_answer_score"][number]) == pytest.approx(null, abs=1e-5)
        texts = [text.decode() for text in answers["n_best_text"][number].numpy()]
        assert texts == ([text for _, text in wanted] or [""])
        if not wanted:
            continue
        np.testing.assert_allclose(
            answers["n_best_score"][number], [score for score, _ in wanted], atol=1e-4
        )
        spans = zip(
            answers["n_best_start"][number].numpy(),
            answers["n_best_end"][number].numpy(),
            strict=True,
        )
        assert [context[i:j] for i, j in spans] == texts
    assert resorts or starts > 1


def packed_by_hand():
    """Two questions of a window each: ``ab cd ef <sep> ? <sep> <cls>``, and one token less."""
    segments = [[1, 1, 1, -1, 0, -1, -1], [-1, 1, 1, -1, 0, -1, -1]]
    starts = [[0, 3, 6, 0, 0, 0, 0], [0, 0, 3, 0, 0, 0, 0]]
    ends = [[2, 5, 8, 0, 1, 0, 0], [0, 2, 5, 0, 1, 0, 0]]
    mask = [[1] * 7, [0] + [1] * 6]
    packed = {"input_segments": segments, "starts": starts, "ends": ends, "input_mask": mask}
    packed |= {"window_source": [0, 1], "window_start": [0, 0]}
    return {name: tf.constant(values, tf.int32) for name, values in packed.items()}


def beams_by_hand(no_answer):
    """Of the first question "ab" and "cd ef"; of the second the class token, and an end before
    its start."""
    return Beams(
        tf.constant([[0, 1], [6, 2]]),
        tf.constant([[0.5, 0.25], [0.75, 0.125]]),
        tf.constant([[0, 2, 6, 4], [6, 1, 2, 0]]),
        tf.constant([[0.5, 0.5, 0.25, 0.0], [1.0, 0.5, 0.0, 0.0]]),
        tf.constant(no_answer),
        tf.constant([0, 1]),
        tf.constant([0, 2]),
        tf.constant([-9.0, -3.0]),
    )


def test_by_hand():
    answers = beam_answers(
        beams_by_hand([-2.0, 1.0]), packed_by_hand(), tf.constant(["ab cd ef", "ab cd"])
    )
    assert [list(texts) for texts in answers["n_best_text"].numpy()] == [
        [b"ab", b"cd ef"],
        [b"ab cd"],
    ]
    np.testing.assert_allclose(answers["score"], [np.log(0.25), -3.0], rtol=1e-6)
    np.testing.assert_allclose(answers["n_best_probability"][0], [2 / 3, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(answers["no_answer_score"], [-2.0, 1.0])


def test_no_answer_is_an_answer_where_it_may_be():
    def texts(no_answer, **options):
        answers = beam_answers(
            beams_by_hand(no_answer),
            packed_by_hand(),
            tf.constant(["ab cd ef", "ab cd"]),
            **options,
        )
        return list(answers["text"].numpy()), answers

    assert texts([9.0, 9.0])[0] == [b"ab", b"ab cd"]
    # log 0.25 is -1.39, and the second one's score is -3.
    assert texts([-2.0, -2.0], allow_no_answer=True)[0] == [b"ab", b""]
    found, answers = texts([-2.0, -2.0], allow_no_answer=True, null_threshold=2.0)
    assert found == [b"ab", b"ab cd"]
    # No answer has the odds exp(-2), the spans what is left: 0.25 and 0.125 of it.
    weights = np.array([0.25, np.exp(-2.0), 0.125])
    np.testing.assert_allclose(answers["n_best_probability"][0], weights / weights.sum(), rtol=1e-5)


def test_what_the_head_chooses_among(windows):
    packed = windows((["who was it"], ["the moon rose"]))
    mask = answer_mask(packed).numpy()
    pieces = xlnet_tokenizer().tokenize(["the moon rose"])[0].shape[0]
    assert mask.tolist() == [[True] * pieces + [False] * (mask.shape[1] - pieces - 1) + [True]]
