"""SentencePiece tokenizers: ALBERT's and XLNet's `spiece.model`, XLM-R's
`sentencepiece.bpe.model`, Unigram.

`tokenizer.json` wins where it is there, as in `transformers`; it holds the same pieces, scores and
character map, of which a model is put together again.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from keras_bert.text.pretrained.folder import Contents, TokenizerFolder
from keras_bert.text.sentencepiece.model import (
    CONTROL,
    NORMAL,
    UNIGRAM,
    UNKNOWN,
    model_proto,
    read_model,
)
from keras_bert.text.sentencepiece.tokenizer import (
    SentencePieceTokenizer,
    with_camembert_ids,
    with_fairseq_ids,
    without_camembert_ids,
    without_fairseq_ids,
)

__all__ = ["FILES", "KIND", "contents", "load", "recognises"]

#: What is read and written here.
KIND = SentencePieceTokenizer

_PLAIN_FILE, _FAIRSEQ_FILE = FILES = ("spiece.model", "sentencepiece.bpe.model")
# Hugging Face's tokenizer classes, "Fast" left off -> the file of the model.
_CLASSES = {
    "AlbertTokenizer": _PLAIN_FILE,
    "CamembertTokenizer": _FAIRSEQ_FILE,
    "XLMRobertaTokenizer": _FAIRSEQ_FILE,
    "XLNetTokenizer": _PLAIN_FILE,
}
# The order of a trained model's pieces -> that of the ids, and back; by what the ids begin with.
_ORDERS = {
    "<s>": (with_fairseq_ids, without_fairseq_ids),
    "<s>NOTUSED": (with_camembert_ids, without_camembert_ids),
}
# Say nothing: the class that reads whatever tokenizer.json says.
_NEUTRAL_CLASSES = frozenset(["", "PreTrainedTokenizer", "TokenizersBackend", "AutoTokenizer"])

_SPACE = "\u2581"
# ALBERT's tokenizer cuts "9," off behind the digit; a piece at this price is never chosen.
_DIGIT_COMMA_PENALTY = 100.0
# How text is cut into words: ALBERT's way and XLM-RoBERTa's.
_METASPACE = {
    "type": "Metaspace",
    "replacement": _SPACE,
    "prepend_scheme": "always",
    "split": True,
}
# ALBERT's steps before the model's own map, by name, as tokenizer.json has them.
_QUOTES = [
    {"type": "Replace", "pattern": {"String": quotes}, "content": '"'} for quotes in ("``", "''")
]


def recognises(folder: TokenizerFolder) -> bool:
    """Whether the folder holds a SentencePiece unigram tokenizer, or names one of its classes."""
    if folder.model_type is not None:
        return folder.model_type == "Unigram"
    return folder.class_name in _CLASSES or any(map(folder.has, _CLASSES.values()))


def load(folder: TokenizerFolder, **options: Any) -> SentencePieceTokenizer:
    """Reads the tokenizer.

    Args:
        folder: the files.
        **options: arguments of the tokenizer that are not the folder's to say.

    Raises:
        FileNotFoundError: there is no model.
        ValueError: a file cannot be read as what it should be, or asks for another kind.
    """
    if folder.class_name not in _CLASSES and folder.class_name not in _NEUTRAL_CLASSES:
        raise ValueError(
            f"The tokenizer in {str(folder.path)!r} is a {folder.config['tokenizer_class']} "
            f"(tokenizer_config.json). Of SentencePiece, {', '.join(_CLASSES)} are supported."
        )
    specials = folder.special_tokens()
    specials.pop("unk_token", None)  # the model knows
    if folder.fast:
        model, steps = _full_model(folder, _model_of_fast(folder, specials)), _steps(folder)
        fairseq = _as_trained(model) is not None
        fairseq |= [piece.piece for piece in model.pieces[:3]] == ["<s>", "<pad>", "</s>"]
        fairseq |= specials.get("cls_token") == "<s>"
    else:
        model, fairseq = _model_of_file(folder)
        steps = set() if fairseq else _ALBERT_STEPS
    xlnet = _is_xlnet(folder, model)
    if folder.class_name in _CLASSES:  # `transformers` then does not ask tokenizer.json
        steps = _STEPS.get(folder.class_name, frozenset())
    elif xlnet and not folder.fast:
        steps = _STEPS["XLNetTokenizer"]
    names = ("<s>", "</s>", "<mask>") if fairseq else ("[CLS]", "[SEP]", "[MASK]")
    names = ("<cls>", "<sep>", "<mask>") if xlnet else names
    defaults = dict(zip(("cls_token", "sep_token", "mask_token"), names, strict=True))
    separators, segment_types = folder.layout_of_pairs() or (1 + fairseq, not fairseq)
    return SentencePieceTokenizer(
        model,
        **_preparation(folder, steps),
        **{**defaults, **specials},
        separators_between=separators,
        segment_types=segment_types,
        class_last=xlnet,
        model_max_length=folder.model_max_length,
        added_tokens=folder.added_tokens([piece.piece for piece in model.pieces]),
        **options,
    )


def contents(tokenizer: SentencePieceTokenizer) -> Contents:
    """What the tokenizer's files hold.

    Raises:
        ValueError: the model keeps runs of blanks.
    """
    model = tokenizer.own_model()
    if not model.normalizer_spec.remove_extra_whitespaces:
        raise ValueError(
            "The SentencePiece model keeps runs of blanks (remove_extra_whitespaces is false). "
            "Hugging Face's tokenizers can only be told to make one of them, as ALBERT's and "
            "XLM-RoBERTa's models do."
        )
    steps = _written_steps(tokenizer, model.normalizer_spec.precompiled_charsmap)
    splits = [{"type": "WhitespaceSplit"}, _METASPACE]
    sections = {
        "normalizer": {"type": "Sequence", "normalizers": steps} if steps else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": splits},
        "decoder": _METASPACE,
        "model": {
            "type": "Unigram",
            "unk_id": tokenizer.unk_id,
            "vocab": [[piece.piece, piece.score] for piece in model.pieces],
            "byte_fallback": False,
        },
    }
    options = {"bos_token": tokenizer.cls_token, "eos_token": tokenizer.sep_token}
    if tokenizer.straight_quotes or tokenizer.strip_accents or tokenizer.lower_case:
        options["do_lower_case"] = tokenizer.lower_case
        options["keep_accents"] = not tokenizer.strip_accents
    return Contents(sections, options, _model_file(model))


def _model_file(model) -> dict[str, bytes]:
    """The model as it was trained, by the name that its order of pieces goes by."""
    trained = _as_trained(model)
    if trained:
        return {_FAIRSEQ_FILE: trained.SerializeToString(deterministic=True)}
    for piece in _digits_and_commas(model):
        if piece.score < -_DIGIT_COMMA_PENALTY:
            piece.score += _DIGIT_COMMA_PENALTY
    return {_PLAIN_FILE: model.SerializeToString(deterministic=True)}


# --- what is done to the text --------------------------------------------------------------------

_ALBERT_STEPS = frozenset(["quotes", "NFKD", "StripAccents", "Lowercase"])
# Class -> what it does where tokenizer_config.json says nothing.
_STEPS = {"AlbertTokenizer": _ALBERT_STEPS, "XLNetTokenizer": _ALBERT_STEPS - {"Lowercase"}}


def _preparation(folder: TokenizerFolder, steps: frozenset[str] | set[str]) -> dict[str, bool]:
    """ALBERT's options; tokenizer_config.json wins over tokenizer.json, as in `transformers`."""
    strips = {"NFKD", "StripAccents"} <= steps
    if not strips and steps & {"NFKD", "StripAccents"}:
        raise ValueError(
            f"tokenizer.json in {str(folder.path)!r} has only one of NFKD and StripAccents. "
            "Expected both, as ALBERT, or none."
        )
    config = folder.config if steps else {}
    return {
        "lower_case": bool(config.get("do_lower_case", "Lowercase" in steps)),
        "strip_accents": not config.get("keep_accents", not strips),
        "straight_quotes": "quotes" in steps,
    }


