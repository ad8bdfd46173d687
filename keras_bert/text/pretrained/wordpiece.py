"""WordPiece tokenizers: `vocab.txt` or `tokenizer.json`, and the options of BERT's normaliser."""

from __future__ import annotations

import re
from typing import Any

from keras_bert.text.pretrained.folder import Contents, TokenizerFolder, ids_of, read_json
from keras_bert.text.vocabulary import looks_cased, read_vocabulary
from keras_bert.text.wordpiece import WordPieceTokenizer
from keras_bert.text.wordpiece.in_python import MAX_WORD_CHARACTERS

__all__ = ["FILES", "KIND", "contents", "load", "recognises"]

#: What is read and written here.
KIND = WordPieceTokenizer
(_VOCABULARY,) = FILES = ("vocab.txt",)
# Steps of tokenizer.json, and the mark of pieces inside a word.
_NORMALIZER, _PRE_TOKENIZER = "BertNormalizer", "BertPreTokenizer"
_CONTINUES = "##"
# Argument of ours -> its names in tokenizer_config.json and in tokenizer.json's normaliser.
_OPTIONS = {
    "lower_case": ("do_lower_case", "lowercase"),
    "strip_accents": ("strip_accents", "strip_accents"),
    "tokenize_chinese_chars": ("tokenize_chinese_chars", "handle_chinese_chars"),
}
# Hugging Face's tokenizer classes that are BERT's WordPiece, "Fast" left off. Others with a
# vocab.txt split words differently first (Japanese, Vietnamese, tweets).
_CLASSES = frozenset(
    f"{name}Tokenizer"
    for name in (
        "Bert ConvBert DPRContextEncoder DPRQuestionEncoder DPRReader DistilBert Electra Funnel "
        "LayoutLM LayoutLMv2 Lxmert MPNet MobileBert Realm RetriBert Splinter SqueezeBert"
    ).split()
)
# Say nothing: the class that reads whatever tokenizer.json says.
_NEUTRAL_CLASSES = frozenset(["PreTrainedTokenizer", "TokenizersBackend", "AutoTokenizer"])


def recognises(folder: TokenizerFolder) -> bool:
    """Yes: a folder that no other kind recognises is WordPiece, or `load` says what it lacks."""
    return True


def load(folder: TokenizerFolder, **options: Any) -> WordPieceTokenizer:
    """Reads the tokenizer.

    Args:
        folder: the files.
        **options: arguments of the tokenizer that are not the folder's to say.

    Raises:
        FileNotFoundError: there is no vocabulary.
        ValueError: a file cannot be read as what it should be, or asks for another kind.
    """
    _check_kind(folder)
    vocabulary = _vocabulary(folder)
    return WordPieceTokenizer(
        vocabulary,
        lower_case=_lower_case(folder, vocabulary),
        strip_accents=_option("strip_accents", folder, None),
        tokenize_chinese_chars=_option("tokenize_chinese_chars", folder, True),
        model_max_length=folder.model_max_length,
        added_tokens=folder.added_tokens(vocabulary),
        **folder.special_tokens(),
        **options,
    )


def contents(tokenizer: WordPieceTokenizer) -> Contents:
    """What the tokenizer's files hold."""
    values = {argument: getattr(tokenizer, argument) for argument in _OPTIONS}
    sections = {
        "normalizer": {
            "type": _NORMALIZER,
            "clean_text": True,
            **{fast_name: values[argument] for argument, (_, fast_name) in _OPTIONS.items()},
        },
        "pre_tokenizer": {"type": _PRE_TOKENIZER},
        "decoder": {"type": "WordPiece", "prefix": _CONTINUES, "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": tokenizer.unk_token,
            "continuing_subword_prefix": _CONTINUES,
            "max_input_chars_per_word": MAX_WORD_CHARACTERS,
            "vocab": ids_of(tokenizer.model_vocabulary),
        },
    }
    options = {name: values[argument] for argument, (name, _) in _OPTIONS.items()}
    return Contents(sections, options, _vocabulary_file(tokenizer.model_vocabulary))


