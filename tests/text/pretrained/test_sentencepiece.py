import base64
import copy
import json

import numpy as np
import pytest

from keras_bert.text import Preprocessor, SentencePieceTokenizer, Tokenizer
from keras_bert.text.sentencepiece.model import CONTROL, NORMAL, USER_DEFINED, read_model
from tests.text.conftest import FOLDER

TEXTS = ["Hello (world) 9,000", "  où  ``a'' ", "E\u0301té ﬁn", "[MASK] <mask> <s>", "", "中国"]
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
SPLITS = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, METASPACE]}
# As ALBERT's published tokenizer.json has them.
QUOTES = [
    {"type": "Replace", "pattern": {"String": quote}, "content": '"'} for quote in ("``", "''")
]
ALBERT = [*QUOTES, *({"type": t} for t in ("NFKD", "StripAccents", "Lowercase"))]
BLANKS = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}


def write_json(path, content):
    path.write_text(json.dumps(content))


def fast(tokenizer, folder, steps=(), splits=SPLITS):
    """A tokenizer.json for the pieces of `tokenizer`, whose model file is in `folder`."""
    model = read_model(next(folder.glob("*.model")))
    scores = {piece.piece: piece.score for piece in model.pieces}
    charsmap = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
    precompiled = {"type": "Precompiled", "precompiled_charsmap": charsmap}
    names = "<s> </s> <pad> <unk> <mask> [CLS] [SEP] [MASK]".split()
    specials = set(names) & set(tokenizer.vocabulary)
    return {
        "added_tokens": [
            {"id": tokenizer.vocabulary.index(token), "content": token, "special": True}
            for token in sorted(specials)
        ],
        "normalizer": {"type": "Sequence", "normalizers": [*steps, precompiled]},
        "pre_tokenizer": copy.deepcopy(splits),
        "model": {
            "type": "Unigram",
            "unk_id": tokenizer.unk_id,
            "vocab": [[piece, scores.get(piece, 0.0)] for piece in tokenizer.vocabulary],
        },
    }


@pytest.fixture
def xlmr(spieces, spiece_folders, tmp_path):
    """A folder with the tokenizer.json of XLM-R alone, and its content."""
    content = fast(spieces["xlmr"], spiece_folders["xlmr"])
    write_json(tmp_path / "tokenizer.json", content)
    return tmp_path, content


def same(first, second):
    assert first.vocabulary == second.vocabulary
    found, wanted = (t.tokenize_with_offsets(TEXTS) for t in (first, second))
    return all(f.to_list() == w.to_list() for f, w in zip(found, wanted, strict=True))


def test_xlmr_from_tokenizer_json_alone(xlmr, spieces):
    tokenizer = Tokenizer.from_pretrained(xlmr[0])
    assert same(tokenizer, spieces["xlmr"])
    assert (tokenizer.cls_token, tokenizer.sep_token, tokenizer.mask_token) == (
        "<s>", "</s>", "<mask>",
    )  # fmt: skip
    assert (tokenizer.separators_between, tokenizer.segment_types) == (2, False)
    write_json(xlmr[0] / "tokenizer_config.json", {
        "tokenizer_class": "XLMRobertaTokenizerFast", "model_max_length": 512,
        "mask_token": {"content": "<mask>", "lstrip": True},
    })  # fmt: skip
    assert Tokenizer.from_pretrained(xlmr[0]).model_max_length == 512


def test_the_model_file_is_taken_where_it_says_the_same(xlmr, spieces, spiece_folders):
    folder, content = xlmr
    file = folder / "sentencepiece.bpe.model"
    model = read_model(spiece_folders["xlmr"] / file.name)
    model.pieces[-1].type = USER_DEFINED  # which tokenizer.json cannot say
    file.write_bytes(model.SerializeToString())
    kinds = [p.type for p in Tokenizer.from_pretrained(folder).own_model().pieces]
    assert kinds[-2] == USER_DEFINED
    content["model"]["vocab"][-2][1] -= 1
    write_json(folder / "tokenizer.json", content)
    kinds = [p.type for p in Tokenizer.from_pretrained(folder).own_model().pieces]
    assert kinds[-2] == NORMAL
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    assert same(Tokenizer.from_pretrained(folder), spieces["xlmr"])