def _written_steps(tokenizer: SentencePieceTokenizer, charsmap: bytes) -> list[dict[str, Any]]:
    steps = list(_QUOTES) if tokenizer.straight_quotes else []
    if tokenizer.strip_accents:
        steps += [{"type": "NFKD"}, {"type": "StripAccents"}]
    if tokenizer.lower_case:
        steps.append({"type": "Lowercase"})
    if charsmap:
        encoded = base64.b64encode(charsmap).decode("ascii")
        steps.append({"type": "Precompiled", "precompiled_charsmap": encoded})
    return steps


def _steps(folder: TokenizerFolder) -> set[str]:
    """Names of the steps of tokenizer.json before the model's own map; others are refused."""
    names = set()
    normalizers = folder.steps("normalizer")
    for step in normalizers:
        names.add(_step(step))
    if None in names:
        odd = next(step for step in normalizers if _step(step) is None)
        raise _refusal(folder, "normalises text", odd)
    words = False
    for step in folder.steps("pre_tokenizer"):
        if step.get("type") == "WhitespaceSplit":
            words = True
        elif step.get("type") != "Metaspace" or not _usual_metaspace(step, words):
            raise _refusal(folder, "splits text", step)
    if not words and "blanks" not in names:
        raise ValueError(
            f"tokenizer.json in {str(folder.path)!r} keeps runs of blanks. Expected a "
            "WhitespaceSplit, or a normaliser that replaces them, as ALBERT and XLM-R have."
        )
    return names & _ALBERT_STEPS


