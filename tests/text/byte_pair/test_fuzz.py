"""Random text beside Hugging Face's `tokenizers`: ids, and spans in characters."""

import unicodedata

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tests.text import fuzz
from tests.text.byte_pair.test_tokenizer import MERGES, TOKENS, VARIANTS, WORDS, tokenizers

__all__ = ["tokenizers"]  # a fixture

BATCH = 1000


@pytest.fixture(scope="module")
def references():
    """Variant -> Hugging Face's tokenizer."""
    return {name: hugging_face(**options) for name, options in VARIANTS.items()}


def hugging_face(add_prefix_space=False, trim_offsets=True, normalization=None):
    ids = {token: index for index, token in enumerate(TOKENS)}
    found = Tokenizer(models.BPE(ids, [tuple(merge.split(" ")) for merge in MERGES]))
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    ends = [(token, ids[token]) for token in ("</s>", "<s>")]
    found.post_processor = processors.RobertaProcessing(*ends, trim_offsets, add_prefix_space)
    found.decoder = decoders.ByteLevel()
    if normalization:
        found.normalizer = normalizers.NFC()
    return found


def composed_by_all(text):
    """Whether no mark is younger than the tables that Hugging Face composes with."""
    old = unicodedata.ucd_3_2_0
    return all(not unicodedata.combining(c) or old.category(c) != "Cn" for c in text)


def compare(tokenizer, reference, texts, spans):
    """The texts that differ."""
    wrong = []
    # A batch with NUL or U+0011 goes another way than one without.
    texts = sorted(texts, key=lambda text: "\0" in text or "\x11" in text)
    for first in range(0, len(texts), BATCH):
        batch = texts[first : first + BATCH]
        wanted = reference.encode_batch(batch, add_special_tokens=False)
        ids = tokenizer.tokenize(batch).to_list()
        wrong += [(t, i, w.ids) for t, i, w in zip(batch, ids, wanted, strict=True) if i != w.ids]
        if spans:
            same, *found = tokenizer.tokenize_with_offsets(batch, unit="characters")
            assert same.to_list() == ids
            for text, *span, one in zip(batch, *(x.to_list() for x in found), wanted, strict=True):
                if list(zip(*span, strict=True)) != one.offsets:
                    wrong.append((text, span, one.offsets))
    return wrong


def strings(variant, seed, count):
    texts = fuzz.strings(f"{variant} {seed}", count - count // 2, WORDS)
    texts += fuzz.split_trouble(f"{variant} {seed}", count // 2, WORDS)
    return [*filter(composed_by_all, texts)] if variant == "nfc" else texts


@pytest.mark.parametrize("variant", VARIANTS)
def test_fuzz(tokenizers, references, variant):
    texts = strings(variant, "fuzz", 20_500)
    assert len(texts) > 20_000
    # Where composing changed a text, spans are ours: all that was changed together.
    wrong = compare(tokenizers[variant], references[variant], texts, spans=variant != "nfc")
    assert not wrong, f"{len(wrong)} of {len(texts)} differ: {wrong[:3]}"


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_fuzz_at_length(tokenizers, references, variant):
    for seed in range(20):
        texts = strings(variant, f"long {seed}", 51_000)
        wrong = compare(tokenizers[variant], references[variant], texts, spans=False)
        assert not wrong, f"{len(wrong)} of {len(texts)} differ: {wrong[:3]}"
