"""Contender: keras_bert, through the calls its users make."""

import time

from recipe import accuracy_and_macro_f1, matmul_operands, read_labelled, sample
from worker import limit_cores, serve

STATE: dict = {}


def load(model: str, threads: int, classes: int, seq_length: int, seed: int = 0, pin: bool = True):
    """Loads the pretrained encoder with a new classifier head."""
    limit_cores(threads, pin)
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    import keras_bert as kb

    keras.utils.set_random_seed(seed)
    STATE["model"] = kb.BertClassifier.from_pretrained(
        model, labels=[str(number) for number in range(classes)], seq_length=seq_length
    )
    STATE["model"].head_is_fresh = False  # Timed as after training: without the warning.
    return {
        "keras_bert": getattr(kb, "__version__", "of this checkout"),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }


def examples(texts: list[str], targets: list[int] | None = None):
    """Takes the texts, and the class numbers to train on, of the measurements that follow."""
    STATE["texts"], STATE["targets"] = texts, targets


def lengths() -> list[int]:
    """Tokens of each text, cut at the sequence length, [CLS] and [SEP] included."""
    from keras_bert.data.batching import TokenizedTexts

    return TokenizedTexts(STATE["model"].preprocessor, STATE["texts"]).lengths.tolist()


def infer(batch_size: int, start_from: str = "text") -> dict:
    """Answers to all texts through `predict`; batch size 1 asks text by text.

    `start_from="function"` asks one `tf.function` from strings to answers, as an exported model has
    it, in batches as they come; `start_from="ids"` goes from ids to logits, sorted by length.
    """
    ask = {"text": ask_predict, "function": ask_function, "ids": ask_ids}[start_from]
    seconds = ask(STATE["model"], STATE["texts"], batch_size)
    return {"seconds": seconds, "examples": len(STATE["texts"])}


def ask_predict(model, texts, batch_size) -> float:
    """Seconds of the public call."""
    started = time.perf_counter()
    if batch_size == 1:
        answers = [model.predict([text])[0] for text in texts]
    else:
        answers = model.predict(texts, batch_size=batch_size)
    seconds = time.perf_counter() - started
    assert len(answers) == len(texts)
    return seconds


def ask_function(model, texts, batch_size) -> float:
    """Seconds of one graph from strings to answers."""
    import tensorflow as tf

    if "function" not in STATE:
        STATE["function"] = tf.function(
            lambda strings: model.answers(model(model.preprocessor(strings), training=False)),
            input_signature=[tf.TensorSpec((None,), tf.string)],
        )
    started = time.perf_counter()
    for at in range(0, len(texts), batch_size):
        answers = STATE["function"](tf.constant(texts[at : at + batch_size]))
        {name: value.numpy() for name, value in answers.items()}
    return time.perf_counter() - started


def ask_ids(model, texts, batch_size) -> float:
    """Seconds from pieces to logits: packing, padding and the model."""
    import tensorflow as tf

    from keras_bert.data.batching import TokenizedTexts, sorted_batches

    if "logits" not in STATE:
        STATE["logits"] = tf.function(
            lambda ids: model(ids, training=False),
            input_signature=[
                {
                    name: tf.TensorSpec((None, None), tf.int32)
                    for name in ("input_word_ids", "input_mask", "input_type_ids")
                }
            ],
        )
    tokens = TokenizedTexts(model.preprocessor, texts)
    started = time.perf_counter()
    for rows in sorted_batches(tokens.lengths, batch_size):
        STATE["logits"](tokens.batch(rows)).numpy()
    return time.perf_counter() - started


def train(batch_size: int, steps: int | None = None) -> dict:
    """One epoch of `fit` over the first `steps` batches' examples, grouped by length."""
    count = steps * batch_size if steps else len(STATE["texts"])
    texts, targets = STATE["texts"][:count], STATE["targets"][:count]
    started = time.perf_counter()
    STATE["model"].fit(texts, targets, batch_size=batch_size, epochs=1, verbose=0)
    return {"seconds": time.perf_counter() - started, "examples": len(texts)}


def matmuls(shapes: list[list[int]], sizes: dict, first_token_only: bool) -> dict:
    """Seconds of nothing but an encoder's matrix products for batches of these shapes."""
    import tensorflow as tf

    def draw(*size):
        return tf.random.normal(size)

    weights, inputs = matmul_operands(shapes, sizes, first_token_only, draw)

    def products(operands):
        results = []
        for layer, own in zip(weights, operands, strict=True):
            queries, keys, scores, values = own["attention"]
            results += [tf.matmul(*pair) for pair in zip(own["dense"], layer, strict=True)]
            results += [tf.matmul(queries, keys, transpose_b=True), tf.matmul(scores, values)]
        # One number of each: enough to keep the products, nothing that costs.
        return tf.add_n([tf.reshape(result, [-1])[0] for result in results])

    def any_length(tensor):
        return tf.TensorSpec([None] * tensor.shape.rank, tensor.dtype)

    signature = tf.nest.map_structure(any_length, next(iter(inputs.values())))
    function = tf.function(products, input_signature=[signature])
    for operands in inputs.values():
        function(operands)
    started = time.perf_counter()
    for batch, seq_length in shapes:
        function(inputs[batch, seq_length]).numpy()
    return {"seconds": time.perf_counter() - started, "examples": sum(row[0] for row in shapes)}


def accuracy_run(
    train: str,
    test: str,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    warmup: float,
    epsilon: float,
    clip: float,
    seed: int,
    examples: int | None = None,
) -> dict:
    """Fine-tunes on a CSV file, answers another; returns scores, losses and seconds."""
    import keras

    from keras_bert.training import AdamW, WarmupLinearDecay

    model = STATE["model"]
    # transformers starts a head from a normal distribution, keras_bert as Google's release from one
    # cut off at two deviations, which is 12 % narrower: part of the recipe, so theirs for both.
    kernel = model.head.logits.kernel
    kernel.assign(keras.random.normal(kernel.shape, stddev=model.head.initializer_range))
    texts, names = read_labelled(train)
    labels = sorted(set(names))
    texts, names = sample(texts, names, examples)
    model.compile(
        optimizer=AdamW(
            WarmupLinearDecay(learning_rate, warmup=warmup),
            weight_decay=weight_decay,
            epsilon=epsilon,
            global_clipnorm=clip,
        )
    )
    started = time.perf_counter()
    history = model.fit(
        texts,
        [labels.index(name) for name in names],
        batch_size=batch_size,
        epochs=epochs,
        verbose=0,
    )
    seconds = time.perf_counter() - started
    texts, names = read_labelled(test)
    answers = [int(answer["label"]) for answer in model.predict(texts, batch_size=64)]
    accuracy, macro_f1 = accuracy_and_macro_f1([labels.index(name) for name in names], answers)
    return {
        "accuracy": accuracy,
        "macro_f1": macro_f1,
        "losses": history.history["loss"],
        "steps": int(model.optimizer.iterations),
        "train_seconds": seconds,
    }


if __name__ == "__main__":
    serve(
        {
            "load": load,
            "examples": examples,
            "lengths": lengths,
            "infer": infer,
            "train": train,
            "matmuls": matmuls,
            "accuracy_run": accuracy_run,
        }
    )