def _step(step: dict[str, Any]) -> str | None:
    kind = step.get("type")
    if kind in ("NFKD", "StripAccents", "Lowercase", "Precompiled"):
        return kind
    if kind == "Strip":  # blanks at the ends: the model drops them
        return "ends"
    if kind == "Replace":
        pattern, content = step.get("pattern"), step.get("content")
        if step in _QUOTES:
            return "quotes"
        if pattern == {"Regex": " {2,}"} and content in (" ", _SPACE):
            return "blanks"
    return None


def _usual_metaspace(step: dict[str, Any], words: bool) -> bool:
    scheme = step.get("prepend_scheme", "always" if step.get("add_prefix_space", True) else "never")
    # "first": only the first word, which is all there is where words are not split before.
    usual = scheme == "always" or (scheme == "first" and not words)
    return usual and step.get("replacement", _SPACE) == _SPACE and step.get("split", True)


def _refusal(folder: TokenizerFolder, does: str, step: dict[str, Any]) -> ValueError:
    shown = {key: str(value)[:40] for key, value in step.items()}
    return ValueError(
        f"tokenizer.json in {str(folder.path)!r} {does} with {shown}. Expected the steps of "
        "ALBERT, XLM-RoBERTa and XLNet."
    )


def _is_xlnet(folder: TokenizerFolder, model: Any) -> bool:
    """Whether rows are laid out as XLNet's are, which end in the class token.

    Its class tells or, without one, the layout in tokenizer.json, or names that are its own.
    """
    if folder.class_name in _CLASSES:
        return folder.class_name == "XLNetTokenizer"
    layouts = [step["single"] for step in folder.steps("post_processor") if step.get("single")]
    if layouts:  # a [SEP] [CLS]; others begin with a special token, or have one only
        return "Sequence" in layouts[-1][0] and len(layouts[-1]) > 2
    return {"<cls>", "<sep>"} <= {piece.piece for piece in model.pieces}


# --- the model -----------------------------------------------------------------------------------


