import pytest

from keras_bert.text.vocabulary import check_vocabulary, looks_cased, read_vocabulary


def write(path, data):
    path.write_bytes(data)
    return path


def test_lines_are_tokens_and_are_stripped(tmp_path):
    path = write(tmp_path / "vocab.txt", "[PAD]\n the \r\ncard\t\n\n##é".encode())
    assert read_vocabulary(path) == ["[PAD]", "the", "card", "", "##é"]


def test_a_line_separator_is_a_token_and_no_line_end(tmp_path):
    # As line 344 of the Chinese vocabulary: the token is stripped away, its id stays.
    path = write(tmp_path / "vocab.txt", "a\n\u2028\nb\u2028c\n".encode())
    assert read_vocabulary(str(path)) == ["a", "", "b\u2028c"]


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt.*one token per line"):
        read_vocabulary(tmp_path / "nowhere.txt")


@pytest.mark.parametrize("data", [b"", b"\n\n", b" \n\t"])
def test_empty_file(tmp_path, data):
    with pytest.raises(ValueError, match="is empty"):
        read_vocabulary(write(tmp_path / "vocab.txt", data))


def test_undecodable_line_is_named(tmp_path):
    path = write(tmp_path / "vocab.txt", b"a\nb\n\xff\xfe\nd\n")
    with pytest.raises(ValueError, match="not UTF-8: line 3"):
        read_vocabulary(path)


def test_check_vocabulary():
    assert check_vocabulary(("a", "b")) == ["a", "b"]
    with pytest.raises(ValueError, match="empty"):
        check_vocabulary([])
    with pytest.raises(TypeError, match=r"Token 1 .* 7 \(int\)"):
        check_vocabulary(["a", 7])
    with pytest.raises(ValueError, match=r"Token 1 .* line feed"):
        check_vocabulary(["a", "b\nc"])
    with pytest.raises(ValueError, match=r"Token 1 .* UTF-8"):
        check_vocabulary(["a", "\ud800"])


def test_looks_cased():
    assert looks_cased(["[CLS]", "the", "##ing", "The"])
    assert looks_cased(["the", "##É"])
    assert not looks_cased(["[CLS]", "<S>", "the", "##ing", "中", "[unused1]", ""])
