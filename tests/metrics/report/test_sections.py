"""What the sections of each task say, against numbers worked out by hand."""

import itertools
import time

import numpy as np
import pytest

from keras_bert.metrics import MacroF1
from keras_bert.metrics.report import (
    classification_sections,
    entity_sections,
    multi_label_sections,
    question_sections,
    regression_sections,
    tag_sections,
    word_places,
)
from keras_bert.metrics.report.entities import compared
from keras_bert.metrics.report.lengths import interval, length_groups
from keras_bert.metrics.report.page import page
from keras_bert.metrics.report.sections import number, percent
from tests.metrics.report.pages import classification, read


def by_title(sections, title):
    return next(section for section in sections if section.title == title)


# One label per text.

TEXTS = ["good film", "bad film", "so so", "great", "awful", "fine"]
GOLD = ["good", "bad", "mixed", "good", "bad", "good"]
LABELS = ["bad", "good", "mixed"]
PROBABILITIES = np.array(
    [
        [0.1, 0.8, 0.1],
        [0.7, 0.2, 0.1],
        [0.5, 0.3, 0.2],  # mixed as bad
        [0.9, 0.1, 0.0],  # good as bad
        [0.6, 0.2, 0.2],
        [0.2, 0.5, 0.3],
    ]
)


@pytest.fixture
def sections():
    return classification_sections(TEXTS, GOLD, PROBABILITIES, LABELS)


def test_scores_of_labels(sections):
    scores = sections[0].scores
    assert scores["accuracy"] == pytest.approx(4 / 6)
    metric = MacroF1(3)
    metric.update_state([LABELS.index(label) for label in GOLD], PROBABILITIES)
    assert scores["macro_f1"] == pytest.approx(float(metric.result()), abs=1e-6)
    assert scores["cross_entropy"] == pytest.approx(-np.log([0.8, 0.7, 0.2, 0.1, 0.6, 0.5]).mean())


def test_confusions(sections):
    matrix = by_title(sections, "Confusion matrix")
    assert matrix.labels == LABELS
    np.testing.assert_array_equal(matrix.counts, [[2, 0, 0], [1, 2, 0], [1, 0, 0]])
    rows = by_title(sections, "Largest confusions").rows
    assert [row[:3] for row in rows] == [["good", "bad", 1], ["mixed", "bad", 1]]
    assert read(rows[0][4]).text == "great"


def test_worst_errors_are_the_surest(sections):
    cards = by_title(sections, "Worst errors").cards
    assert [read(card.text).text for card in cards] == ["great", "so so"]
    assert "predicted bad 90.0" in read(cards[0].head).text


def test_table_of_labels(sections):
    rows = by_title(sections, "Labels").rows
    assert [row[0] for row in rows] == LABELS
    assert rows[0][2:6] == pytest.approx([2, 4, 0.5, 1.0])
    assert np.isnan(rows[2][4]) and rows[2][5] == 0  # never predicted


def test_no_error():
    sections = classification_sections(["a", "b"], ["x", "y"], np.eye(2), ["x", "y"])
    assert by_title(sections, "Worst errors").cards == []
    text = read(page("T", sections)).text
    assert "No text got a wrong label." in text and "There is no error to show." in text


def test_a_label_that_the_model_never_saw():
    sections = classification_sections(["a", "b"], ["x", "new"], np.eye(2), ["x", "y"])
    assert sections[0].scores["accuracy"] == 0.5
    assert np.isfinite(sections[0].scores["cross_entropy"])
    assert by_title(sections, "Confusion matrix").counts.shape == (3, 3)
    assert "new unknown to the model" in read(page("T", sections)).text


def test_many_labels_are_a_map_and_few_curves():
    labels = [f"label <{i}>" for i in range(77)]
    sections = classification(["text"] * 600, labels)
    body = by_title(sections, "Confusion matrix").body()
    wrong = np.count_nonzero(by_title(sections, "Confusion matrix").counts)
    assert read(body).tags.count("rect") == wrong
    assert "label <3> rightly: " in read(body).text
    legend = by_title(sections, "Curves").figures[0].legend
    assert len(legend) == 1 + 5 + 1 and "the other" in read(legend[-1]).text
    read(page("T", sections))


def test_more_labels_than_a_map_takes():
    sections = classification(["text"] * 300, [str(i) for i in range(250)])
    text = read(by_title(sections, "Confusion matrix").body()).text
    assert "the 100 labels with the most errors out of 250" in text


