"""Byte-level BPE in plain Python, as an oracle: slow, and as close to the rules as can be.

The rules are GPT-2's: its pattern splits text into words, the bytes of a word are spelt with
printable characters, and then the pair with the best rank is merged, leftmost first, one at a time.
Python's `re` knows neither letters nor numbers, so the pattern is followed by hand.
"""

import itertools
import unicodedata


def alphabet():
    """Byte -> character, as GPT-2's `bytes_to_unicode` makes it."""
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    kept += range(ord("®"), ord("ÿ") + 1)
    moved = [byte for byte in range(256) if byte not in kept]
    return {b: chr(b) for b in kept} | {b: chr(256 + n) for n, b in enumerate(moved)}


ALPHABET = alphabet()


def tokens_of(merges):
    """A vocabulary: RoBERTa's special tokens at their places, all other tokens sorted."""
    made = {merge.replace(" ", "") for merge in merges}
    return ["<s>", "<pad>", "</s>", "<unk>", *sorted({*ALPHABET.values(), *made}), "<mask>"]


class ReferenceBytePair:
    """ids and byte spans of a text, for one vocabulary."""

    def __init__(self, tokens, merges, add_prefix_space=False, trim_offsets=True, unk="<unk>"):
        self.ids = {token: index for index, token in enumerate(tokens)}
        self.ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}
        self.add_prefix_space = add_prefix_space
        self.trim_offsets = trim_offsets
        self.unk = unk
        self.known = {}

    def __call__(self, text):
        """`text` is str; returns [(id, first byte, end byte)]."""
        added = self.add_prefix_space and text != "" and not text.startswith(" ")
        spans, place = [], 0
        data = (" " * added + text).encode()
        for word in words(" " * added + text):
            for token in self.merged(word):
                start, end = place, place + len(token)
                place = end
                if self.trim_offsets:
                    spaces = len(token) - len(token.lstrip("Ġ"))
                    if start == 0 and self.add_prefix_space and spaces:
                        spaces -= 1
                    start += spaces
                    end = max(start, end - (len(token) - len(token.rstrip("Ġ"))))
                elif end == added:  # the space put there stands for the first character
                    end += added
                while start < len(data) and data[start] & 0xC0 == 0x80:
                    start -= 1
                while end < len(data) and data[end] & 0xC0 == 0x80:
                    end += 1
                id_ = self.ids.get(token, self.ids[self.unk])
                spans.append((id_, max(start - added, 0), max(end - added, 0)))
        return spans

    def merged(self, word):
        """The tokens of a word."""
        if word not in self.known:
            self.known[word] = self.merge([ALPHABET[byte] for byte in word.encode()])
        return self.known[word]

    def merge(self, parts):
        while True:
            pairs = list(itertools.pairwise(parts))
            ranks = [self.ranks.get(pair, len(self.ranks)) for pair in pairs]
            if not ranks or min(ranks) == len(self.ranks):
                return parts
            place = ranks.index(min(ranks))
            parts = [*parts[:place], parts[place] + parts[place + 1], *parts[place + 2 :]]


def kind(c):
    if c.isspace() and c not in "\x1c\x1d\x1e\x1f":
        return "blank"
    return {"L": "letter", "N": "number"}.get(unicodedata.category(c)[0], "other")


def words(text):
    """Where GPT-2's pattern matches, one match after the other.

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+
    """
    kinds = [kind(c) for c in text]
    place = 0
    while place < len(text):
        end = word_end(text, kinds, place)
        yield text[place:end]
        place = end


def word_end(text, kinds, place):
    for contraction in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d"):
        if text.startswith(contraction, place):
            return place + len(contraction)
    first = place + (text[place] == " ")
    if first < len(text) and kinds[first] != "blank":
        return run_end(kinds, first)
    end = run_end(kinds, place)
    # Before a word, the last of several blanks is left over.
    return end - 1 if end < len(text) and end - place > 1 else end


def run_end(kinds, place):
    end = place
    while end < len(kinds) and kinds[end] == kinds[place]:
        end += 1
    return end
