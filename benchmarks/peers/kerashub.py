"""Contender: KerasHub's BertTextClassifier on the TensorFlow backend."""

import os
import time

from worker import limit_cores, serve

os.environ["KERAS_BACKEND"] = "tensorflow"

STATE: dict = {}


def load(
    model: str,
    threads: int,
    classes: int,
    seq_length: int,
    seed: int = 0,
    pin: bool = True,
    jit_compile: bool | str = "auto",
):
    """Loads the pretrained encoder with a new classifier head.

    KerasHub runs tanh-GELU whatever the folder's `hidden_act` says, and every text takes
    `seq_length` positions: its preprocessor pads to that length and no other.
    """
    limit_cores(threads, pin)
    import keras
    import keras_hub
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(seed)
    classifier = keras_hub.models.BertTextClassifier.from_preset(model, num_classes=classes)
    default_length = classifier.preprocessor.sequence_length
    classifier.preprocessor.sequence_length = seq_length
    optimizer = keras.optimizers.AdamW(2e-5, weight_decay=0.01, global_clipnorm=1.0, epsilon=1e-6)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    classifier.compile(optimizer=optimizer, jit_compile=jit_compile)
    STATE["classifier"], STATE["preprocessor"] = classifier, classifier.preprocessor
    return {
        "keras_hub": keras_hub.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "jit_compile": bool(classifier.jit_compile),
        "sequence_length": seq_length,
        "default_sequence_length": default_length,
    }


def examples(texts: list[str], targets: list[int] | None = None):
    """Takes the texts, and the class numbers to train on, of the measurements that follow."""
    STATE["texts"], STATE["targets"] = texts, targets


def infer(batch_size: int, start_from: str = "text", count: int | None = None) -> dict:
    """Logits of the first `count` texts or all; batch size 1 asks text by text.

    `start_from="text"` is `predict` on strings, the call of KerasHub's guides. It builds and traces
    a tf.data pipeline in every call. `start_from="preprocessor"` calls the preprocessor first, and
    `predict` on the ids it returns, which avoids that. `start_from="ids"` leaves the preprocessor's
    time out.
    """
    import numpy as np

    classifier, preprocessor = STATE["classifier"], STATE["preprocessor"]
    texts = STATE["texts"][:count]
    classifier.preprocessor = preprocessor if start_from == "text" else None
    chunk = 1 if batch_size == 1 else len(texts)
    chunks = [texts[at : at + chunk] for at in range(0, len(texts), chunk)]
    if start_from == "text":
        chunks = [np.array(chunk, dtype=object) for chunk in chunks]
    if start_from == "ids":
        chunks = [preprocessor(chunk) for chunk in chunks]
    started = time.perf_counter()
    for data in chunks:
        if start_from == "preprocessor":
            data = preprocessor(data)
        logits = classifier.predict(data, batch_size=batch_size, verbose=0)
    seconds = time.perf_counter() - started
    assert len(logits) == len(chunks[-1]) or start_from == "ids"
    return {"seconds": seconds, "examples": len(texts)}


def train(batch_size: int, steps: int | None = None) -> dict:
    """One epoch of `fit` over the first `steps` batches of the examples, in the order they have.

    Timed from the end of the first step to the end of the last: KerasHub traces its preprocessing
    anew in every `fit`, which a long training does not notice.
    """
    import keras
    import numpy as np

    count = steps * batch_size if steps else len(STATE["texts"])
    ends = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    STATE["classifier"].preprocessor = STATE["preprocessor"]
    STATE["classifier"].fit(
        np.array(STATE["texts"][:count], dtype=object),
        np.array(STATE["targets"][:count]),
        batch_size=batch_size,
        epochs=1,
        callbacks=[clock],
        verbose=0,
    )
    return {"seconds": ends[-1] - ends[0], "examples": (len(ends) - 1) * batch_size}


if __name__ == "__main__":
    serve({"load": load, "examples": examples, "infer": infer, "train": train})
