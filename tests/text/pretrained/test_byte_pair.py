import json

import pytest

from keras_bert.text import BytePairTokenizer, Tokenizer
from tests.text.byte_pair.reference import tokens_of
from tests.text.byte_pair.test_tokenizer import SMALL, SMALL_MERGES

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
PAIR = ["[CLS]", "A", "[SEP]", "B", "[SEP]"]
TEMPLATE = {
    "type": "TemplateProcessing",
    "pair": [{"Sequence" if part in "AB" else "SpecialToken": {"id": part}} for part in PAIR],
}


def write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def roberta(tmp_path):
    """A folder as RoBERTa's slow tokenizer is saved."""
    write_json(tmp_path / "vocab.json", {token: index for index, token in enumerate(SMALL)})
    lines = ["#version: 0.2", *SMALL_MERGES, ""]
    (tmp_path / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    write_json(
        tmp_path / "tokenizer_config.json",
        {"tokenizer_class": "RobertaTokenizer", "model_max_length": 512},
    )
    return tmp_path


def fast(merges=SMALL_MERGES, vocabulary=SMALL, model=None, **sections):
    """The content of a tokenizer.json."""
    return {
        "normalizer": None,
        "pre_tokenizer": BYTE_LEVEL,
        "post_processor": None,
        **sections,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "vocab": {token: index for index, token in enumerate(vocabulary)},
            "merges": merges,
            **(model or {}),
        },
    }


def test_vocabulary_and_merges(roberta):
    tokenizer = Tokenizer.from_pretrained(roberta)
    assert isinstance(tokenizer, BytePairTokenizer)
    assert tokenizer.vocabulary == SMALL and tokenizer.model_max_length == 512
    assert (tokenizer.add_prefix_space, tokenizer.trim_offsets) == (False, True)
    assert (tokenizer.separators_between, tokenizer.segment_types) == (2, False)
    assert tokenizer.tokenize(" the").numpy().tolist() == [SMALL.index("Ġthe")]


def test_the_same_from_tokenizer_json(roberta, tmp_path):
    wanted = Tokenizer.from_pretrained(roberta).get_config()
    (tmp_path / "vocab.json").unlink()
    write_json(tmp_path / "tokenizer.json", fast())
    assert Tokenizer.from_pretrained(tmp_path).get_config() == wanted
    # Merges as pairs, no type: as newer and as older versions write it.
    content = fast([merge.split(" ") for merge in SMALL_MERGES])
    del content["model"]["type"]
    write_json(tmp_path / "tokenizer.json", content)
    assert Tokenizer.from_pretrained(tmp_path).get_config() == wanted


@pytest.mark.parametrize(
    ("sections", "config", "attribute", "value"),
    [
        ({"pre_tokenizer": {**BYTE_LEVEL, "add_prefix_space": True}}, {}, "add_prefix_space", True),
        ({}, {"add_prefix_space": True}, "add_prefix_space", True),
        (
            {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [BYTE_LEVEL]}},
            {},
            "add_prefix_space",
            False,
        ),
        (
            {"post_processor": {"type": "RobertaProcessing", "trim_offsets": False}},
            {},
            "trim_offsets",
            False,
        ),
        ({"post_processor": {"type": "RobertaProcessing"}}, {}, "separators_between", 2),
        ({"post_processor": TEMPLATE}, {}, "separators_between", 1),
        (
            {"post_processor": {"type": "Sequence", "processors": [BYTE_LEVEL, TEMPLATE]}},
            {},
            "separators_between",
            1,
        ),
        ({}, {"tokenizer_class": "DebertaTokenizer"}, "separators_between", 1),
        ({}, {"tokenizer_class": "DebertaTokenizer"}, "segment_types", True),
        ({}, {"model_input_names": ["input_ids", "token_type_ids"]}, "segment_types", True),
        # Of post-processors only two trim spans; where there is none, the class brings one.
        ({"post_processor": TEMPLATE}, {}, "trim_offsets", False),
        (
            {"post_processor": {"type": "Sequence", "processors": [BYTE_LEVEL, TEMPLATE]}},
            {},
            "trim_offsets",
            True,
        ),
        ({"post_processor": {"type": "RobertaProcessing"}}, {}, "trim_offsets", True),
        ({"post_processor": None}, {}, "trim_offsets", True),
        ({"normalizer": {"type": "NFC"}}, {}, "normalization", "NFC"),
        ({"normalizer": {"type": "Sequence", "normalizers": []}}, {}, "normalization", None),
    ],
)
def test_options(tmp_path, sections, config, attribute, value):
    write_json(tmp_path / "tokenizer.json", fast(**sections))
    write_json(tmp_path / "tokenizer_config.json", config)
    assert getattr(Tokenizer.from_pretrained(tmp_path), attribute) == value


