"""Runs that are killed at random moments and started again, in processes of their own.

Run by test_resume.py, as a script: ``killed_runs.py FOLDER CASE MODE STEPS RUNS KILLS SEED``. It
prints one JSON line: what the run that was never killed has come to, and what those that were
killed have. TensorFlow is imported once; each run is a fork of that process, made before anything
is computed.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
os.environ["TF_NUM_INTEROP_THREADS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_bert as kb
from keras_bert.training.runs import run_checkpoints

WORDS = (
    "the a my card has not arrived good bad very what why how is it please thanks no yes".split()
)
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
LABELS = ["question", "complaint", "praise"]
BATCH, EPOCHS = 4, 2


def texts(steps):
    draw = random.Random(0)
    rows = steps // EPOCHS * BATCH
    return [" ".join(draw.choices(WORDS, k=draw.randint(2, 9))) for _ in range(rows)]


def classifier(steps, mode):
    rows = [(text, LABELS[len(text) % 3]) for text in texts(steps)]
    model = kb.BertClassifier(*parts(), labels=LABELS)
    model.compile(learning_rate=1e-2, metrics=["accuracy"], run_eagerly=mode == "eager")
    return model, rows, {"validation_data": rows[:8], "patience": 5}


def masked_lm(steps, mode):
    model = kb.BertMaskedLM(*parts())
    model.compile(learning_rate=1e-2, metrics=[], accumulate=3, run_eagerly=mode == "eager")
    return model, texts(steps), {}


def parts():
    config = kb.EncoderConfig(
        vocab_size=len(TOKENS),
        hidden_size=16,
        num_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        dropout_rate=0.1,
        attention_dropout_rate=0.1,
    )
    tokenizer = kb.WordPieceTokenizer(TOKENS, lower_case=True)
    return kb.BertEncoder(config), kb.Preprocessor(tokenizer, seq_length=12)


class Report(keras.callbacks.Callback):
    """Says after each batch that it was trained on."""

    def __init__(self, say):
        super().__init__()
        self._say = say

    def on_train_batch_end(self, batch, logs=None):
        self._say("batch")


def train(folder, case, mode, steps, say):
    """One start of a run; returns what it has come to."""
    keras.utils.set_random_seed(7)
    model, rows, options = {"classifier": classifier, "masked_lm": masked_lm}[case](steps, mode)
    history = model.fit(
        rows,
        batch_size=BATCH,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[Report(say)],
        checkpoints=folder,
        save_every=max(3, steps // 20),
        keep=2,
        **options,
    )
    variables = [*model.weights, *model.optimizer.variables]
    digest = hashlib.sha256(b"".join(np.asarray(v).tobytes() for v in variables)).hexdigest()
    return {"variables": digest, "history": history.history, "epochs": history.epoch}


def start(folder, case, mode, steps):
    """Starts a run in a process of its own; returns its number and where it reports."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, os.fdopen(reading)
    report = os.fdopen(writing, "w", buffering=1)

    def say(word):
        print(word, file=report)

    # Writing takes its time, so that it is killed in the middle of it, too.
    seal, flush = run_checkpoints._seal, run_checkpoints._flush
    run_checkpoints._seal = lambda path: (say("write"), seal(path))[1]
    run_checkpoints._flush = lambda path: (time.sleep(0.002), flush(path))[1]
    code = 1
    try:
        say("done " + json.dumps(train(folder, case, mode, steps, say)))
        code = 0
    finally:
        os._exit(code)


def outcome(arguments, kind=None, number=0, pause=0.0):
    """What a start comes to: None where it was killed, after so many events of a kind."""
    child, report = start(*arguments)
    found, left = None, number
    for line in report:
        word, _, rest = line.strip().partition(" ")
        found = json.loads(rest) if word == "done" else None
        left -= word == kind
        if word == kind and not left:
            time.sleep(pause)
            os.kill(child, signal.SIGKILL)
            break
    report.close()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    assert killed or status == 0, f"a start failed with {status}"
    return None if killed else found


def main(folder, case, mode, steps, runs, kills, seed):
    steps, draw = int(steps), random.Random(int(seed))
    expected = outcome((f"{folder}/whole", case, mode, steps))
    ends, moments = [], []
    for number in range(int(runs)):
        arguments, left, found = (f"{folder}/{number}", case, mode, steps), steps, []
        for _ in range(int(kills)):
            # Every fourth while a checkpoint is written, of which there are twenty.
            kind = "write" if number % 4 == 3 else "batch"
            moment = draw.randint(1, min(left, 15) if kind == "write" else left)
            if outcome(arguments, kind, moment, draw.random() * 0.01) is None:
                found.append(f"{kind} {moment}")
            left = max(1, left - moment)
        ends.append(outcome(arguments))
        moments.append(found)
        print(found, ends[-1] == expected, file=sys.stderr, flush=True)
    print(json.dumps({"expected": expected, "ends": ends, "moments": moments}))


if __name__ == "__main__":
    main(*sys.argv[1:])