def test_given_scores_come_first_and_replace_ours():
    scores = classification_sections(
        TEXTS, GOLD, PROBABILITIES, LABELS, {"mcc": 0.5, "accuracy": 0.9}
    )[0].scores
    assert list(scores)[:2] == ["mcc", "accuracy"] and scores["accuracy"] == 0.9


@pytest.mark.parametrize(
    ("texts", "gold", "probabilities", "message"),
    [
        ([], [], np.zeros((0, 3)), "one at least; received 0 texts"),
        (["a"], [], np.zeros((1, 3)), "received 1 texts, 0 labels, 1 rows"),
        (["a"], ["bad"], np.zeros((1, 2)), r"of 3 labels; received shape \(1, 2\)"),
    ],
)
def test_what_does_not_fit_together(texts, gold, probabilities, message):
    with pytest.raises(ValueError, match=message):
        classification_sections(texts, gold, probabilities, LABELS)


# Any number of labels per text.


def test_multi_label():
    gold = [{"a", "b"}, set(), {"b"}]
    probabilities = [[0.9, 0.2], [0.1, 0.3], [0.6, 0.8]]
    sections = multi_label_sections(["one", "two", "three"], gold, probabilities, ["a", "b"])
    scores = sections[0].scores
    assert scores["all labels right"] == pytest.approx(1 / 3)
    assert scores["wrong decisions"] == pytest.approx(2 / 6)
    assert scores["micro_f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert by_title(sections, "Labels").rows[0][1:5] == [1, 2, 0, 1]
    cards = by_title(sections, "Worst errors").cards
    assert [read(card.text).text for card in cards] == ["one", "three"]
    assert "missed b 20.0" in read(cards[0].head).text
    chosen = multi_label_sections(
        ["one", "two", "three"], gold, probabilities, ["a", "b"], predicted=gold
    )
    assert chosen[0].scores["micro_f1"] == 1


def test_multi_label_without_any_label():
    sections = multi_label_sections(["a"], [[]], [[0.1, 0.2]], ["x", "y"])
    assert np.isnan(sections[0].scores["macro_f1"])
    assert "A curve needs texts" in read(page("T", sections)).text


def test_multi_label_names_what_it_does_not_know():
    with pytest.raises(ValueError, match="Example 1 has the unknown gold label 'z'"):
        multi_label_sections(["a", "b"], [["x"], ["z"]], np.zeros((2, 1)), ["x"])
    with pytest.raises(ValueError, match=r"shape \(1, 2\).* received \(1, 1\)"):
        multi_label_sections(["a"], [[]], [[0.5]], ["x", "y"])


# Numbers.


def test_regression():
    sections = regression_sections(
        ["a", "b", "c"], [1.0, 2.0, 3.0], [1.5, 2.0, 1.0], {"pearson": 0.5}
    )
    assert sections[0].scores == pytest.approx(
        {
            "pearson": 0.5,
            "mean_absolute_error": 2.5 / 3,
            "root_mean_squared_error": (4.25 / 3) ** 0.5,
            "mean of predicted − gold": -0.5,
        }
    )
    cards = by_title(sections, "Worst errors").cards
    assert [read(card.text).text for card in cards] == ["c", "a"]
    assert "difference -2" in read(cards[0].head).text


def test_many_values_are_drawn_as_density():
    gold = np.random.default_rng(1).random(30_000)
    sections = regression_sections(["t"] * len(gold), gold, gold**2)
    assert len(page("T", sections)) < 1_500_000
    assert "Darker is more texts." in read(page("T", sections)).text


def test_values_that_are_none():
    with pytest.raises(ValueError, match="finite values"):
        regression_sections(["a"], [np.nan], [1.0])
    with pytest.raises(ValueError, match="received 1 texts"):
        regression_sections(["a"], [1.0, 2.0], [1.0])


# Entities.


def entity(label, start, end, score=None):
    found = {"label": label, "start": start, "end": end}
    return found if score is None else {**found, "score": score}


@pytest.mark.parametrize(
    ("gold", "predicted", "outcomes"),
    [
        ([("A", 0, 5)], [("A", 0, 5)], (["right"], ["right"])),
        ([("A", 0, 5)], [("B", 0, 5)], (["wrong label"], ["wrong label"])),
        ([("A", 0, 5)], [("A", 0, 4)], (["wrong bounds"], ["wrong bounds"])),
        ([("A", 0, 5)], [("B", 3, 9)], (["wrong label and bounds"],) * 2),
        ([("A", 0, 5)], [("A", 5, 9)], (["missed"], ["false alarm"])),
        ([("A", 0, 5)], [], (["missed"], [])),
        ([], [("A", 0, 5)], ([], ["false alarm"])),
        # What is right is not what another one is compared with.
        ([("A", 0, 5)], [("A", 0, 5), ("B", 0, 3)], (["right"], ["right", "false alarm"])),
        ([("A", 0, 5)] * 2, [("A", 0, 5)], (["right", "missed"], ["right"])),
    ],
)
def test_what_becomes_of_entities(gold, predicted, outcomes):
    sides = compared([entity(*e) for e in gold], [entity(*e) for e in predicted])
    assert tuple([item.outcome for item in side] for side in sides) == tuple(outcomes)


def test_entities():
    texts = ["Ann lives in Rome", "Bo likes Paris"]
    gold = [[entity("PER", 0, 3), entity("LOC", 13, 17)], [entity("PER", 0, 2)]]
    predicted = [[entity("PER", 0, 3, 0.9)], [entity("PER", 0, 2), entity("LOC", 9, 14, 0.8)]]
    sections = entity_sections(texts, gold, predicted)
    assert sections[0].scores == pytest.approx({"f1": 2 / 3, "precision": 2 / 3, "recall": 2 / 3})
    matrix = by_title(sections, "Confusion matrix")
    assert matrix.labels == ["LOC", "PER", "(no entity)"]
    np.testing.assert_array_equal(matrix.counts, [[0, 0, 1], [0, 2, 0], [1, 0, 0]])
    cards = by_title(sections, "Worst errors").cards
    assert "Rome" in read(cards[1].text).text and "LOC · missed" in read(cards[1].text).text
    assert "LOC 80.0\u202f% · false alarm" in read(cards[0].text).text
    mistakes = by_title(sections, "Frequent mistakes").rows
    assert [read(row[0]).text for row in mistakes] == ["Rome", "Paris"]


def test_ten_thousand_mistakes_in_one_text_are_counted():
    gold = [[entity("A", 3 * i, 3 * i + 2) for i in range(10_000)]]
    found = [[entity("A", 3 * i, 3 * i + 1) for i in range(10_000)]]
    started = time.perf_counter()
    sections = entity_sections(["ab " * 10_000], gold, found)
    assert time.perf_counter() - started < 20  # minutes, if each were compared with all others
    card = by_title(sections, "Worst errors").cards[0]
    assert "10,000 × wrong bounds" in read(card.head).text
    assert "more marks not shown" in read(card.text).text and len(card.text) < 500_000


def test_no_entities_at_all():
    sections = entity_sections(["nothing"], [[]], [[]])
    assert np.isnan(sections[0].scores["f1"])
    assert "There is no entity" in read(page("T", sections)).text
    with pytest.raises(ValueError, match="received 2 texts, 1 and 2 lists"):
        entity_sections(["a", "b"], [[]], [[], []])


def test_both_lines_of_a_long_text_show_the_same_part():
    text = "." * 50_000 + "Rome" + "." * 50_000
    card = by_title(
        entity_sections([text], [[entity("LOC", 50_000, 50_004)]], [[]]), "Worst errors"
    ).cards[0]
    assert read(card.text).text.count("Rome") == 2
    assert read(card.text).text.count("100,004 characters in all") == 2


# Questions.


def test_questions():
    contexts = ["Ann lives in Rome.", "Bo left.", "It rains.", "No.", "Tea or coffee"]
    gold = [
        [{"text": "Rome", "start": 13}, {"text": "in Rome", "start": 10}],
        [],
        [{"text": "rains", "start": 3}],
        [],
        [{"text": "Tea", "start": 0}],
    ]
    answers = [("Ann", 0, 3), ("left", 3, 7), ("", None, None), ("", None, None), ("Tea", 0, 3)]
    predicted = [
        {"text": t, "start": s, "end": e, "score": 0.9 - 0.1 * i}
        for i, (t, s, e) in enumerate(answers)
    ]
    predicted[0]["n_best"] = [
        predicted[0],
        {"text": "Rome", "score": 0.05},
        {"text": "", "score": 0},
    ]
    exact, f1 = [0, 0, 0, 1, 1], [0, 0, 0, 1, 1]
    sections = question_sections(["Where?"] * 5, contexts, gold, predicted, exact, f1)
    assert sections[0].scores == pytest.approx({"exact_match": 40, "f1": 40})
    kinds = {row[0]: row[1] for row in by_title(sections, "Kinds of outcome").rows}
    assert kinds == {
        "right": 2,
        "partly right": 0,
        "wrong": 1,
        "needless answer": 1,
        "answer missed": 1,
    }
    cards = by_title(sections, "Worst errors").cards
    assert len(cards) == 3
    assert '<mark class="predicted">Ann</mark>' in cards[0].text
    assert '<mark class="gold">in </mark><mark class="gold">Rome</mark>' in cards[0].text
    assert "no answer" in read(cards[0].text).text
    assert by_title(sections, "By first word of the question").rows[0][:2] == ["where?", 5]
    assert by_title(sections, "Calibration")
    sure = question_sections(
        ["Where?"] * 5, contexts, gold, [{**p, "probability": 0.25} for p in predicted], exact, f1
    )
    assert "left25.0" in read(by_title(sure, "Worst errors").cards[1].text).text
    assert by_title(sure, "Calibration").figures
    scores = {"exact": 1.0}
    logits = [{**p, "score": 12.5} for p in predicted]
    sections = question_sections(["Where?"] * 5, contexts, gold, logits, exact, f1, scores)
    assert sections[0].scores == scores
    assert "Calibration" not in [section.title for section in sections]


def test_gold_answers_that_overlap_have_one_note():
    context = "only three divisions, or just three"
    gold = [
        {"text": text, "start": context.index(text)}
        for text in ("only three divisions", "three", "three divisions", "just three")
    ]
    answer = {"text": "or", "start": 22, "end": 24}
    sections = question_sections(["?"], [context], [gold], [answer], [0], [0])
    shown = read(by_title(sections, "Worst errors").cards[0].text).text
    assert "only three divisionsgold, orpredicted just threegold" in shown


def test_questions_that_do_not_fit_together():
    with pytest.raises(ValueError, match=r"received 1 questions and \[1, 1, 1, 1, 2\]"):
        question_sections(["q"], ["c"], [[]], [{"text": ""}], [1], [1, 1])


# Tags.


def test_tags():
    words = [["I", "can", "can"], ["no"], []]
    gold = [["PRON", "AUX", "VERB"], ["INTJ"], []]
    sections = tag_sections(words, gold, [["PRON", "AUX", "AUX"], [None], []], {"kappa": 0.1})
    assert sections[0].scores["accuracy"] == 0.5 and sections[0].scores["kappa"] == 0.1
    matrix = by_title(sections, "Confusion matrix")
    assert matrix.labels == ["(no tag)", "AUX", "INTJ", "PRON", "VERB"]
    assert matrix.counts[4].tolist() == [0, 1, 0, 0, 0]
    assert [row[1:] for row in by_title(sections, "Frequent mistakes").rows] == [
        ["VERB", "AUX", 1],
        ["INTJ", "(no tag)", 1],
    ]
    card = by_title(sections, "Worst errors").cards[0]
    # The second "can", not the first.
    assert read(card.text).text == "I can cangold VERB · predicted AUX"
    read(page("T", sections))


def test_tags_that_do_not_fit_together():
    with pytest.raises(ValueError, match="Text 1 has 1 words, 2 gold tags and 1 predicted ones"):
        tag_sections([["a"], ["b"]], [["X"], ["X", "Y"]], [["X"], ["X"]])
    with pytest.raises(ValueError, match="one word at least; received 1 texts"):
        tag_sections([[]], [[]], [[]])


def test_places_of_words():
    assert word_places("北京大学", ["北京", "大学"]) == [(0, 2), (2, 4)]
    with pytest.raises(ValueError, match="The word 'b' is not in 'a b' behind character 3"):
        word_places("a b", ["a", "b", "b"])


# Lengths and numbers.


def test_groups_of_lengths():
    lengths = np.random.default_rng(1).integers(1, 1000, 500)
    groups = length_groups(lengths)
    assert len(groups) == 6 and sum(len(places) for _, _, places in groups) == 500
    for (_, high, places), (low, _, _) in itertools.pairwise(groups):
        assert high < low and lengths[places].max() == high and len(places) > 60
    assert len(length_groups([5] * 10)) == 1
    assert len(length_groups([5])) == 1


def test_interval():
    # Newcombe 1998, table I: 81 of 263 by Wilson's method.
    assert interval([True] * 81 + [False] * 182) == "25.5\u202f% to 36.6\u202f%"
    assert interval([True]).endswith("100\u202f%") and interval([False]).startswith("0\u202f%")


def test_percent_and_number():
    assert percent(0.99999) == ">99.9\u202f%" and percent(0.00001) == "<0.1\u202f%"
    assert percent(1.0) == "100\u202f%" and percent(0.5) == "50.0\u202f%"
    assert number(np.float32(0.12345)) == "0.1235" and number(-3.0) == "-3.0000"
