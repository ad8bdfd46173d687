"""Tokenizers to be written: each kind, with options that are not the usual ones."""

import functools
import lzma

from keras_bert.text import (
    AddedToken,
    BytePairTokenizer,
    SentencePieceTokenizer,
    WordPieceTokenizer,
)
from tests.text.byte_pair.reference import tokens_of
from tests.text.conftest import FOLDER, SMALL, read_tokens

BYTE_PAIR = FOLDER.parent / "byte_pair"
ADDED = [
    AddedToken("covid-19"),
    AddedToken("Café", lstrip=True, normalized=False),
    AddedToken("york", rstrip=True, single_word=True),
    AddedToken("<user>", special=True, rstrip=True),
]
# The special tokens by other names, one of them with options of its own.
RENAMED = {"[UNK]": "<?>", "[CLS]": "<a>", "[SEP]": "<z>", "[PAD]": "<0>", "[MASK]": "<m>"}
NAMES = dict(zip(("unk", "cls", "sep", "pad", "mask"), RENAMED.values(), strict=True))
NAMES = {f"{key}_token": name for key, name in NAMES.items()}


@functools.cache
def merges():
    content = lzma.open(BYTE_PAIR / "merges.txt.xz").read().decode("utf-8")
    return [line for line in content.split("\n") if line and not line.startswith("#version")]


def roberta(**options):
    return BytePairTokenizer(tokens_of(merges()), merges(), **options)


def modern(**options):
    """As ModernBERT: special tokens behind the vocabulary."""
    names = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
    keys = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")
    added = [
        AddedToken("  "),
        AddedToken("|||EMAIL|||", normalized=False),
        *(AddedToken(name, special=True, lstrip=name == "[MASK]") for name in names),
    ]
    return BytePairTokenizer(
        tokens_of(merges())[4:-1],
        merges(),
        normalization="NFC",
        separators_between=1,
        added_tokens=added,
        **dict(zip(keys, names, strict=True)),
        **options,
    )


def spieces(name, **options):
    model = lzma.open(FOLDER / "sentencepiece" / f"{name}.model.xz").read()
    return SentencePieceTokenizer(model, **options)


ALBERT = {"straight_quotes": True, "strip_accents": True, "lower_case": True}

CASES = {
    "wordpiece": lambda: WordPieceTokenizer(read_tokens("uncased"), model_max_length=512),
    "wordpiece_cased": lambda: WordPieceTokenizer(read_tokens("zh"), lower_case=False),
    "wordpiece_options": lambda: WordPieceTokenizer(
        read_tokens("uncased"),
        strip_accents=False,
        tokenize_chinese_chars=False,
        # In the order of their ids, as they are read: "york" is a token already.
        added_tokens=[ADDED[2], *ADDED[:2], ADDED[3]],
    ),
    "wordpiece_names": lambda: WordPieceTokenizer(
        [RENAMED.get(token, token) for token in SMALL],
        strip_accents=True,
        lower_case=False,
        added_tokens=[AddedToken("<m>", lstrip=True, special=True), AddedToken("lost")],
        **NAMES,
    ),
    "byte_pair": lambda: roberta(model_max_length=512),
    "byte_pair_prefix": lambda: roberta(
        add_prefix_space=True, trim_offsets=False, separators_between=1, segment_types=True
    ),
    "byte_pair_added": lambda: roberta(add_prefix_space=True, added_tokens=ADDED),
    "byte_pair_modern": modern,
    "fairseq": lambda: spieces("xlmr", fairseq_ids=True, model_max_length=512),
    "fairseq_added": lambda: spieces(
        "xlmr", fairseq_ids=True, added_tokens=ADDED, segment_types=True
    ),
    "fairseq_japanese": lambda: spieces("ja", fairseq_ids=True),
    "albert": lambda: spieces("albert", **ALBERT),
    "albert_cased": lambda: spieces(
        "albert", straight_quotes=True, strip_accents=True, added_tokens=ADDED
    ),
    "spieces": lambda: spieces("albert", separators_between=2),
}