def test_special_tokens_of_other_names(tmp_path):
    names = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
    tokens = tokens_of(SMALL_MERGES)[4:-1]
    added = [
        {"id": len(tokens) + index, "content": name, "special": True}
        for index, name in enumerate(["  ", *names.values()])
    ]
    write_json(tmp_path / "tokenizer.json", fast(vocabulary=tokens, added_tokens=added))
    config = {f"{key}_token": {"content": name} for key, name in names.items()}
    write_json(tmp_path / "tokenizer_config.json", config)
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert tokenizer.vocabulary == [*tokens, "  ", *names.values()]
    assert tokenizer.model_vocabulary == tokens
    assert (tokenizer.cls_id, tokenizer.mask_id) == (len(tokens) + 2, len(tokens) + 5)


def test_added_tokens(roberta):
    write_json(roberta / "added_tokens.json", {"<user>": len(SMALL)})
    decoder = {str(len(SMALL) + 1): {"content": "<bot>"}, "0": {"content": "<s>"}}
    write_json(roberta / "tokenizer_config.json", {"added_tokens_decoder": decoder})
    assert Tokenizer.from_pretrained(roberta).vocabulary == [*SMALL, "<user>", "<bot>"]
    write_json(roberta / "added_tokens.json", {"<user>": len(SMALL) + 5})
    with pytest.raises(ValueError, match=f"has the id {len(SMALL)}, although ids go up to"):
        Tokenizer.from_pretrained(roberta)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (fast(model={"dropout": 0.1}), "dropout=0.1, which is not supported"),
        (fast(model={"end_of_word_suffix": "</w>"}), "end_of_word_suffix='</w>'"),
        (fast(model={"continuing_subword_prefix": "##"}), "continuing_subword_prefix='##'"),
        (fast(model={"byte_fallback": True}), "byte_fallback=True"),
        (fast(model={"ignore_merges": True}), "ignore_merges=True"),
        (fast(model={"vocab": []}), "no model.vocab"),
        (fast(vocabulary=[*SMALL[:4], *SMALL[5:]]), "no token for 1 of the 256 bytes"),
        (fast(normalizer={"type": "NFKC"}), r"normalises text by \['NFKC'\]"),
        (fast(pre_tokenizer={"type": "Metaspace"}), r"splits text by \['Metaspace'\]\. Supported"),
        (fast(pre_tokenizer={**BYTE_LEVEL, "use_regex": False}), "with use_regex=true"),
        (
            fast(
                pre_tokenizer={
                    "type": "Sequence",
                    "pretokenizers": [
                        {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}"}},
                        {**BYTE_LEVEL, "use_regex": False},
                    ],
                }
            ),
            r"with the pattern \{'Regex': '.*N\}\{1,3\}'\}",
        ),
    ],
)
def test_what_is_not_supported_is_named(tmp_path, content, message):
    write_json(tmp_path / "tokenizer.json", content)
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_pretrained(tmp_path)


def test_merges_are_missed(roberta):
    (roberta / "merges.txt").unlink()
    write_json(roberta / "tokenizer_config.json", {})
    with pytest.raises(FileNotFoundError, match="a byte-pair tokenizer needs its merges.txt"):
        Tokenizer.from_pretrained(roberta)
