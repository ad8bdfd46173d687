import pytest

from keras_bert.text.sentencepiece.model import NORMAL, model_proto, parse_model, read_model


def test_written_and_read(tmp_path):
    model = model_proto()
    model.pieces.add(piece="a\n", score=-1.5)
    (tmp_path / "m.model").write_bytes(model.SerializeToString())
    (piece,) = read_model(tmp_path / "m.model").pieces
    assert (piece.piece, piece.score, piece.type) == ("a\n", -1.5, NORMAL)


def test_defaults_are_those_of_sentencepiece():
    model = model_proto()
    assert model.normalizer_spec.add_dummy_prefix and model.trainer_spec.unk_id == 0
    assert model.trainer_spec.unk_surface == " ⁇ "


def test_undeclared_fields_are_kept():
    content = b"\x0a\x03\x0a\x01a" + b"\x22\x05\x0a\x03\x0a\x01x"  # pieces, self_test_data
    assert parse_model(content).SerializeToString() == content


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="No SentencePiece model at"):
        read_model(tmp_path / "gone.model")
    (tmp_path / "m.model").write_bytes(b"\xff\xff")
    with pytest.raises(ValueError, match=r"m.model' is not a SentencePiece model"):
        read_model(tmp_path / "m.model")
    with pytest.raises(ValueError, match="holds no pieces"):
        parse_model(b"")