def test_camembert(spiece_folders, spieces, tmp_path):
    content = (spiece_folders["xlmr"] / "sentencepiece.bpe.model").read_bytes()
    (tmp_path / "sentencepiece.bpe.model").write_bytes(content)
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "CamembertTokenizer"})
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    # As Hugging Face's converter has them.
    first = "<s>NOTUSED <pad> </s>NOTUSED <unk> <unk>NOTUSED <s> </s>".split()
    own = spieces["xlmr"].vocabulary[4:-1]
    assert tokenizer.vocabulary == [*first, *own, "<mask>"]
    assert (tokenizer.cls_id, tokenizer.sep_id, tokenizer.separators_between) == (5, 6, 2)
    ids = spieces["xlmr"].tokenize("Hello 9,000 été").numpy()
    assert tokenizer.tokenize("Hello 9,000 été").numpy().tolist() == [
        i + 3 if i > 3 else 3 for i in ids
    ]
    tokenizer.save_pretrained(tmp_path / "written")
    assert (tmp_path / "written" / "sentencepiece.bpe.model").is_file()
    again = Tokenizer.from_pretrained(tmp_path / "written")
    assert again.get_config() == tokenizer.get_config()
    (tmp_path / "written" / "sentencepiece.bpe.model").unlink()
    assert same(Tokenizer.from_pretrained(tmp_path / "written"), tokenizer)


@pytest.mark.parametrize("types", [0, 1])
def test_layout_of_rows(xlmr, types):
    folder, content = xlmr
    parts = ["<s>", "A", "</s>", "B", "</s>"]
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "pair": [
            {"Sequence": {"id": part, "type_id": types * (part == "B")}}
            if part in "AB"
            else {"SpecialToken": {"id": part, "type_id": 0}}
            for part in parts
        ],
    }
    write_json(folder / "tokenizer.json", content)
    tokenizer = Tokenizer.from_pretrained(folder)
    assert (tokenizer.separators_between, tokenizer.segment_types) == (1, bool(types))


@pytest.mark.parametrize("config", [{}, {"tokenizer_class": "AlbertTokenizer"}])
def test_albert_from_tokenizer_json_alone(spieces, spiece_folders, tmp_path, config):
    content = fast(spieces["albert"], spiece_folders["albert"], ALBERT)
    content["normalizer"]["normalizers"].append(BLANKS)
    write_json(tmp_path / "tokenizer.json", content)
    write_json(tmp_path / "tokenizer_config.json", {**config, "cls_token": "[CLS]"})
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert same(tokenizer, spieces["albert"])
    assert (tokenizer.separators_between, tokenizer.segment_types) == (1, True)


def test_albert_does_not_end_pieces_in_a_digit_and_a_comma(spiece_folders, spieces, tmp_path):
    model = read_model(spiece_folders["albert"] / "spiece.model")
    model.pieces[-1].piece, model.pieces[-1].score = "▁9,", -1.0
    (tmp_path / "spiece.model").write_bytes(model.SerializeToString())
    ids = Tokenizer.from_pretrained(tmp_path).tokenize("9, 8").numpy().tolist()
    assert ids == spieces["albert"].tokenize("9, 8").numpy().tolist()


@pytest.mark.parametrize(
    "config, lower_case, strip_accents",
    [
        ({}, True, True),
        ({"do_lower_case": False}, False, True),
        ({"do_lower_case": False, "tokenizer_class": "AlbertTokenizer"}, False, True),
    ],
)
def test_albert_options(spiece_folders, tmp_path, config, lower_case, strip_accents):
    content = (spiece_folders["albert"] / "spiece.model").read_bytes()
    (tmp_path / "spiece.model").write_bytes(content)
    write_json(tmp_path / "tokenizer_config.json", config)
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert (tokenizer.lower_case, tokenizer.strip_accents) == (lower_case, strip_accents)
    assert tokenizer.straight_quotes


def test_options_are_not_asked_of_xlmr(xlmr):
    write_json(xlmr[0] / "tokenizer_config.json", {"do_lower_case": True})
    assert not Tokenizer.from_pretrained(xlmr[0]).lower_case


