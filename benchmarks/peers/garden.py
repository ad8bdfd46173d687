"""Contender: TF Model Garden's sentence prediction in its own training loop (tf_keras, orbit).

The encoder has the folder's sizes and random weights, which a step does not feel. As in the
Garden's own pipeline texts are tokenized before, and every row has one length.
"""

import json
import os
import pathlib
import time

from worker import limit_cores, serve

os.environ["TF_USE_LEGACY_KERAS"] = "1"

STATE: dict = {}


def load(
    model: str, threads: int, classes: int, seq_length: int, seed: int = 0, pin: bool = True
) -> dict:
    """Makes the task, its model and its trainer."""
    limit_cores(threads, pin)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.random.set_seed(seed)
    import tf_keras
    from official.core import config_definitions, exp_factory
    from official.nlp.configs import finetuning_experiments  # noqa: F401  Registers them.
    from official.nlp.tasks import sentence_prediction

    folder = pathlib.Path(model)
    sizes = json.loads((folder / "config.json").read_text())
    experiment = exp_factory.get_exp_config("bert/sentence_prediction")
    task = experiment.task
    task.model.num_classes, task.init_checkpoint = classes, ""
    task.model.encoder.type = "bert"
    encoder = task.model.encoder.bert
    encoder.vocab_size, encoder.type_vocab_size = sizes["vocab_size"], sizes["type_vocab_size"]
    for ours, theirs in (
        ("hidden_size", "hidden_size"),
        ("num_layers", "num_hidden_layers"),
        ("num_attention_heads", "num_attention_heads"),
        ("intermediate_size", "intermediate_size"),
        ("max_position_embeddings", "max_position_embeddings"),
    ):
        setattr(encoder, ours, sizes[theirs])
    experiment.trainer = config_definitions.TrainerConfig(
        optimizer_config={
            "optimizer": {
                "type": "adamw",
                "adamw": {
                    "weight_decay_rate": 0.01,
                    "exclude_from_weight_decay": ["LayerNorm", "layer_norm", "bias"],
                    "gradient_clip_norm": 1.0,
                },
            },
            "learning_rate": {"type": "constant", "constant": {"learning_rate": 2e-5}},
        }
    )
    made = sentence_prediction.SentencePredictionTask(task)
    STATE.update(experiment=experiment, task=made, network=made.build_model())
    STATE.update(seq_length=seq_length, vocabulary=str(folder / "vocab.txt"))
    return {
        "tensorflow": tf.__version__,
        "tf_keras": tf_keras.__version__,
        "sequence_length": seq_length,
        "default_sequence_length": seq_length,
    }


def examples(texts: list[str], targets: list[int] | None = None):
    """Takes the texts, and the class numbers to train on, as rows of ids."""
    import numpy as np
    from official.nlp.tools import tokenization

    tokenizer = tokenization.FullTokenizer(vocab_file=STATE["vocabulary"], do_lower_case=True)
    length = STATE["seq_length"]
    ids = np.zeros((len(texts), length), np.int32)
    mask = np.zeros_like(ids)
    for row, text in enumerate(texts):
        pieces = tokenizer.tokenize(text)[: length - 2]
        found = tokenizer.convert_tokens_to_ids(["[CLS]", *pieces, "[SEP]"])
        ids[row, : len(found)], mask[row, : len(found)] = found, 1
    STATE["rows"] = {
        "input_word_ids": ids,
        "input_mask": mask,
        "input_type_ids": np.zeros_like(ids),
        "label_ids": np.array(targets, np.int32),
    }
    STATE.pop("trainers", None)


def train(batch_size: int, steps: int) -> dict:
    """So many steps of the trainer, in the order of the examples; the first is not counted."""
    import tensorflow as tf

    trainer = STATE.setdefault("trainers", {}).get(batch_size) or _trainer(batch_size)
    trainer.train(tf.constant(1))
    started = time.perf_counter()
    trainer.train(tf.constant(steps - 1))
    return {"seconds": time.perf_counter() - started, "examples": (steps - 1) * batch_size}


def _trainer(batch_size):
    import tensorflow as tf
    from official.core import base_trainer
    from official.modeling import optimization

    data = tf.data.Dataset.from_tensor_slices(STATE["rows"])
    data = data.repeat().batch(batch_size, drop_remainder=True).prefetch(2)
    config, task = STATE["experiment"], STATE["task"]
    factory = optimization.OptimizerFactory(config.trainer.optimizer_config)
    optimizer = factory.build_optimizer(factory.build_learning_rate())
    trainer = base_trainer.Trainer(
        config, task, STATE["network"], optimizer, evaluate=False, train_dataset=data
    )
    STATE["trainers"][batch_size] = trainer
    return trainer


if __name__ == "__main__":
    serve({"load": load, "examples": examples, "train": train})
