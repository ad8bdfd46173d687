"""Contender: Hugging Face transformers on PyTorch (SDPA attention, fast tokenizer, fused AdamW)."""

import os
import pathlib
import shutil
import time

from recipe import (
    accuracy_and_macro_f1,
    grouped_batches,
    matmul_operands,
    read_labelled,
    sample,
    warmup_then_linear,
)
from worker import limit_cores, serve

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

STATE: dict = {}


def load(model: str, threads: int, classes: int, seq_length: int, seed: int = 0, pin: bool = True):
    """Loads the pretrained encoder with a new classifier head."""
    limit_cores(threads, pin)
    import torch
    import transformers

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    STATE["torch"] = torch
    STATE["tokenizer"] = transformers.AutoTokenizer.from_pretrained(
        model, use_fast=True, model_max_length=seq_length
    )
    STATE["model"] = transformers.AutoModelForSequenceClassification.from_pretrained(
        model, num_labels=classes, attn_implementation="sdpa", dtype=torch.float32
    ).eval()
    return {"torch": torch.__version__, "transformers": transformers.__version__}


def random_encoder(folder: str, vocabulary_from: str, **config):
    """Writes a BERT of the given sizes with random weights and another folder's vocabulary."""
    import torch
    import transformers

    torch.manual_seed(0)
    model = transformers.BertModel(transformers.BertConfig(**config))
    model.save_pretrained(folder)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(pathlib.Path(vocabulary_from) / name, folder)


def examples(texts: list[str], targets: list[int] | None = None):
    """Takes the texts, and the class numbers to train on, of the measurements that follow."""
    STATE["texts"], STATE["targets"] = texts, targets


def lengths() -> list[int]:
    """Tokens of each text, cut at the sequence length, [CLS] and [SEP] included."""
    return [len(row) for row in STATE["tokenizer"](STATE["texts"], truncation=True)["input_ids"]]


def padded(encodings: list[list[int]]):
    """Ids and mask of already tokenised texts, padded to the longest of them."""
    return STATE["tokenizer"].pad({"input_ids": encodings}, padding=True, return_tensors="pt")


def infer(batch_size: int, order: str = "come", start_from: str = "text") -> dict:
    """Logits of all texts, in batches as they come (`come`) or sorted by length (`sorted`)."""
    torch, tokenizer, model = STATE["torch"], STATE["tokenizer"], STATE["model"]
    texts, ids = STATE["texts"], None
    if start_from == "ids":
        ids = tokenizer(texts, truncation=True)["input_ids"]
    model.eval()
    started = time.perf_counter()
    with torch.inference_mode():
        if ids is None and order == "come":
            logits = [
                model(
                    **tokenizer(
                        texts[at : at + batch_size],
                        truncation=True,
                        padding=True,
                        return_tensors="pt",
                    )
                ).logits.numpy()
                for at in range(0, len(texts), batch_size)
            ]
        else:
            ids = ids or tokenizer(texts, truncation=True)["input_ids"]
            if order == "sorted":
                ids = sorted(ids, key=len)
            logits = [
                model(**padded(ids[at : at + batch_size])).logits.numpy()
                for at in range(0, len(ids), batch_size)
            ]
    seconds = time.perf_counter() - started
    assert sum(map(len, logits)) == len(texts)
    return {"seconds": seconds, "examples": len(texts)}


def adamw(learning_rate: float, weight_decay: float, epsilon: float):
    """AdamW that leaves biases and LayerNorm out of the weight decay, as BERT does."""
    kept, decayed = [], []
    for name, weight in STATE["model"].named_parameters():
        (kept if name.endswith("bias") or "LayerNorm" in name else decayed).append(weight)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return STATE["torch"].optim.AdamW(groups, lr=learning_rate, eps=epsilon, fused=True)


def train_step(optimizer, batch, targets, clip: float) -> float:
    """One step of the plain loop of the PyTorch tutorials; returns the loss."""
    model = STATE["model"]
    optimizer.zero_grad(set_to_none=True)
    loss = model(**batch, labels=targets).loss
    loss.backward()
    STATE["torch"].nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item()