@pytest.mark.parametrize(
    "steps, splits",
    [
        ([BLANKS], METASPACE),
        ([BLANKS], {**METASPACE, "prepend_scheme": "first"}),
        ([{"type": "Strip", "strip_left": False, "strip_right": True}, BLANKS], METASPACE),
        ([], {**SPLITS, "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
        ]}),
    ],
)  # fmt: skip
def test_other_ways_to_say_the_same(xlmr, spieces, steps, splits):
    folder, content = xlmr
    content["normalizer"]["normalizers"] += steps
    content["pre_tokenizer"] = splits
    write_json(folder / "tokenizer.json", content)
    assert same(Tokenizer.from_pretrained(folder), spieces["xlmr"])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t.update(pre_tokenizer=METASPACE), "keeps runs of blanks"),
        (lambda t: t.update(pre_tokenizer={"type": "BertPreTokenizer"}), "splits text with"),
        (lambda t: t.update(pre_tokenizer={**METASPACE, "replacement": "_"}), "splits text with"),
        (
            lambda t: t["pre_tokenizer"].update(
                pretokenizers=[
                    {"type": "WhitespaceSplit"},
                    {**METASPACE, "prepend_scheme": "first"},
                ]
            ),
            "'prepend_scheme': 'first'",
        ),
        (lambda t: t.update(normalizer={"type": "NFC"}), "normalises text with"),
        (lambda t: t.update(normalizer={"type": "NFKD"}), "only one of NFKD and StripAccents"),
        (
            lambda t: t["normalizer"]["normalizers"][-1].update(precompiled_charsmap="?"),
            "not base64",
        ),
        (lambda t: t["model"].update(vocab={"a": 0}), "Expected a list of pieces"),
        (lambda t: t["model"].update(unk_id=None), "unk_id=None"),
        (lambda t: t["model"].update(byte_fallback=True), "byte_fallback"),
        (lambda t: t["added_tokens"].append({"id": 20_000, "content": "x"}), "added tokens"),
    ],
)
def test_what_is_not_supported_is_refused(xlmr, change, message):
    folder, content = xlmr
    change(content)
    write_json(folder / "tokenizer.json", content)
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_pretrained(folder)


def test_added_tokens_have_ids(xlmr, spiece_folders, tmp_path):
    folder, content = xlmr
    content["added_tokens"].append({"id": 10_002, "content": "<user>", "special": False})
    write_json(folder / "tokenizer.json", content)
    tokenizer = Tokenizer.from_pretrained(folder)
    assert tokenizer.vocabulary[-2:] == ["<mask>", "<user>"]
    assert tokenizer.tokenize("a <user>").numpy()[-1] == 10_002
    assert tokenizer.detokenize([10_002]).numpy() == b"<user>"


def test_other_classes_are_refused(spiece_folders, tmp_path):
    content = (spiece_folders["albert"] / "spiece.model").read_bytes()
    (tmp_path / "spiece.model").write_bytes(content)
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "T5TokenizerFast"})
    with pytest.raises(ValueError, match="is a T5TokenizerFast"):
        Tokenizer.from_pretrained(tmp_path)


def test_a_missing_model_is_named(tmp_path):
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "XLMRobertaTokenizer"})
    with pytest.raises(FileNotFoundError, match=r"No sentencepiece.bpe.model .*Found: \['token"):
        Tokenizer.from_pretrained(tmp_path)


def test_special_tokens_in_text_are_text(spieces):
    for tokenizer in spieces.values():
        assert isinstance(tokenizer, SentencePieceTokenizer)
        ids = tokenizer.tokenize("<s> [CLS] <mask> [MASK] <pad>").numpy().tolist()
        control = [tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, tokenizer.mask_id]
        assert not set(ids) & {i for i in control if i is not None}
    assert CONTROL == 3  # as sentencepiece's proto file numbers it


# What fixtures/make/xlnet_tokenizer.py renames in ALBERT's model.
XLNET_NAMES = {"[CLS]": "<cls>", "[SEP]": "<sep>", "[MASK]": "<mask>"}
XLNET_BATCHES = json.loads((FOLDER / "sentencepiece" / "xlnet.json").read_text())


