"""Scripts, and tokenizers in SavedModels, run by a new Python process."""

import json
import os
import subprocess
import sys
import textwrap

import tensorflow as tf

SCRIPT = """
    import json, sys
    import tensorflow as tf, tensorflow_text
    model = tf.saved_model.load("model")
    texts = tf.constant([bytes.fromhex(text) for text in json.load(open("texts.json"))])

    def rows(values):
        return values.to_list() if isinstance(values, tf.RaggedTensor) else values.numpy().tolist()

    found = tf.nest.map_structure(rows, model.run(texts))
    assert not any(name.split(".")[0] == "keras_bert" for name in sys.modules)
    print(json.dumps(found, default=bytes.decode))
"""


def last_line(script, folder=None, **environment):
    """What a script prints last, run in `folder`; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def from_saved_model(function, texts, folder):
    """Nested lists of what a function from strings gives for texts (bytes): tensors, or a dict.

    It is saved in `folder`, and run from there by a process that never imports keras_bert.
    """
    module = tf.Module()
    module.run = tf.function(function, input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, str(folder / "model"))
    (folder / "texts.json").write_text(json.dumps([text.hex() for text in texts]))
    return json.loads(last_line(SCRIPT, folder))
