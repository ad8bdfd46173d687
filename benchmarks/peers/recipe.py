"""The parts of the fine-tuning recipe that every contender shares, in plain Python.

Data reading, label order, length-grouped batches, learning rate and scores live here, so that two
frameworks that are compared differ in the framework and in nothing else. Imports neither TensorFlow
nor torch, because every contender's process imports this file.
"""

import csv
import itertools
import json
import lzma
import pathlib
import random
from collections.abc import Callable, Sequence


def read_labelled(path: str | pathlib.Path) -> tuple[list[str], list[str]]:
    """Reads texts and label names from the first two columns of a CSV file with a header."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [row[0] for row in rows], [row[1] for row in rows]


def read_texts(path: str | pathlib.Path) -> list[str]:
    """Reads texts: the first column of a .csv, every SQuAD context of a .json, lines of a .txt.

    Sentences of a .conll are its words with blanks between. Files may be .xz. A folder is read
    file by file in name order (SQuAD and CoNLL files only).
    """
    path = pathlib.Path(path)
    if path.is_dir():
        files = sorted([*path.glob("*.json"), *path.glob("*.conll")])
        return [text for file in files for text in read_texts(file)]
    if path.suffix == ".csv":
        return read_labelled(path)[0]
    if path.suffix == ".json":
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
        return [part["context"] for article in articles for part in article["paragraphs"]]
    content = lzma.open(path).read() if path.suffix == ".xz" else path.read_bytes()
    lines = content.decode("utf-8").split("\n")
    if path.suffix == ".conll":
        sentences = itertools.groupby(lines, key=lambda line: bool(line.strip()))
        return [" ".join(line.split()[0] for line in rows) for words, rows in sentences if words]
    return [line for line in lines if line.strip()]


def sample(
    texts: list[str], names: list[str], count: int | None, seed: int = 0
) -> tuple[list[str], list[str]]:
    """`count` random examples, the same ones for everybody, or all of them as they are."""
    if count is None:
        return texts, names
    rows = random.Random(seed).sample(range(len(texts)), count)
    return [texts[row] for row in rows], [names[row] for row in rows]


def grouped_batches(
    lengths: Sequence[int], batch_size: int, seed: int, pool_batches: int = 50
) -> list[list[int]]:
    """One epoch of length-grouped random batches, as lists of example numbers.

    The algorithm of `keras_bert.data.batching.length_grouped_batches`, for those who lack it.

    Shuffles the examples, cuts them into pools of `pool_batches` batches, sorts each pool by
    length, cuts the pools into batches and shuffles the batches of the epoch.
    """
    order = list(range(len(lengths)))
    shuffler = random.Random(seed)
    shuffler.shuffle(order)
    pool_size = pool_batches * batch_size
    batches = []
    for start in range(0, len(order), pool_size):
        pool = sorted(order[start : start + pool_size], key=lambda index: lengths[index])
        batches += [pool[at : at + batch_size] for at in range(0, len(pool), batch_size)]
    shuffler.shuffle(batches)
    return batches


def warmup_then_linear(step: int, steps: int, warmup_share: float) -> float:
    """Factor of the peak learning rate at `step` (0-based): linear up, then linear down to 0."""
    warmup = round(steps * warmup_share)
    if step < warmup:
        return step / max(1, warmup)
    return max(0.0, (steps - step) / max(1, steps - warmup))


def accuracy_and_macro_f1(targets: Sequence[int], answers: Sequence[int]) -> tuple[float, float]:
    """Accuracy and the unweighted mean of the F1 of every class that occurs in the targets."""
    hits: dict[int, int] = {}
    wanted: dict[int, int] = {}
    given: dict[int, int] = {}
    for target, answer in zip(targets, answers, strict=True):
        wanted[target] = wanted.get(target, 0) + 1
        given[answer] = given.get(answer, 0) + 1
        hits[target] = hits.get(target, 0) + (target == answer)
    scores = [2 * hits[label] / (wanted[label] + given.get(label, 0)) for label in wanted]
    return sum(hits.values()) / len(targets), sum(scores) / len(scores)


def matmul_operands(
    shapes: Sequence[Sequence[int]], sizes: dict, first_token_only: bool, draw: Callable
) -> tuple[list[list], dict]:
    """Operands of every matrix product that an encoder cannot do without.

    Per layer: Q, K and V at once, attention output, both products of the feed-forward network,
    and the attention's two products per head. With `first_token_only` the last layer has queries,
    output and feed-forward network only at the first token, which is all that a classifier reads.

    Args:
        shapes: (batch, seq) of each batch; equal shapes share their operands.
        sizes: `hidden`, `intermediate`, `layers`, `heads`.
        first_token_only: see above.
        draw: makes a random matrix from its sizes.

    Returns:
        The weights, [layer][product], and for each shape a list with a dict per layer: `dense` with
        the left operand of each of the layer's weights, `attention` with queries, keys, scores,
        values.
    """
    hidden, inner, heads = sizes["hidden"], sizes["intermediate"], sizes["heads"]
    full = [(hidden, 3 * hidden), (hidden, hidden), (hidden, inner), (inner, hidden)]
    last = [(hidden, hidden), (hidden, 2 * hidden), *full[1:]]
    weights = []
    for layer in range(sizes["layers"]):
        short = first_token_only and layer == sizes["layers"] - 1
        weights.append([draw(*size) for size in (last if short else full)])
    inputs = {}
    for batch, seq_length in {tuple(shape) for shape in shapes}:
        middle = dense_and_attention(batch, seq_length, seq_length, full, heads, draw)
        end = middle
        if first_token_only:
            end = dense_and_attention(batch, seq_length, 1, last, heads, draw)
        layers = [middle] * (sizes["layers"] - 1) + [end]
        # Own queries and values per layer: equal products would be computed once in a TF graph.
        inputs[batch, seq_length] = [
            {
                "dense": layer["dense"],
                "attention": [
                    draw(*layer["attention"][0].shape),
                    layer["attention"][1],
                    layer["attention"][2],
                    draw(*layer["attention"][3].shape),
                ],
            }
            for layer in layers
        ]
    return weights, inputs


def dense_and_attention(batch, seq_length, queries, weight_sizes, heads, draw) -> dict:
    """Left operands of a layer's weights, and the operands of its attention."""
    rows = [batch * queries] * 4
    if len(weight_sizes) == 5:  # Queries apart from keys and values, which all tokens need.
        rows.insert(1, batch * seq_length)
    per_head = weight_sizes[0][0] // heads
    return {
        "dense": [draw(row, size[0]) for row, size in zip(rows, weight_sizes, strict=True)],
        "attention": [
            draw(batch, heads, queries, per_head),
            draw(batch, heads, seq_length, per_head),
            draw(batch, heads, queries, seq_length),
            draw(batch, heads, seq_length, per_head),
        ],
    }