def _vocabulary_file(tokens: list[str]) -> dict[str, bytes]:
    """`vocab.txt`, or nothing where a token does not fit on a line of one: blanks at its ends."""
    if any(token != token.strip() or "\r" in token for token in tokens):
        return {}
    return {_VOCABULARY: "\n".join([*tokens, ""]).encode("utf-8")}


def _check_kind(folder: TokenizerFolder) -> None:
    kind, path = folder.model_type, str(folder.path)
    if kind not in (None, "WordPiece"):
        raise ValueError(
            f"The tokenizer in {path!r} is of the kind {kind!r} (tokenizer.json). Supported are "
            "WordPiece, byte-level BPE and SentencePiece unigram."
        )
    steps = folder.section("normalizer").get("type"), folder.section("pre_tokenizer").get("type")
    if kind and steps != (_NORMALIZER, _PRE_TOKENIZER):
        raise ValueError(
            f"tokenizer.json in {path!r} prepares text with {steps[0]} and {steps[1]}. "
            f"Expected BERT's own, {_NORMALIZER} and {_PRE_TOKENIZER}."
        )
    name = folder.class_name
    if name and name not in _CLASSES | _NEUTRAL_CLASSES:
        raise ValueError(
            f"The tokenizer in {path!r} is a {folder.config['tokenizer_class']} "
            "(tokenizer_config.json), which is none of BERT's. Supported are the WordPiece "
            "tokenizers of BERT and its kin, byte-level BPE, and SentencePiece unigram."
        )


def _vocabulary(folder: TokenizerFolder) -> list[str]:
    if folder.has(_VOCABULARY):
        tokens = read_vocabulary(folder.path / _VOCABULARY)
    elif folder.fast:
        tokens = _vocabulary_of_model(folder)
    else:
        hint = ""
        if folder.has("vocab.json"):
            hint = " There is a vocab.json: a byte-pair tokenizer needs its merges.txt as well."
        elif list(folder.path.glob("*.model")):
            hint = " There is a *.model, but not by a name of ALBERT's or XLM-RoBERTa's."
        found = sorted(path.name for path in folder.path.iterdir())[:20]
        raise FileNotFoundError(
            f"No vocab.txt and no tokenizer.json in {str(folder.path)!r}.{hint} Found: {found}."
        )
    return tokens


def _vocabulary_of_model(folder: TokenizerFolder) -> list[str]:
    model, path = folder.section("model"), str(folder.path)
    ids = model.get("vocab")
    if not isinstance(ids, dict) or not ids:
        raise ValueError(
            f"tokenizer.json in {path!r} has no model.vocab. Expected a dict of tokens."
        )
    if model.get("continuing_subword_prefix", _CONTINUES) != _CONTINUES:
        raise ValueError(
            f"tokenizer.json in {path!r} marks continuations with "
            f"{model['continuing_subword_prefix']!r}. Expected {_CONTINUES!r}."
        )
    if sorted(ids.values()) != list(range(len(ids))):
        raise ValueError(
            f"The {len(ids)} ids of model.vocab in {path!r}/tokenizer.json are not "
            f"0 to {len(ids) - 1}, each once."
        )
    return sorted(ids, key=ids.get)


def _option(argument: str, folder: TokenizerFolder, default: Any) -> Any:
    """tokenizer_config.json wins over tokenizer.json, as in `transformers`."""
    name, fast_name = _OPTIONS[argument]
    return folder.config.get(name, folder.section("normalizer").get(fast_name, default))


def _lower_case(folder: TokenizerFolder, vocabulary: list[str]) -> bool:
    said = _option("lower_case", folder, None)
    if said is None:
        said = read_json(folder.path / "bert_config.json").get("do_lower_case")
    if said is not None:
        return bool(said)
    words = re.split(r"[^a-z]+", folder.path.resolve().name.lower())
    if "uncased" in words or "cased" in words:
        return "uncased" in words
    return not looks_cased(vocabulary)