def _model_of_file(folder: TokenizerFolder, first: str | None = None) -> tuple[Any, bool]:
    """The model with pieces in the order of the ids, and whether these are fairseq's.

    `first` is the piece that has the id 0, if it is known.
    """
    names = [_CLASSES[folder.class_name]] if folder.class_name in _CLASSES else FILES
    name = next(filter(folder.has, names), None)
    if name is None:
        found = sorted(path.name for path in folder.path.iterdir())[:20]
        raise FileNotFoundError(
            f"No {' or '.join(names)} and no tokenizer.json in {str(folder.path)!r}. Found: "
            f"{found}."
        )
    model = read_model(folder.path / name)
    if name == _FAIRSEQ_FILE:
        camembert = folder.class_name == "CamembertTokenizer"
        in_order, _ = _ORDERS.get(first, _ORDERS["<s>NOTUSED" if camembert else "<s>"])
        return in_order(model), True
    for piece in _digits_and_commas(model):
        piece.score -= _DIGIT_COMMA_PENALTY
    return model, False


def _digits_and_commas(model) -> list[Any]:
    return [p for p in model.pieces if p.piece[-1:] == "," and p.piece[-2:-1].isdigit()]


def _model_of_fast(folder: TokenizerFolder, specials: dict[str, str]):
    """Puts a model together of the pieces, scores and character map in tokenizer.json."""
    section, path = folder.section("model"), str(folder.path)
    pieces, unk_id = section.get("vocab"), section.get("unk_id")
    if not isinstance(pieces, list) or not pieces:
        raise ValueError(
            f"tokenizer.json in {path!r} has no model.vocab. Expected a list of pieces with scores."
        )
    if not isinstance(unk_id, int) or not 0 <= unk_id < len(pieces):
        raise ValueError(
            f"tokenizer.json in {path!r} has unk_id={unk_id!r}. Expected an id below {len(pieces)}."
        )
    added = folder.fast.get("added_tokens", [])
    control = {token["content"] for token in added if token.get("special")}
    control.update(specials.values())
    model = model_proto()
    for index, (piece, score) in enumerate(pieces):
        kind = UNKNOWN if index == unk_id else CONTROL if piece in control else NORMAL
        model.pieces.add(piece=piece, score=score, type=kind)
    model.trainer_spec.model_type = UNIGRAM
    model.trainer_spec.byte_fallback = bool(section.get("byte_fallback"))
    model.trainer_spec.unk_id = unk_id
    model.normalizer_spec.precompiled_charsmap = _charsmap(folder)
    # As the same model read from a model file.
    trained = _as_trained(model)
    return _ORDERS[model.pieces[0].piece][0](trained) if trained else model


def _as_trained(model):
    """A model whose pieces are in fairseq's order of ids as it was trained; None for others."""
    _, back = _ORDERS.get(model.pieces[0].piece, (None, lambda model: None))
    return back(model)


def _full_model(folder: TokenizerFolder, model):
    """The model in the folder's model file if that is the one in tokenizer.json, else the latter.

    The file knows more: which pieces text never gives, and which it always gives.
    """
    if not any(map(folder.has, FILES)):
        return model
    try:
        found, _ = _model_of_file(folder, first=model.pieces[0].piece)
    except (FileNotFoundError, ValueError):  # another class's file, or a broken one
        return model
    return found if _essence(found) == _essence(model) else model


def _essence(model) -> tuple[Any, ...]:
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    unknown = [index for index, piece in enumerate(model.pieces) if piece.type == UNKNOWN]
    rules = model.normalizer_spec
    return pieces, unknown, rules.precompiled_charsmap, rules.remove_extra_whitespaces


def _charsmap(folder: TokenizerFolder) -> bytes:
    for step in folder.steps("normalizer"):
        if step.get("type") == "Precompiled":
            try:
                return base64.b64decode(step["precompiled_charsmap"] or "", validate=True)
            except (binascii.Error, KeyError, TypeError) as error:
                raise ValueError(
                    f"The precompiled_charsmap in {str(folder.path)!r}/tokenizer.json is not "
                    f"base64: {error!r}. Get the file again."
                ) from None
    return b""
