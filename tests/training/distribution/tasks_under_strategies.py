"""Trains tasks on one device, several devices or several workers; writes what came of it.

python tasks_under_strategies.py CHECKPOINT OUT.npz --kinds one mirrored --tasks classes spans

A process of its own: logical devices and workers have to be there before TensorFlow starts, and a
second MirroredStrategy of a process mixes up its collective operations with the first's.
"""

import argparse
import json
import os
import pathlib
import shutil
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

QUESTIONS = [
    "where is my card?",
    "my card has not come, where is it?",
    "the food is bad",
    "this is the worst service of all, and the food is not good",
    "great",
    "thank you for the food, it was great",
    "when does it open?",
    "is the card free for all of us?",
    "not good at all",
    "I like the new card",
    "why is it late again?",
]
LABELS = ["question", "complaint", "praise"]


def class_examples():
    """11 texts: batches of 5, 5 and 1, of which one replica gets nothing."""
    return [(text, LABELS[i % 3]) for i, text in enumerate(QUESTIONS)]


def numbers():
    return [(text, len(text) / 10) for text in QUESTIONS]


def sets():
    return [(text, [name for name in LABELS if name[0] in text]) for text in QUESTIONS]


def tagged():
    words = [text.split() for text in QUESTIONS]
    return [(w, ["B-X" if "card" in word else "O" for word in w]) for w in words]


def spans():
    found = []
    for i, text in enumerate(QUESTIONS):
        word = text.split()[-1]
        answer = {"text": word, "start": text.index(word)}
        found.append((("what?", text), [] if i == 4 else [answer]))
    return found


def choices():
    return [
        ((text, ["is good", "is not good", "is late"][: 2 + i % 2]), i % 2)
        for i, text in enumerate(QUESTIONS)
    ]


def pairs():
    return [(text, text.split()[-1]) for text in QUESTIONS]


def scored_pairs():
    return [((text, text.split()[-1]), (i % 5) / 4) for i, text in enumerate(QUESTIONS)]


#: Task → class, arguments, examples, arguments of fit.
TASKS = {
    "classes": ("BertClassifier", {}, class_examples, {}),
    "values": ("BertClassifier", {"num_labels": 1}, numbers, {}),
    "sets": ("BertClassifier", {"labels": LABELS, "multi_label": True}, sets, {}),
    "balanced": ("BertClassifier", {}, class_examples, {"class_weight": "balanced"}),
    "tags": ("BertTokenClassifier", {"labels": ["O", "B-X", "I-X"]}, tagged, {}),
    "spans": ("BertSpanLabeler", {}, spans, {}),
    "choices": ("BertMultipleChoice", {}, choices, {}),
    "pairs": ("DualEncoder", {"pooling": "mean"}, pairs, {}),
    "scored": ("DualEncoder", {"pooling": "mean"}, scored_pairs, {}),
    "masked": ("BertMaskedLM", {}, lambda: QUESTIONS, {}),
}


def with_dropout(checkpoint, folder, rate):
    """A copy of a checkpoint whose config has another dropout."""
    copied = pathlib.Path(folder) / f"dropout_{rate}"
    if copied.exists():
        return str(copied)
    shutil.copytree(checkpoint, copied)
    config = json.loads((copied / "config.json").read_text())
    names = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
    config |= dict.fromkeys(names, rate)
    (copied / "config.json").write_text(json.dumps(config))
    return str(copied)


def trained(strategy, checkpoint, task, options):
    """One run: its history, its scores at the end, its weights."""
    import keras

    import keras_bert as kb

    kind, arguments, examples, fit = TASKS[task]
    examples = examples()
    keras.mixed_precision.set_dtype_policy("float32")
    keras.utils.set_random_seed(7)
    compiled = dict(options.get("compile", {}))
    with strategy.scope():
        model = getattr(kb, kind).from_pretrained(
            checkpoint, **arguments, **options.get("model", {})
        )
        make = OPTIMIZERS[options.get("optimizer", "adamw")]
        model.compile(optimizer=make(kb, keras, options), **compiled)
    history = model.fit(
        examples,
        batch_size=5,
        epochs=2,
        verbose=0,
        validation_data=examples[:7],
        **fit,
        **options.get("fit", {}),
    )
    evaluated = model.evaluate(examples, verbose=0)
    copies = [
        np.abs(copy.numpy() - variable.numpy()).max()
        for variable in model.trainable_variables
        for copy in strategy.experimental_local_results(variable.value)
    ]
    seeds = [
        [copy.numpy()[1] for copy in strategy.experimental_local_results(variable.value)]
        for variable in model.non_trainable_variables
        if variable.name == "seed_generator_state"
    ]
    scores = {**history.history, **{f"evaluated {k}": v for k, v in evaluated.items()}}
    weights = [np.ravel(w) for w in model.get_weights() if np.asarray(w).dtype.kind == "f"]
    return {
        "weights": np.concatenate(weights),
        "seeds": np.asarray(seeds),
        "copies apart": max(copies, default=0.0),
        "steps": _inner(model.optimizer).iterations.numpy(),
        **{f"score {name}": np.asarray(value, float) for name, value in scores.items()},
    }


def _inner(optimizer):
    return getattr(optimizer, "inner_optimizer", optimizer)


def _with_scaling(optimizer, keras, options):
    return keras.optimizers.LossScaleOptimizer(optimizer) if options.get("scaling") else optimizer


#: Name → optimiser of options.
OPTIMIZERS = {
    "adamw": lambda kb, keras, o: _with_scaling(
        kb.AdamW(1e-3, epsilon=1e-4, **o.get("optimizer_options", {})), keras, o
    ),
    "lamb": lambda kb, keras, o: _with_scaling(
        kb.LAMB(1e-3, epsilon=1e-4, **o.get("optimizer_options", {})), keras, o
    ),
    "sgd": lambda kb, keras, o: _with_scaling(
        keras.optimizers.SGD(1e-2, **o.get("optimizer_options", {})), keras, o
    ),
}


def strategy_of(kind, devices):
    """The strategy of a name."""
    if kind == "one":
        return tf.distribute.get_strategy()
    if kind == "workers":
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(devices)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("out")
    parser.add_argument("--kinds", nargs="+", choices=("one", "mirrored", "workers"))
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--cases", default="{}", help="JSON: name → options")
    arguments = parser.parse_args()
    if "mirrored" in arguments.kinds:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * arguments.devices,
        )
    cases = json.loads(arguments.cases) or {"": {}}
    strategies = {kind: strategy_of(kind, arguments.devices) for kind in arguments.kinds}
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for task in arguments.tasks:
            for name, options in cases.items():
                rate = options.get("dropout", 0.0)
                checkpoint = with_dropout(arguments.checkpoint, folder, rate)
                for kind, strategy in strategies.items():
                    found = trained(strategy, checkpoint, task, options)
                    results |= {f"{kind}|{task}|{name}|{k}": v for k, v in found.items()}
    np.savez(arguments.out, **results)


if __name__ == "__main__":
    main()
