"""Contender: fine-tuning tasks with keras_bert's `fit`."""

import json
import time

from worker import limit_cores, serve

STATE: dict = {}


def load(threads: int):
    """Takes the machine's cores."""
    limit_cores(threads, pin=False)
    import keras
    import tensorflow as tf

    import keras_bert as kb

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    versions = {"keras_bert": kb.__version__, "keras": keras.__version__}
    return {**versions, "tensorflow": tf.__version__}


def make(kind: str, folder: str, names, seq_length: int):
    """A model of the task."""
    import keras_bert as kb

    if kind == "tags":
        return kb.BertTokenClassifier.from_pretrained(
            folder, labels=names, seq_length=seq_length, label_pieces="first"
        )
    if kind == "spans":
        return kb.BertSpanLabeler.from_pretrained(folder, seq_length=seq_length)
    if kind == "values":
        return kb.BertClassifier.from_pretrained(folder, num_labels=1, seq_length=seq_length)
    return kb.BertClassifier.from_pretrained(folder, labels=names, seq_length=seq_length)


def item(kind: str, example: dict):
    """An example as `fit` takes it: (text, pair or words; label)."""
    text = example["text"]
    if kind != "tags" and isinstance(text, list):
        text = tuple(text)
    return text, example["label"]


#: What of an answer is compared.
ANSWERS = {
    "classes": lambda answer: answer["label"],
    "values": lambda answer: answer["value"],
    "tags": lambda answer: answer["tags"],
    "spans": lambda answer: answer["text"],
}


def task_run(kind: str, model: str, train: str, test: str, names, seed: int, recipe: dict) -> dict:
    """Fine-tunes on the examples of a JSON file, answers those of another."""
    import keras

    from keras_bert.training import AdamW, WarmupLinearDecay

    keras.utils.set_random_seed(seed)
    task = make(kind, model, names, recipe["seq_length"])
    # transformers starts a head from a normal distribution, keras_bert as Google's release from one
    # cut off at two deviations, which is 12 % narrower: part of the recipe, so theirs for both.
    kernel = task.head.logits.kernel
    kernel.assign(keras.random.normal(kernel.shape, stddev=task.head.initializer_range))
    task.compile(
        optimizer=AdamW(
            WarmupLinearDecay(recipe["learning_rate"], warmup=recipe["warmup"]),
            weight_decay=recipe["weight_decay"],
            epsilon=recipe["epsilon"],
            global_clipnorm=recipe["clip"],
        )
    )
    read = []
    for path in (train, test):
        with open(path, encoding="utf-8") as file:
            read.append([item(kind, example) for example in json.load(file)])
    started = time.perf_counter()
    history = task.fit(read[0], batch_size=recipe["batch_size"], epochs=recipe["epochs"], verbose=0)
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    texts = [text for text, _ in read[1]]
    answers = task.predict(texts)
    answered = time.perf_counter() - started
    return {
        "answers": [ANSWERS[kind](answer) for answer in answers],
        "spans": checked_spans(kind, task, texts, answers),
        "losses": history.history["loss"],
        "rows": int(task.optimizer.iterations) * recipe["batch_size"] // recipe["epochs"],
        "train_seconds": seconds,
        "answer_seconds": answered,
    }


def checked_spans(kind: str, task, texts, answers) -> dict | None:
    """How many answers are parts of texts, and which of them are not what stands there."""
    if kind == "tags":
        from keras_bert.text.words import join_words

        # Once as words and once as a text in which nobody has marked any.
        wholes = [join_words(words)[0] for words in texts]
        found = [*answers, *task.predict(wholes)]
        spans = [(t, e) for t, a in zip(wholes * 2, found, strict=True) for e in a["entities"]]
    elif kind == "spans":
        spans = [(t[1], a) for t, a in zip(texts, answers, strict=True) if a["text"]]
    else:
        return None
    wrong = [
        (text, span)
        for text, span in spans
        if text[span["start"] : span["end"]] != span["text"]
        or not span["text"]
        or span["text"] != span["text"].strip()
    ]
    return {"count": len(spans), "wrong": [[text, str(span)] for text, span in wrong[:10]]}


if __name__ == "__main__":
    serve({"load": load, "task_run": task_run})