@pytest.fixture
def xlnet(spiece_folders, tmp_path):
    """A folder with XLNet's spiece.model alone."""
    model = read_model(spiece_folders["albert"] / "spiece.model")
    for piece in model.pieces:
        piece.piece = XLNET_NAMES.get(piece.piece, piece.piece)
    (tmp_path / "spiece.model").write_bytes(model.SerializeToString())
    return tmp_path


@pytest.mark.parametrize("batch", XLNET_BATCHES)
@pytest.mark.parametrize("config", [{}, {"tokenizer_class": "XLNetTokenizer"}])
def test_xlnet_rows(xlnet, batch, config):
    write_json(xlnet / "tokenizer_config.json", {**config, **batch["options"]})
    texts = (batch["first"], batch["second"]) if batch["second"] else batch["first"]
    preprocessor = Preprocessor(Tokenizer.from_pretrained(xlnet), seq_length=64)
    rows = {name: value.numpy() for name, value in preprocessor(texts).items()}
    wanted = {name: np.array(batch[name]) for name in rows}
    tokens = wanted["input_mask"] == 1
    # Padding's type is 0 in transformers 5, 3 in transformers 4 and 4 in zihangdai/xlnet: it is
    # attended to by nothing.
    assert set(rows["input_type_ids"][~tokens]) == {3}
    wanted["input_type_ids"][~tokens] = 3
    for name, value in rows.items():
        assert value.tolist() == wanted[name].tolist(), name


def test_xlnet_from_tokenizer_json_alone(xlnet):
    steps = [step for step in ALBERT if step["type"] != "Lowercase"]
    tokenizer = Tokenizer.from_pretrained(xlnet)
    content = fast(tokenizer, xlnet, steps)
    (xlnet / "spiece.model").unlink()
    write_json(xlnet / "tokenizer.json", content)
    again = Tokenizer.from_pretrained(xlnet)
    assert same(again, tokenizer)
    assert (again.cls_token, again.sep_token, again.class_last) == ("<cls>", "<sep>", True)
    assert (again.lower_case, again.strip_accents, again.straight_quotes) == (False, True, True)
    copied = copy.copy(again)
    assert copied.class_last and same(copied, again)


@pytest.mark.parametrize("batch", XLNET_BATCHES[:2])
def test_xlnet_is_written(xlnet, batch, tmp_path):
    Tokenizer.from_pretrained(xlnet).save_pretrained(tmp_path / "again")
    content = json.loads((tmp_path / "again" / "tokenizer.json").read_text())
    last = content["post_processor"]["single"][-1]
    assert last == {"SpecialToken": {"id": "<cls>", "type_id": 2}}
    config = json.loads((tmp_path / "again" / "tokenizer_config.json").read_text())
    assert config["padding_side"] == "left"
    again = Tokenizer.from_pretrained(tmp_path / "again")
    assert again.class_last and same(again, Tokenizer.from_pretrained(xlnet))
    texts = (batch["first"], batch["second"]) if batch["second"] else batch["first"]
    rows = Preprocessor(again, seq_length=64)(texts)
    assert rows["input_word_ids"].numpy().tolist() == batch["input_word_ids"]


@pytest.mark.parametrize(
    ("single", "class_last"),
    [("A <sep> <cls>", True), ("<cls> A <sep>", False), ("A <sep>", False)],
)
def test_the_layout_says_whether_the_class_token_is_last(xlnet, single, class_last):
    content = fast(Tokenizer.from_pretrained(xlnet), xlnet)
    items = [
        {"Sequence" if name == "A" else "SpecialToken": {"id": name, "type_id": 0}}
        for name in single.split()
    ]
    template = {"type": "TemplateProcessing", "single": items, "pair": []}
    after = {"type": "ByteLevel", "trim_offsets": False}
    content["post_processor"] = {"type": "Sequence", "processors": [template, after]}
    write_json(xlnet / "tokenizer.json", content)
    write_json(xlnet / "tokenizer_config.json", {"cls_token": "<cls>", "sep_token": "<sep>"})
    assert Tokenizer.from_pretrained(xlnet).class_last == class_last