def train(batch_size: int, order: str = "come", steps: int | None = None) -> dict:
    """One epoch over the examples, in batches as they come (`come`) or grouped by length."""
    if "optimizer" not in STATE:
        STATE["optimizer"], STATE["epoch"] = adamw(2e-5, 0.01, 1e-6), 0
    texts, targets = STATE["texts"], STATE["torch"].tensor(STATE["targets"])
    STATE["model"].train()
    STATE["epoch"] += 1
    started = time.perf_counter()
    ids = STATE["tokenizer"](texts, truncation=True)["input_ids"]
    if order == "grouped":
        batches = grouped_batches([len(row) for row in ids], batch_size, STATE["epoch"])
    else:
        rows = list(range(len(ids)))
        batches = [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]
    batches = batches[:steps]
    for rows in batches:
        train_step(STATE["optimizer"], padded([ids[row] for row in rows]), targets[rows], 1.0)
    return {"seconds": time.perf_counter() - started, "examples": sum(map(len, batches))}


def matmuls(shapes: list[list[int]], sizes: dict, first_token_only: bool) -> dict:
    """Seconds of nothing but an encoder's matrix products for batches of these shapes."""
    torch = STATE["torch"]
    weights, inputs = matmul_operands(shapes, sizes, first_token_only, torch.randn)
    # nn.Linear keeps its weight transposed: the layout PyTorch's models multiply with.
    weights = [[weight.T.contiguous().T for weight in layer] for layer in weights]
    started = time.perf_counter()
    with torch.inference_mode():
        for batch, seq_length in shapes:
            for layer, products in zip(weights, inputs[batch, seq_length], strict=True):
                for left, weight in zip(products["dense"], layer, strict=True):
                    left @ weight
                queries, keys, scores, values = products["attention"]
                queries @ keys.mT
                scores @ values
    return {"seconds": time.perf_counter() - started, "examples": sum(row[0] for row in shapes)}


def class_numbers(texts: list[str], batch_size: int = 64) -> list[int]:
    """The likeliest class of each text, answered in batches sorted by length."""
    torch, tokenizer, model = STATE["torch"], STATE["tokenizer"], STATE["model"]
    ids = tokenizer(texts, truncation=True)["input_ids"]
    order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    answers = [0] * len(ids)
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            logits = model(**padded([ids[row] for row in rows])).logits
            for row, answer in zip(rows, logits.argmax(-1).tolist(), strict=True):
                answers[row] = answer
    return answers


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
    torch, tokenizer, model = STATE["torch"], STATE["tokenizer"], STATE["model"]
    torch.manual_seed(seed)
    # The head anew from this seed: transformers drew it while loading.
    torch.nn.init.normal_(model.classifier.weight, std=model.config.initializer_range)
    torch.nn.init.zeros_(model.classifier.bias)
    texts, names = read_labelled(train)
    labels = sorted(set(names))
    texts, names = sample(texts, names, examples)
    ids = tokenizer(texts, truncation=True)["input_ids"]
    targets = torch.tensor([labels.index(name) for name in names])
    token_counts = [len(row) for row in ids]
    epoch_batches = [
        grouped_batches(token_counts, batch_size, seed * 1000 + epoch) for epoch in range(epochs)
    ]
    steps = sum(map(len, epoch_batches))
    optimizer = adamw(learning_rate, weight_decay, epsilon)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_then_linear(step, steps, warmup)
    )
    started, losses = time.perf_counter(), []
    model.train()
    for batches in epoch_batches:
        total = 0.0
        for rows in batches:
            batch = padded([ids[row] for row in rows])
            total += train_step(optimizer, batch, targets[rows], clip) * len(rows)
            schedule.step()
        losses.append(total / len(texts))
    seconds = time.perf_counter() - started
    texts, names = read_labelled(test)
    answers = class_numbers(texts)
    accuracy, macro_f1 = accuracy_and_macro_f1([labels.index(name) for name in names], answers)
    return {
        "accuracy": accuracy,
        "macro_f1": macro_f1,
        "losses": losses,
        "steps": steps,
        "train_seconds": seconds,
    }


if __name__ == "__main__":
    serve(
        {
            "load": load,
            "random_encoder": random_encoder,
            "examples": examples,
            "lengths": lengths,
            "infer": infer,
            "train": train,
            "matmuls": matmuls,
            "accuracy_run": accuracy_run,
        }
    )
