"""What tests of XLNet on text share."""

import functools
import lzma
from pathlib import Path

import keras

import keras_bert as kb
from keras_bert.text.sentencepiece.model import parse_model

SPIECES = Path(__file__).resolve().parents[1] / "fixtures" / "text" / "sentencepiece"
NAMES = {"[CLS]": "<cls>", "[SEP]": "<sep>", "[MASK]": "<mask>"}


@functools.cache
def xlnet_tokenizer():
    """A SentencePiece tokenizer of 4,000 pieces, with the special tokens that XLNet's has."""
    model = parse_model(lzma.open(SPIECES / "albert.model.xz").read())
    for piece in model.pieces:
        piece.piece = NAMES.get(piece.piece, piece.piece)
    return kb.SentencePieceTokenizer(
        model, cls_token="<cls>", sep_token="<sep>", mask_token="<mask>", class_last=True
    )


def beam_span_labeler(seq_length=28, stride=6, seed=0, **fields):
    """A small BeamSpanLabeler over text, newly initialised; ``fields`` are of its config."""
    keras.utils.set_random_seed(seed)
    tokenizer = xlnet_tokenizer()
    sizes = {
        "hidden_size": 16,
        "num_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "initializer_range": 0.2,
        "dropout_rate": 0.0,
        "attention_dropout_rate": 0.0,
    }
    config = kb.XLNetConfig(
        vocab_size=tokenizer.vocabulary_size, pad_token_id=tokenizer.pad_id, **{**sizes, **fields}
    )
    preprocessor = kb.Preprocessor(
        tokenizer, seq_length=seq_length, stride=stride, truncation="only_first"
    )
    return kb.BeamSpanLabeler(kb.XLNetEncoder(config), preprocessor)
