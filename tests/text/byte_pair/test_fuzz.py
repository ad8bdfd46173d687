"""Random text beside Hugging Face's `tokenizers`: ids, and spans in characters."""

import itertools
import random
import unicodedata

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from keras_bert.text.byte_pair.model import token_bytes
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
    seed = f"{variant} {seed}"
    texts = fuzz.strings(seed, count - 2 * (count // 3), WORDS)
    texts += fuzz.split_trouble(seed, count // 3, WORDS)
    texts += joined(seed, count // 3)
    return [*filter(composed_by_all, texts)] if variant == "nfc" else texts


def whole(token):
    """The text of a token, None for a part of a character."""
    try:
        return token_bytes(token).decode("utf-8")
    except UnicodeDecodeError:
        return None


FOREIGN = [text for text in map(whole, TOKENS) if text and max(text) > "\u07ff"]


def joined(seed, count):
    """Tokens and characters of other scripts in a row, for cuts between characters."""
    rng = random.Random(seed)
    ranges = [(0x4E00, 0x9FFF), (0x3040, 0x30FF), (0xAC00, 0xD7A3), (0xFF01, 0xFF60)]
    # Whole tokens, parts of them, and characters whose last bytes are those of a part.
    parts = [*FOREIGN, *itertools.chain(*FOREIGN)]
    for _ in range(count):
        ends = rng.choice([0x88, 0x91, 0x9A, 0xB6, None])
        row = rng.choices(parts, k=rng.randint(0, 4))
        for _ in range(rng.randint(1, 6)):
            code = rng.randint(*rng.choice(ranges))
            row.append(chr(code if ends is None else code & ~0x3F | ends & 0x3F))
        rng.shuffle(row)
        yield "".join(row)


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
