"""BERT's WordPiece in plain Python, as an oracle: slow, and as close to the rules as can be.

The rules are those of google-research/bert's `tokenization.py` (BasicTokenizer, then
WordpieceTokenizer), told in whole-string steps, where the package follows a table of characters.
Each character carries along where in the text it comes from, so spans fall out at the end.
"""

import unicodedata

CHINESE = [
    range(0x4E00, 0xA000),
    range(0x3400, 0x4DC0),
    range(0x20000, 0x2A6E0),
    range(0x2A700, 0x2B740),
    range(0x2B740, 0x2B820),
    range(0x2B820, 0x2CEB0),
    range(0xF900, 0xFB00),
    range(0x2F800, 0x2FA20),
]


class ReferenceWordPiece:
    """ids and spans of a text, for one vocabulary."""

    def __init__(self, tokens, lower_case, strip_accents=None, tokenize_chinese_chars=True):
        self.ids = {token: index for index, token in enumerate(tokens)}
        self.longest = max(map(len, self.ids))
        self.lower_case = lower_case
        self.strip_accents = lower_case if strip_accents is None else strip_accents
        self.tokenize_chinese_chars = tokenize_chinese_chars

    def __call__(self, text, unit="bytes", ends="tight"):
        """`text` is str; returns [(id, start, end)], as `tokenize_with_offsets` counts them."""
        places = byte_starts(text) if unit == "bytes" else range(len(text) + 1)
        words = list(self.words(text))
        kept = {i for word in words for _, i in word}
        kept |= {i for i, c in enumerate(text) if not is_deleted(c) and blank_or(c).isspace()}
        spans = []
        for word in words:
            for piece, characters in self.pieces(word):
                first, end = characters[0][1], characters[-1][1] + 1
                if ends == "loose":
                    while end < len(text) and end not in kept:
                        end += 1
                spans.append((self.ids[piece], places[first], places[end]))
        return spans

    def words(self, text):
        """The words, each a list of (character, index of the one in the text it comes from)."""
        cleaned = [(blank_or(c), i) for i, c in enumerate(text) if not is_deleted(c)]
        if self.tokenize_chinese_chars:
            cleaned = [x for pair in cleaned for x in set_apart(pair, is_chinese(pair[0]))]
        for word in split_at_blanks(cleaned):
            if self.lower_case:
                word = lowered(word)
            if self.strip_accents:
                word = without_accents(word)
            apart = [x for pair in word for x in set_apart(pair, is_punctuation(pair[0]))]
            yield from split_at_blanks(apart)

    def pieces(self, word):
        """Longest match first; [("[UNK]", word)] when some part matches nothing."""
        letters = "".join(c for c, _ in word)
        if len(letters) > 200:
            return [("[UNK]", word)]
        found, start = [], 0
        while start < len(letters):
            prefix = "##" if start else ""
            for end in range(min(len(letters), start + self.longest), start, -1):
                if prefix + letters[start:end] in self.ids:
                    break
            else:
                return [("[UNK]", word)]
            found.append((prefix + letters[start:end], word[start:end]))
            start = end
        return found


def byte_starts(text):
    starts = [0]
    for c in text:
        starts.append(starts[-1] + len(c.encode("utf-8")))
    return starts


def is_deleted(c):
    if c in "\t\n\r":
        return False
    return c in "\0\ufffd" or unicodedata.category(c) in ("Cc", "Cf")


def blank_or(c):
    return " " if c in " \t\n\r" or unicodedata.category(c) == "Zs" else c


def is_chinese(c):
    return any(ord(c) in codes for codes in CHINESE)


def is_punctuation(c):
    if 33 <= ord(c) <= 47 or 58 <= ord(c) <= 64 or 91 <= ord(c) <= 96 or 123 <= ord(c) <= 126:
        return True
    return unicodedata.category(c)[0] == "P"


def set_apart(pair, apart):
    return [(" ", None), pair, (" ", None)] if apart else [pair]


def split_at_blanks(pairs):
    word = []
    for pair in pairs:
        if not pair[0].isspace():
            word.append(pair)
        elif word:
            yield word
            word = []
    if word:
        yield word


def lowered(word):
    """`str.lower` of the whole word (a sigma at its end depends on it), with origins."""
    origins = [i for c, i in word for _ in c.lower()]
    letters = "".join(c for c, _ in word).lower()
    assert len(letters) == len(origins)
    return list(zip(letters, origins, strict=True))


def without_accents(word):
    decomposed = [(d, i) for c, i in word for d in unicodedata.normalize("NFD", c)]
    return [(d, i) for d, i in decomposed if unicodedata.category(d) != "Mn"]
