"""The files that are written, as Hugging Face's library and this project read them."""

import gzip
import json

import pytest
import tokenizers

from keras_bert.text import AddedToken, Tokenizer, WordPieceTokenizer
from keras_bert.text.pretrained import replacing
from tests.text.conftest import FOLDER, SMALL
from tests.text.pretrained.cases import CASES, spieces

GOLDEN = json.loads(gzip.open(FOLDER / "written_tokenizers.json.gz").read())


@pytest.fixture(scope="module", params=CASES)
def written(request, tmp_path_factory):
    """Name of a case, its tokenizer, and the folder it is written to."""
    folder = tmp_path_factory.mktemp(request.param) / "some" / "model"
    tokenizer = CASES[request.param]()
    tokenizer.save_pretrained(folder)
    return request.param, tokenizer, folder


def read(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_hugging_face_reads_what_autotokenizer_read(written):
    name, _, folder = written
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert len(GOLDEN[name]["stored"]) == 40
    for text, second, ids, types, spans, _ in GOLDEN[name]["stored"]:
        found = theirs.encode(text, second)
        assert (found.ids, found.type_ids) == (ids, types), (text, second)
        of_text = zip(found.offsets, found.sequence_ids, strict=True)
        assert [list(span) for span, of in of_text if of == 0] == spans, text


def test_ids_are_ours(written):
    name, _, folder = written
    tokenizer = Tokenizer.from_pretrained(folder, special_tokens_in_text="special")
    rows = [row for row in GOLDEN[name]["stored"] if row[5]]
    # The others have what `save_pretrained` says is not the same.
    assert len(rows) >= 25
    texts = [[row[column] or "" for row in rows] for column in (0, 1)]
    first, second = (tokenizer.tokenize(part).to_list() for part in texts)
    for row, of_first, of_second in zip(rows, first, second, strict=True):
        ids = [tokenizer.cls_id, *of_first, tokenizer.sep_id]
        if row[1] is not None:
            ids += [tokenizer.sep_id] * (tokenizer.separators_between - 1)
            ids += [*of_second, tokenizer.sep_id]
        assert ids == row[2], row[:2]


def test_reads_back_the_same(written):
    _, tokenizer, folder = written
    assert Tokenizer.from_pretrained(folder).get_config() == tokenizer.get_config()


def test_files_are_only_replaced_by_the_same(written, tmp_path):
    _, _, folder = written
    Tokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    first, second = ({p.name: p.read_bytes() for p in f.iterdir()} for f in (folder, tmp_path))
    assert first == second


@pytest.mark.parametrize(
    "name, classic",
    [
        ("wordpiece_names", ["vocab.txt"]),
        ("byte_pair", ["merges.txt", "vocab.json"]),
        ("fairseq", ["sentencepiece.bpe.model"]),
        ("albert", ["spiece.model"]),
    ],
)
def test_classic_files_alone_give_the_same_ids(tmp_path, name, classic):
    tokenizer = CASES[name]()
    tokenizer.save_pretrained(tmp_path)
    common = ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*common, *classic])
    (tmp_path / "tokenizer.json").unlink()
    again = Tokenizer.from_pretrained(tmp_path)
    texts = ["Où est my (lost) card, 9,000 and 8,?", "  covid  ''a'' \u3000 中国"]
    assert again.vocabulary == tokenizer.vocabulary
    assert again.tokenize(texts).to_list() == tokenizer.tokenize(texts).to_list()


def test_configuration(tmp_path):
    tokenizer = CASES["wordpiece_names"]()
    tokenizer.save_pretrained(tmp_path, model_max_length=64)
    config = read(tmp_path, "tokenizer_config.json")
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["model_max_length"] == 64 and config["padding_side"] == "right"
    assert (config["do_lower_case"], config["strip_accents"]) == (False, True)
    assert (config["cls_token"], config["mask_token"]) == ("<a>", "<m>")
    assert config["model_input_names"] == ["input_ids", "token_type_ids", "attention_mask"]
    mask = str(SMALL.index("[MASK]"))
    assert config["added_tokens_decoder"][mask]["lstrip"] is True
    specials = read(tmp_path, "special_tokens_map.json")
    assert specials["mask_token"]["content"] == "<m>" and specials["mask_token"]["lstrip"] is True
    assert Tokenizer.from_pretrained(tmp_path).model_max_length == 64


def test_no_limit_of_length(small, tmp_path):
    WordPieceTokenizer(SMALL).save_pretrained(tmp_path)
    assert read(tmp_path, "tokenizer_config.json")["model_max_length"] == int(1e30)
    with pytest.raises(ValueError, match="model_max_length=0. Expected at least 1"):
        small.save_pretrained(tmp_path, model_max_length=0)


