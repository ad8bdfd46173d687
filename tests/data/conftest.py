"""Files to read, and how refusing one is checked."""

import pytest

from keras_bert.data.examples import SourceError
from keras_bert.data.sources import read_examples


@pytest.fixture
def write(tmp_path):
    """Writes a file from str or bytes and returns its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


def refused(path, **options):
    with pytest.raises(SourceError) as caught:
        read_examples(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return caught.value
