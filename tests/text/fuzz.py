"""Random strings that look for trouble, the same ones in every run."""

import random
import unicodedata

# First and last code points of Unicode blocks, and how much a block matters.
BLOCKS = [
    (0x0020, 0x007E, 6), (0x0000, 0x001F, 1), (0x007F, 0x00FF, 3), (0x0100, 0x024F, 3),
    (0x0250, 0x02FF, 1), (0x0300, 0x036F, 2), (0x0370, 0x03FF, 3), (0x0400, 0x052F, 2),
    (0x0530, 0x05FF, 1), (0x0600, 0x06FF, 2), (0x0700, 0x08FF, 1), (0x0900, 0x0DFF, 2),
    (0x0E00, 0x0FFF, 2), (0x1000, 0x10FF, 1), (0x1100, 0x11FF, 1), (0x1200, 0x13FF, 1),
    (0x1400, 0x17FF, 1), (0x1800, 0x1CFF, 1), (0x1D00, 0x1DFF, 1), (0x1E00, 0x1FFF, 3),
    (0x2000, 0x206F, 4), (0x2070, 0x214F, 1), (0x2150, 0x218F, 1), (0x2190, 0x2BFF, 1),
    (0x2C00, 0x2E7F, 1), (0x2E80, 0x2FFF, 1), (0x3000, 0x303F, 3), (0x3040, 0x30FF, 2),
    (0x3100, 0x33FF, 1), (0x3400, 0x4DFF, 1), (0x4E00, 0x9FFF, 3), (0xA000, 0xABFF, 1),
    (0xAC00, 0xD7FF, 2), (0xE000, 0xF8FF, 1), (0xF900, 0xFAFF, 1), (0xFB00, 0xFDFF, 1),
    (0xFE00, 0xFE6F, 1), (0xFE70, 0xFEFF, 1), (0xFF00, 0xFFEF, 2), (0xFFF0, 0xFFFF, 1),
    (0x10000, 0x107FF, 1), (0x10800, 0x10FFF, 1), (0x11000, 0x12FFF, 1), (0x16000, 0x18FFF, 1),
    (0x1B000, 0x1CFFF, 1), (0x1D000, 0x1DFFF, 1), (0x1E000, 0x1EFFF, 1), (0x1F000, 0x1FFFF, 2),
    (0x20000, 0x2A6DF, 1), (0x2A6E0, 0x2CEFF, 1), (0x2CF00, 0x2FA2F, 1), (0x30000, 0x3134F, 1),
    (0xE0000, 0xE01EF, 1), (0xF0000, 0xF00FF, 1), (0x100000, 0x1000FF, 1),
]  # fmt: skip
TROUBLE = (
    "ΣΣΣσςΑαΌό'.:·’\u00ad\u200d\u200c\u200b\ufeff\u0301\u0345\u0308ʰªº İıiIẞßſ½…²™ﬁﬃ，。“”「」"
    "\0\x01\x7f\x85\u2028\u2029\u3000\u00a0\u1680\ufffd\t\n\r가각힣중中国豈\U00020000#$+<^`|~_[]"
    "\u0958\u0f43\u0e33\u30ac\u3099\U0001f600\U0001f468\ufe0f\ue000\ufdd0\uffff"
)


def characters(rng, count):
    """From a few neighbouring places of a few blocks."""
    blocks = rng.choices(BLOCKS, [b[2] for b in BLOCKS], k=3)
    while count > 0:
        first, last, _ = rng.choice(blocks)
        for _ in range(min(count, rng.randint(1, 5))):
            yield chr(rng.randint(first, last))
            count -= 1


def from_blocks(rng, _):
    return "".join(characters(rng, rng.randint(1, 24)))


def glued_words(rng, words):
    parts = []
    for _ in range(rng.randint(1, 5)):
        word = rng.choice(words)
        parts.append(
            rng.choice([word, word.upper(), word.title(), unicodedata.normalize("NFD", word)])
        )
        parts.append(rng.choice([" ", " ", "", "-", "'", rng.choice(TROUBLE)]))
    return "".join(parts)


def trouble(rng, _):
    return "".join(rng.choices(TROUBLE, k=rng.randint(1, 16)))


def sigmas(rng, _):
    return "".join(rng.choices("ΣΣΣΑβ .'\u0301\u00ad\0中1", k=rng.randint(2, 10)))


def sprinkled(rng, words):
    text = list(" ".join(rng.choices(words, k=4)))
    for _ in range(rng.randint(1, 4)):
        text.insert(
            rng.randint(0, len(text)), rng.choice([rng.choice(TROUBLE), *characters(rng, 1)])
        )
    return "".join(text)


GENERATORS = (from_blocks, glued_words, trouble, sigmas, sprinkled)


def strings(seed, count, tokens):
    """`count` strings without surrogates, from all generators in turn."""
    rng = random.Random(seed)
    words = [t.removeprefix("##") for t in tokens if t and not t.startswith("[")]
    made = (GENERATORS[i % len(GENERATORS)](rng, words) for i in range(count))
    return ["".join(c for c in s if not "\ud800" <= c <= "\udfff") for s in made]


def long_words(seed, count, letters):
    """Strings with words whose length is about the limit of 200 characters."""
    rng = random.Random(seed)
    for _ in range(count):
        length = rng.choice([198, 199, 200, 201, 202, 400, 66, 67, 68, 100, 101])
        word = "".join(rng.choices(rng.choice(letters), k=length))
        if rng.random() < 0.5:
            cut = rng.randint(0, length)
            word = word[:cut] + rng.choice(" .中é\u0301\u200d，") + word[cut:]
        yield rng.choice(["", "a ", "中", "x."]) + word + rng.choice(["", " b", "中", "."])


BLANKS = " \t\n\r\x0b\x0c\x1c\x1f\x85\u00a0\u1680\u180e\u2003\u200b\u2028\u202f\u3000\ufeff"
MARKS_AND_DIGITS = "'’!?.,-_¡…（，1234²½٣Ⅷ一\u0301\u0e33\u200d\ufe0f\U0001f600\U0001d7d8\0"
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'l", "'r", "’s", "''s", "'d've"]


def split_trouble(seed, count, words):
    """Strings for tokenizers that split at blanks, kinds of characters and contractions."""
    rng = random.Random(seed)
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 9)):
            kind = rng.random()
            if kind < 0.35:
                parts.append("".join(rng.choices(BLANKS, [12] + [1] * 17, k=rng.randint(1, 4))))
            elif kind < 0.55:
                parts.append("".join(rng.choices(MARKS_AND_DIGITS, k=rng.randint(1, 4))))
            elif kind < 0.75:
                parts.append(rng.choice(CONTRACTIONS))
            else:
                parts.append(rng.choice(words))
        yield "".join(parts)
