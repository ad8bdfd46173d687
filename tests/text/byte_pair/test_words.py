"""GPT-2's words, and where they may be cut further."""

import itertools
import random
from collections import defaultdict

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.text.byte_pair.model import check_merges, living_merges, token_bytes
from keras_bert.text.byte_pair.words import character_table, split_words
from tests.text import fuzz
from tests.text.byte_pair.reference import words
from tests.text.byte_pair.test_tokenizer import MERGES, TOKENS, WORDS, of_known_characters

CUT = 4


@pytest.fixture(scope="module")
def table():
    return character_table(map(token_bytes, living_merges(TOKENS, check_merges(MERGES))))


def split(texts, table):
    pages, numbers = table
    rows = split_words(tf.constant([t.encode() for t in texts]), pages, numbers).to_list()
    return [[word.decode() for word in row] for row in rows]


def without_cuts(table):
    return table[0] & ~np.uint16(CUT), table[1]


BY_HAND = [
    "it's 'tis we're they'll I'd've rock'n'roll O'Neill's",
    "'s's 's 'sabc ''s !'s '''s 's1 's! '",
    "a  b   c \t d\t\te \n f  ",
    "  ",
    " ",
    "",
    "\u3000\u3000a \u3000 b\u3000",
    "x1½Ⅷ٣ a_b-c…?! 中文，字。'll 中's",
    "'l 'r 'v 're 'r e's",
    "a'",
    "a'l",
]


@pytest.mark.parametrize("batch", [1, 1000])
def test_words_are_those_of_the_pattern(table, batch):
    texts = [*BY_HAND, *fuzz.strings("words", 1500, WORDS), *fuzz.split_trouble("w", 3000, WORDS)]
    texts = of_known_characters(texts)
    if batch == 1:
        texts = texts[:200]
    for first in range(0, len(texts), batch):
        part = texts[first : first + batch]
        assert split(part, without_cuts(table)) == [list(words(text)) for text in part]


def test_no_texts(table):
    assert split(["", ""], table) == [[], []]
    assert split_words(tf.zeros([0], tf.string), *table).shape == (0, None)


def test_cuts_are_added_to_words(table):
    texts = [*BY_HAND, "中文很好 ドラゴン 裏覚醒の魔 龍喚士ㅋㅋ", *fuzz.strings("cuts", 500, WORDS)]
    for text, fine, coarse in zip(
        texts, split(texts, table), split(texts, without_cuts(table)), strict=True
    ):
        assert "".join(fine) == "".join(coarse) == text
        ends, more = (set(itertools.accumulate(map(len, row))) for row in (coarse, fine))
        assert ends <= more
    assert split(["中文北京 a"], table) == [["中", "文", "北", "京", " a"]]


def test_no_token_goes_on_across_a_cut(table):
    codes = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    ending, beginning = defaultdict(list), defaultdict(list)
    for character in map(chr, codes):
        encoded = character.encode()
        for count in range(1, len(encoded) + 1):
            beginning[encoded[:count]].append(character)
            if len(encoded) == 3:
                ending[encoded[-count:]].append(character)
    rng = random.Random(4)
    pairs = []
    for token in map(token_bytes, living_merges(TOKENS, check_merges(MERGES))):
        for place in range(1, len(token)):
            if token[place] & 0xC0 == 0x80:
                continue
            going_on = list(token[place : place + 4].decode("utf-8", "ignore")[:1])
            going_on = going_on or beginning[token[place:]]
            lefts = ending[token[max(0, place - 3) : place]]
            if lefts and going_on:
                pairs += [rng.choice(lefts) + rng.choice(going_on) for _ in range(20)]
    assert len(pairs) > 1000
    assert split(pairs, table) == split(pairs, without_cuts(table))


def test_most_chinese_characters_are_words(table):
    rng = random.Random(5)
    texts = ["".join(chr(rng.randrange(0x4E00, 0x9FA6)) for _ in range(50)) for _ in range(200)]
    assert 0.97 * 10_000 < sum(map(len, split(texts, table))) < 10_000


def test_where_no_cut_is_made(table):
    pages, numbers = table
    codes = np.arange(0x110000)
    cuts = pages[numbers[codes >> 8], codes & 255] & CUT > 0
    assert not cuts[:0x800].any() and not cuts[0x10000:].any() and not cuts[0xD800:0xE000].any()
