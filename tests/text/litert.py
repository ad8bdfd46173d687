"""Tokenizers in LiteRT, run by a process that does not know keras_bert."""

import json

import tensorflow as tf

from tests.text.fresh_process import last_line

SCRIPT = """
    import json
    import numpy as np, tensorflow as tf
    import tensorflow_text as tf_text
    from tensorflow.lite.python import interpreter
    model = interpreter.InterpreterWithCustomOps(
        model_path="tokenizer.tflite",
        custom_op_registerers=tf_text.tflite_registrar.SELECT_TFTEXT_OPS,
    )
    run = model.get_signature_runner()
    texts = [bytes.fromhex(text) for text in json.load(open("texts.json"))]
    found = run(strings=np.array(texts, object))
    splits = found["row_splits"]
    values = found["values"].tolist()
    print(json.dumps([values[a:b] for a, b in zip(splits[:-1], splits[1:])]))
"""


def ids_in_litert(tokenizer, texts, folder):
    """Ids of texts (bytes), by the tokenizer converted to LiteRT in `folder`."""

    class Module(tf.Module):
        # A ragged tensor as two dense ones: LiteRT has no ragged type.
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def ids(self, strings):
            ids = tokenizer.tokenize(strings)
            return {"values": ids.values, "row_splits": ids.row_splits}

    module = Module()
    functions = [module.ids.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(functions, module)
    converter.allow_custom_ops = True
    (folder / "tokenizer.tflite").write_bytes(converter.convert())
    (folder / "texts.json").write_text(json.dumps([text.hex() for text in texts]))
    return json.loads(last_line(SCRIPT, folder))
