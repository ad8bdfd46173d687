import random

import numpy as np
import pytest

from keras_bert.text.double_array import (
    build_double_array,
    close_to_zero_bytes,
    double_array_items,
    double_array_value,
)


def random_items(seed, count):
    rng = random.Random(seed)
    keys = {bytes(rng.choices(range(1, 256), k=rng.randint(1, 4))) for _ in range(count)}
    return {key: rng.choice([1, 2, rng.randrange(2**31)]) for key in keys}


@pytest.mark.parametrize("count", [1, 2, 50, 3000])
def test_holds_the_items_and_nothing_else(count):
    items = random_items(count, count)
    units = build_double_array(items)
    assert dict(double_array_items(units)) == items
    assert all(double_array_value(units, key) == value for key, value in items.items())
    for key in random_items(-1, 3000).keys() - items.keys():
        assert double_array_value(units, key) is None


def test_a_key_may_continue_another():
    items = {b"a": 5, b"ab": 6, b"abc": 5, b"b": 0}
    units = build_double_array(items)
    assert dict(double_array_items(units)) == items
    assert double_array_value(units, b"bc") is None


def test_order_of_items_does_not_matter():
    items = random_items(3, 500)
    backwards = dict(reversed(items.items()))
    np.testing.assert_array_equal(build_double_array(items), build_double_array(backwards))


def test_equal_branches_are_stored_once():
    branches = {bytes([a, b]): 7 for a in range(1, 200) for b in range(128, 192)}
    assert len(branches) == 199 * 64
    assert len(build_double_array(branches)) <= 1024


def test_zero_bytes_lead_nowhere():
    for items in ({b"a": 1, b"ab": 2, b"\x01": 3}, {b"\xe4\xb8\xad": 7}, {b"b": 1, b"\xff\x80": 2}):
        units = close_to_zero_bytes(build_double_array(items))
        assert dict(double_array_items(units)) == items
        for key in (b"", *items, b"a", b"\xe4"):
            for text in (key + b"\0", key + b"\0a", b"\0" + key, b"\0\0" + key):
                if text not in (b"", *items) and b"\0" in text:
                    assert double_array_value(units, text) is None


def test_items_up_to_a_length():
    units = build_double_array({b"a": 1, b"ab": 2, b"abc": 3, b"b": 4})
    short = dict(double_array_items(units, ends=lambda prefix: len(prefix) == 2))
    assert short == {b"a": 1, b"ab": 2, b"b": 4}
