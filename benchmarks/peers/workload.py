"""What encoder.py and finetune.py share: arguments, models, texts, starting the contenders."""

import argparse
import contextlib
import json
import pathlib
import random
import sys

from contender import Contender
from recipe import read_labelled, read_texts

# `python` names the argument that holds the interpreter, `load` goes to the contender's loading.
CONTENDERS = {
    "keras_bert": {"python": "python", "script": "ours.py"},
    "KerasHub": {"python": "kerashub_python", "script": "kerashub.py"},
    "KerasHub XLA": {
        "python": "kerashub_python",
        "script": "kerashub.py",
        "load": {"jit_compile": True},
    },
    "PyTorch": {"python": "torch_python", "script": "huggingface.py"},
    "Model Garden": {"python": "garden_python", "script": "garden.py"},
}

#: Contenders that pad every text to one length.
ONE_LENGTH = ("KerasHub", "KerasHub XLA", "Model Garden")

BERT_BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "vocab_size": 30522,
}

# Lengths that people pad to. `ONE_LENGTH` get the smallest that holds every text of the benchmark.
FIXED_LENGTHS = (32, 64, 96, 128, 192, 256, 384, 512)

# Nobody sees more of a text than this.
LONGEST = 384

CLASSES = 77


def parser(description: str, models: list[str], peers: list[str]) -> argparse.ArgumentParser:
    """The arguments that both benchmarks have, with their defaults."""
    result = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("--minilm", required=True, help="Hugging Face folder of MiniLM-L6")
    result.add_argument("--short-texts", required=True, help="BANKING77's train.csv or test.csv")
    result.add_argument(
        "--long-texts", required=True, help="SQuAD .json (its contexts), folder of them, .csv, .txt"
    )
    result.add_argument("--bert-base", default="build/benchmarks/bert_base", help="made if absent")
    result.add_argument("--models", nargs="*", choices=["minilm", "bert_base"], default=models)
    result.add_argument("--texts", nargs="*", choices=["short", "long"], default=["short", "long"])
    result.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    result.add_argument("--rounds", type=int, default=7)
    result.add_argument(
        "--seconds", type=float, default=150, help="begin no round after this (three are made)"
    )
    result.add_argument("--peers", nargs="*", choices=list(CONTENDERS)[1:], default=peers)
    result.add_argument("--scale", type=float, default=1.0, help="share of the texts or steps")
    result.add_argument("--runs", help="JSON lines file of results; cells in it are not repeated")
    result.add_argument("--python", default=sys.executable, help="interpreter with keras_bert")
    result.add_argument("--torch-python", default="build/peers/torch/bin/python")
    result.add_argument("--kerashub-python", default="build/peers/kerashub/bin/python")
    result.add_argument("--garden-python", default="build/peers/garden/bin/python")
    result.add_argument("--log", default="build/benchmarks/log.txt", help="what contenders print")
    return result


def start(name: str, arguments) -> Contender:
    """Starts a contender's process."""
    pathlib.Path(arguments.log).parent.mkdir(parents=True, exist_ok=True)
    how = CONTENDERS[name]
    return Contender(name, getattr(arguments, how["python"]), how["script"], arguments.log)


@contextlib.contextmanager
def running(names: list[str], model: str, threads: int, texts, targets, arguments, lengths=()):
    """Starts contenders and gives them a model and texts.

    Yields name -> contender, what each said of itself, and the tokens of each text. Those of
    ``ONE_LENGTH`` come last: what they pad to depends on the texts. Alone they have to be told
    their `lengths`.
    """
    with contextlib.ExitStack() as stack:
        contenders, versions = {}, {}
        for name in sorted(names, key=lambda name: name in ONE_LENGTH):
            fixed = name in ONE_LENGTH
            contenders[name] = stack.enter_context(start(name, arguments))
            versions[name] = contenders[name].ask(
                "load",
                model=model_folder(model, arguments),
                threads=threads,
                classes=CLASSES,
                seq_length=fixed_length(lengths) if fixed else LONGEST,
                **CONTENDERS[name].get("load", {}),
            )
            contenders[name].ask("examples", texts=texts, targets=targets)
            if not lengths:
                lengths = contenders[name].ask("lengths")
        yield contenders, versions, lengths


def model_folder(model: str, arguments) -> str:
    """The folder of a model; BERT-base is written with random weights when it is wanted first."""
    if model == "minilm":
        return arguments.minilm
    folder = pathlib.Path(arguments.bert_base)
    if not (folder / "model.safetensors").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with start("PyTorch", arguments) as contender:
            contender.ask(
                "random_encoder", folder=str(folder), vocabulary_from=arguments.minilm, **BERT_BASE
            )
    return str(folder)


def sizes(folder: str) -> dict:
    """The sizes that decide an encoder's matrix products."""
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    return {
        "hidden": config["hidden_size"],
        "intermediate": config["intermediate_size"],
        "layers": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
    }


def drawn(kind: str, count: int, arguments) -> tuple[list[str], list[int]]:
    """`count` random texts in random order with class numbers, the same in every run.

    Long texts have no classes: theirs are drawn.
    """
    path = arguments.short_texts if kind == "short" else arguments.long_texts
    texts, names = read_labelled(path) if kind == "short" else (read_texts(path), None)
    shuffler = random.Random(0)
    rows = [row % len(texts) for row in shuffler.sample(range(max(count, len(texts))), count)]
    if names is None:
        return [texts[row] for row in rows], [shuffler.randrange(CLASSES) for _ in rows]
    labels = sorted(set(names))
    return [texts[row] for row in rows], [labels.index(names[row]) for row in rows]


def fixed_length(lengths: list[int]) -> int:
    """The smallest usual length that holds every text."""
    return next(length for length in FIXED_LENGTHS if length >= max(lengths))