def test_a_model_that_takes_no_types(small, tmp_path):
    small.save_pretrained(tmp_path, segment_types=False)
    names = read(tmp_path, "tokenizer_config.json")["model_input_names"]
    assert names == ["input_ids", "attention_mask"]


def test_types_that_the_tokenizer_does_not_give_are_not_asked_of_it(tmp_path):
    CASES["byte_pair"]().save_pretrained(tmp_path, segment_types=True)
    names = read(tmp_path, "tokenizer_config.json")["model_input_names"]
    assert names == ["input_ids", "attention_mask"]
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert set(theirs.encode(" the", " card").type_ids) == {0}


def test_more_special_tokens(tmp_path):
    added = [AddedToken("<user>", special=True), AddedToken("word")]
    WordPieceTokenizer(SMALL, added_tokens=added).save_pretrained(tmp_path)
    assert read(tmp_path, "tokenizer_config.json")["additional_special_tokens"] == ["<user>"]
    specials = read(tmp_path, "special_tokens_map.json")
    assert [t["content"] for t in specials["additional_special_tokens"]] == ["<user>"]


def test_a_mask_token_that_is_missing_is_not_made_up(tmp_path):
    tokens = [token for token in SMALL if token != "[MASK]"]
    WordPieceTokenizer(tokens).save_pretrained(tmp_path)
    assert "mask_token" not in read(tmp_path, "tokenizer_config.json")
    assert Tokenizer.from_pretrained(tmp_path).mask_id is None


def test_tokens_that_stand_twice_keep_all_ids(tmp_path):
    tokens = [*SMALL, "card", "", "", "end"]
    tokenizer = WordPieceTokenizer(tokens, added_tokens=["<new>"])
    tokenizer.save_pretrained(tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = "the card end <new>"
    ids = theirs.encode(text, add_special_tokens=False).ids
    assert ids == tokenizer.tokenize(text).numpy().tolist()
    assert ids[1:] == [len(SMALL), len(tokens) - 1, len(tokens)]
    assert Tokenizer.from_pretrained(tmp_path).get_config() == tokenizer.get_config()


def test_tokens_that_no_line_can_hold(tmp_path):
    tokenizer = WordPieceTokenizer([*SMALL, "a\rb", " c"])
    tokenizer.save_pretrained(tmp_path)
    assert not (tmp_path / "vocab.txt").exists()
    assert Tokenizer.from_pretrained(tmp_path).get_config() == tokenizer.get_config()


def test_words_of_101_to_200_characters_are_words(tmp_path):
    tokenizer = WordPieceTokenizer(SMALL)
    tokenizer.save_pretrained(tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for length in (100, 101, 200, 201):
        text = "a" * length
        ids = theirs.encode(text, add_special_tokens=False).ids
        assert ids == tokenizer.tokenize(text).numpy().tolist()
        assert (ids == [tokenizer.unk_id]) is (length == 201)


def test_another_tokenizers_files_do_not_stay(tmp_path):
    CASES["byte_pair"]().save_pretrained(tmp_path)
    (tmp_path / "added_tokens.json").write_text('{"<old>": 99999}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    tokenizer = WordPieceTokenizer(SMALL)
    tokenizer.save_pretrained(str(tmp_path))
    names = ["model.safetensors", "special_tokens_map.json", "tokenizer.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *names, "tokenizer_config.json", "vocab.txt",
    ]  # fmt: skip
    assert Tokenizer.from_pretrained(tmp_path).get_config() == tokenizer.get_config()


def test_what_cannot_be_said_is_refused_before_anything_is_written(tmp_path):
    tokenizer = spieces("albert", **{})
    model = tokenizer.own_model()
    model.normalizer_spec.remove_extra_whitespaces = False
    with pytest.raises(ValueError, match="keeps runs of blanks"):
        type(tokenizer)(model).save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_other_classes_are_refused(tmp_path):
    class Other(Tokenizer):
        pass

    with pytest.raises(TypeError, match="A Other has no form .* BytePairTokenizer, "):
        Other.save_pretrained(Other.__new__(Other), tmp_path)


def test_files_come_together_or_not_at_all(tmp_path, monkeypatch):
    WordPieceTokenizer(SMALL).save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace, count = replacing.os.replace, iter(range(9))

    def fails_at_the_third(source, target):
        if next(count) == 2:
            raise OSError("no room")
        replace(source, target)

    monkeypatch.setattr(replacing.os, "replace", fails_at_the_third)
    with pytest.raises(OSError, match="no room"):
        CASES["byte_pair"]().save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
