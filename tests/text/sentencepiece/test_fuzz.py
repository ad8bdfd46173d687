"""Random text beside the `sentencepiece` package, with ALBERT's preparation of text in Python."""

import itertools
import unicodedata

import pytest
import sentencepiece

from keras_bert.text import SentencePieceTokenizer
from keras_bert.text.sentencepiece.model import parse_model
from keras_bert.text.unicode_tables import UNICODE_VERSION
from tests.text import fuzz
from tests.text.sentencepiece.test_tokenizer import NAMES, read_rows

BATCH = 1000


class Reference:
    """Ids by `sentencepiece`; for ALBERT of text prepared as Hugging Face's tokenizer does.

    Source: `AlbertConverter` of transformers: quotes, NFKD, no category M, lower-casing, split at
    white space; no piece ends in a digit and a comma.
    """

    def __init__(self, folder, albert):
        self._albert = albert
        (path,) = folder.iterdir()
        model = parse_model(path.read_bytes())
        self.scores = [piece.score for piece in model.pieces]
        if albert:
            for piece in model.pieces:
                if piece.piece[-1:] == "," and piece.piece[-2:-1].isdigit():
                    piece.score -= 100
        else:
            # `<s>`, `<pad>`, `</s>`, `<unk>` first, the others one further on.
            self.scores = [0.0, *self.scores[:3], *self.scores[3:], 0.0]
        self._processor = sentencepiece.SentencePieceProcessor(
            model_proto=model.SerializeToString()
        )

    def __call__(self, texts):
        if self._albert:
            return self._processor.encode([self._prepared(text) for text in texts])
        rows = self._processor.encode(texts)
        return [[3 if index == 0 else index + 1 for index in row] for row in rows]

    def _prepared(self, text):
        text = text.replace("``", '"').replace("''", '"')
        text = unicodedata.normalize("NFKD", text)
        text = "".join(c.lower() for c in text if unicodedata.category(c)[0] != "M")
        # Split at, but after the model's own map, which deletes some.
        kept = [c for c in set(text) if c.isspace() and c in self._processor.normalize(f"a{c}b")]
        return text.translate(dict.fromkeys(map(ord, kept), " "))


def compare(tokenizer, reference, texts):
    """(texts that differ, those of them whose two ways to cut are equally likely)."""
    wrong, ties = [], 0
    for first in range(0, len(texts), BATCH):
        batch = texts[first : first + BATCH]
        found = tokenizer.tokenize(batch).to_list()
        for text, ids, wanted in zip(batch, found, reference(batch), strict=True):
            if ids != wanted:
                scores = [sum(reference.scores[index] for index in row) for row in (ids, wanted)]
                same_text = tokenizer.detokenize([ids, wanted]).numpy()
                is_tie = abs(scores[0] - scores[1]) < 1e-3 and same_text[0] == same_text[1]
                ties += is_tie
                wrong += [] if is_tie else [(text, ids, wanted)]
    return wrong, ties


def strings(name, seed, count, tokenizer):
    words = [piece.replace("\u2581", "") for piece in tokenizer.vocabulary]
    texts = fuzz.strings(f"{name} {seed}", count, words)
    if unicodedata.unidata_version != UNICODE_VERSION:
        known = [all(unicodedata.category(c) != "Cn" for c in text) for text in texts]
        texts = list(itertools.compress(texts, known))
    return texts


@pytest.fixture(scope="module")
def references(spiece_folders):
    return {name: Reference(spiece_folders[name], name == "albert") for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_reference_agrees_with_golden_ids(references, name):
    rows = read_rows(name)
    assert references[name]([row["s"] for row in rows]) == [row["ids"] for row in rows]


@pytest.mark.parametrize("name", NAMES)
def test_fuzz(spieces, references, name):
    texts = strings(name, "fuzz", 20_000, spieces[name])
    wrong, ties = compare(spieces[name], references[name], texts)
    assert not wrong, f"{len(wrong)} of {len(texts)} differ: {wrong[:3]}"
    assert ties < len(texts) / 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_fuzz_at_length(spieces, references, name):
    for seed in range(20):
        texts = strings(name, f"long {seed}", 50_000, spieces[name])
        wrong, ties = compare(spieces[name], references[name], texts)
        assert not wrong, f"{len(wrong)} of {len(texts)} differ: {wrong[:3]}"
        assert ties < len(texts) / 1000


def test_a_wrong_tokenizer_would_be_found(spieces, references):
    # The same model without ALBERT's preparation of text.
    other = SentencePieceTokenizer(parse_model(spieces["albert"]._model))
    wrong, _ = compare(other, references["albert"], ["Ünlike", "a b", "``a''", "no"])
    assert [text for text, *_ in wrong] == ["Ünlike", "``a''"]
