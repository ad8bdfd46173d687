"""A progress bar's text: what fits where, and how numbers look."""

import math
import re

import pytest

from keras_bert.training.runs.progress_text import (
    MARKS,
    Field,
    bar,
    duration,
    fitted,
    number,
    rate,
    wrapped,
)

FIELDS = [
    Field("Epoch 2/3", "2/3", 0),
    Field(" 312/1024", " 312/1024", 0),
    Field("loss 0.4312", "loss 0.4312", 1),
    Field("accuracy 0.8711", "accuracy 0.8711", 6),
    Field("412 examples/s", "412 ex/s", 3),
    Field("18.2k tokens/s", "18.2k tok/s", 4),
    Field("3.1% padding", "pad 3.1%", 5),
    Field("0:42 left, run 3:10", "left 0:42/3:10", 2),
]

#: Width → the line with half of the steps done.
LINES = {
    139: "Epoch 2/3  =========>.........   312/1024  loss 0.4312  accuracy 0.8711  "
    "412 examples/s  18.2k tokens/s  3.1% padding  0:42 left, run 3:10",
    99: "2/3 =====>...  312/1024 loss 0.4312 accuracy 0.8711 412 ex/s 18.2k tok/s pad 3.1% "
    "left 0:42/3:10",
    79: "2/3 ====>....  312/1024 loss 0.4312 412 ex/s 18.2k tok/s pad 3.1% left 0:42/3:10",
    59: "2/3 ====>....  312/1024 loss 0.4312 412 ex/s left 0:42/3:10",
    45: "2/3  312/1024  loss 0.4312  left 0:42/3:10",
    30: "2/3  312/1024 loss 0.4312",
    10: "Epoch 2/3",
    2: "2/",
}


@pytest.mark.parametrize("width", LINES)
def test_lines(width):
    line = fitted(FIELDS, width, MARKS["ascii"], 0.5)
    squeezed = [" ".join(re.sub("=*>[.]*", "BAR", x).split()) for x in (line, LINES[width])]
    assert squeezed[0] == squeezed[1]
    assert len(line) <= width


@pytest.mark.parametrize("share", [None, 0.0, 0.37, 1.0])
@pytest.mark.parametrize("marks", MARKS)
def test_never_wider_and_never_empty(marks, share):
    for width in range(1, 200):
        for count in range(1, len(FIELDS) + 1):
            line = fitted(FIELDS[:count], width, MARKS[marks], share)
            assert 0 < len(line) <= width and "\n" not in line


def test_bars():
    for width in (8, 13, 40):
        for share in (0.0, 0.001, 0.5, 0.999, 1.0):
            text = bar(share, width, MARKS["unicode"])
            assert len(text) == width
            assert text.count("━") == int(share * width)
    assert bar(0.0, 8, MARKS["ascii"]) == "........"
    assert bar(1.0, 8, MARKS["ascii"]) == "========"


def test_wrapping():
    texts = ["Epoch 1/3", *[f"val_score_{i} 0.5" for i in range(9)]]
    lines = wrapped(texts, 40).split("\n")
    assert all(len(line) <= 40 for line in lines)
    assert "  ".join(line.strip() for line in lines).split("  ") == texts
    assert wrapped(["a", "x" * 50, "b"], 20).split() == ["a", "x" * 50, "b"]  # nothing is lost


def test_numbers():
    cases = {
        *((0.43124, "0.4312"), (12.3456, "12.35"), (0, "0"), (-0.16013, "-0.1601")),
        *((0.000012345, "1.23e-05"), (123456.0, "1.23e+05"), (99999.0, "99999.00")),
        *((math.nan, "nan"), (-math.inf, "-inf"), ("text", "text"), (None, "None")),
    }
    assert all(number(value) == text for value, text in cases)


def test_rates_and_durations():
    rates = {
        0.123: "0.12",
        9.996: "10.0",
        99.96: "100",
        999.7: "1.00k",
        999_600: "1.00M",
        2e9: "2.00G",
    }
    assert {value: rate(value) for value in rates} == rates
    spans = {0: "0:00", 59.4: "0:59", 59.6: "1:00", 3599.7: "1:00:00", 86_399: "23:59:59"}
    spans |= {86_400: "1d 00:00", 100_000_000: "1157d 09:46"}
    assert {value: duration(value) for value in spans} == spans
