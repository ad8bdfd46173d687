"""Contender: fine-tuning tasks with Hugging Face transformers on PyTorch, in a plain loop.

One call of ``task_run`` trains on examples and answers others; what the answers are worth is the
driver's business, which scores everybody's alike. The recipe (batches grouped by length, AdamW
without decay of biases and LayerNorm, clipping, warm-up and linear decay) is `recipe.py`'s.
"""

import json
import os
import time

from recipe import grouped_batches, warmup_then_linear
from worker import limit_cores, serve

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

#: What the loss leaves out.
IGNORED = -100
#: As in google-research/bert ``run_squad.py``.
N_BEST, MOST_ANSWER_TOKENS = 20, 30


def load(threads: int):
    """Takes the machine's cores."""
    limit_cores(threads, pin=False)
    import torch
    import transformers

    torch.set_num_threads(threads)
    return {"torch": torch.__version__, "transformers": transformers.__version__}


class Classes:
    """Texts or pairs of texts → class names; with ``names=None`` → numbers."""

    head = "AutoModelForSequenceClassification"

    def __init__(self, tokenizer, names, seq_length):
        self.tokenizer, self.names, self.seq_length = tokenizer, names, seq_length

    def outputs(self):
        """Number of logits."""
        return len(self.names) if self.names else 1

    def rows(self, examples):
        """Encodings with targets; each knows the number of its example."""
        for number, example in enumerate(examples):
            texts = example["text"] if isinstance(example["text"], list) else [example["text"]]
            row = dict(self.tokenizer(*texts, truncation=True, max_length=self.seq_length))
            label = example["label"]
            yield row, self.names.index(label) if self.names else float(label), number

    def batch_targets(self, targets, width):
        """Targets of a batch as a tensor."""
        import torch

        return torch.tensor(targets)

    def loss(self, output, targets, mask):
        """Cross entropy, or the mean squared error."""
        import torch

        if self.names:
            return torch.nn.functional.cross_entropy(output.logits, targets)
        return torch.nn.functional.mse_loss(output.logits[:, 0], targets)

    def answers(self, examples, rows, outputs):
        """A name or number per example."""
        found = [None] * len(examples)
        for (_, _, number), output in zip(rows, outputs, strict=True):
            logits = output["logits"]
            found[number] = self.names[int(logits.argmax())] if self.names else float(logits[0])
        return found


class Tags(Classes):
    """Words → a tag each; the first piece of a word has its label."""

    head = "AutoModelForTokenClassification"

    def rows(self, examples):
        """As ``Classes.rows``."""
        for number, example in enumerate(examples):
            row = self.tokenizer(
                example["text"],
                is_split_into_words=True,
                truncation=True,
                max_length=self.seq_length,
            )
            words, before, targets = row.word_ids(), None, []
            for word in words:
                first = word is not None and word != before
                targets.append(self.names.index(example["label"][word]) if first else IGNORED)
                before = word
            yield {**row, "words": words}, targets, number

    def batch_targets(self, targets, width):
        """As ``Classes.batch_targets``."""
        import torch

        return torch.tensor([row + [IGNORED] * (width - len(row)) for row in targets])

    def loss(self, output, targets, mask):
        """As ``Classes.loss``."""
        import torch

        return torch.nn.functional.cross_entropy(
            output.logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED
        )

    def answers(self, examples, rows, outputs):
        """As ``Classes.answers``."""
        found = [["O"] * len(example["text"]) for example in examples]
        for (row, _, number), output in zip(rows, outputs, strict=True):
            before = None
            for place, word in enumerate(row["words"]):
                if word is not None and word != before:
                    found[number][word] = self.names[int(output["logits"][place].argmax())]
                before = word
        return found


class Spans(Classes):
    """Question and context → the answer's text."""

    head = "AutoModelForQuestionAnswering"
    most_question_tokens, stride = 64, 128

    def outputs(self):
        """As ``Classes.outputs``."""
        return 2

    def rows(self, examples):
        """As ``Classes.rows``."""
        for number, example in enumerate(examples):
            question, context = example["text"]
            pieces = self.tokenizer(question, add_special_tokens=False)["input_ids"]
            question = (
                self.tokenizer.decode(pieces[: self.most_question_tokens])
                if (len(pieces) > self.most_question_tokens)
                else question
            )
            # As keras_bert's: windows beside the longest question move on by the stride.
            shared = self.seq_length - 3 - self.most_question_tokens - self.stride
            windows = self.tokenizer(
                question,
                context,
                truncation="only_second",
                max_length=self.seq_length,
                stride=max(0, shared),
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
            )
            for window in range(len(windows["input_ids"])):
                yield *self._window(windows, window, example), number

    def _window(self, windows, window, example):
        segments = windows.sequence_ids(window)
        spans = windows["offset_mapping"][window]
        spans = [span if s == 1 else None for span, s in zip(spans, segments, strict=True)]
        target = [0, 0]
        for answer in example["label"][:1]:
            start, end = answer["start"], answer["start"] + len(answer["text"])
            inside = [i for i, span in enumerate(spans) if span and span[0] < end > start < span[1]]
            within = [span for span in spans if span]
            if inside and within[0][0] <= start and within[-1][1] >= end:
                target = [inside[0], inside[-1]]
        row = {
            name: windows[name][window]
            for name in ("input_ids", "attention_mask", "token_type_ids")
            if name in windows
        }
        return {**row, "spans": spans}, target

    def batch_targets(self, targets, width):
        """As ``Classes.batch_targets``."""
        import torch

        return torch.tensor(targets)

    def loss(self, output, targets, mask):
        """As ``Classes.loss``."""
        import torch

        # Of real tokens, as keras_bert's; transformers' own loss takes padding for tokens.
        both = torch.stack([output.start_logits, output.end_logits], dim=2)
        both = both.masked_fill(mask[:, :, None] == 0, torch.finfo(both.dtype).min)
        return torch.nn.functional.cross_entropy(both, targets)

    def answers(self, examples, rows, outputs):
        """As ``Classes.answers``."""
        found = [(float("-inf"), "")] * len(examples)
        for (row, _, number), output in zip(rows, outputs, strict=True):
            context = examples[number]["text"][1]
            found[number] = max(found[number], best_span(context, row["spans"], output))
        return [text for _, text in found]


def best_span(context, spans, output):
    """(score, text) of a window's best answer."""
    # What lies beyond the window is the batch's padding.
    starts, ends = (output[f"{side}_logits"][: len(spans)] for side in ("start", "end"))
    best = (float("-inf"), "")
    for start in starts.argsort(descending=True)[:N_BEST].tolist():
        for end in ends.argsort(descending=True)[:N_BEST].tolist():
            sound = start <= end < start + MOST_ANSWER_TOKENS
            if sound and spans[start] and spans[end]:
                score = float(starts[start] + ends[end])
                best = max(best, (score, context[spans[start][0] : spans[end][1]]))
    return best


KINDS = {"classes": Classes, "values": Classes, "tags": Tags, "spans": Spans}


def padded(tokenizer, rows):
    """A batch's encodings as tensors."""
    keys = ("input_ids", "attention_mask", "token_type_ids")
    rows = [{name: row[name] for name in keys if name in row} for row in rows]
    return tokenizer.pad(rows, padding=True, return_tensors="pt")


def adamw(model, rate, decay, epsilon):
    """AdamW that leaves biases and LayerNorm out of the weight decay, as BERT does."""
    import torch

    kept, decayed = [], []
    for name, weight in model.named_parameters():
        (kept if name.endswith("bias") or "LayerNorm" in name else decayed).append(weight)
    groups = [{"params": decayed, "weight_decay": decay}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, eps=epsilon, fused=True)


def task_run(kind: str, model: str, train: str, test: str, names, seed: int, recipe: dict) -> dict:
    """Fine-tunes on the examples of a JSON file, answers those of another."""
    import torch
    import transformers

    transformers.set_seed(seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        model, use_fast=True, model_max_length=recipe["seq_length"]
    )
    task = KINDS[kind](tokenizer, names, recipe["seq_length"])
    network = getattr(transformers, task.head).from_pretrained(
        model, num_labels=task.outputs(), attn_implementation="sdpa", dtype=torch.float32
    )
    read = [json.load(open(path, encoding="utf-8")) for path in (train, test)]
    rows = list(task.rows(read[0]))
    lengths = [len(row["input_ids"]) for row, *_ in rows]
    size, epochs = recipe["batch_size"], recipe["epochs"]
    passes = [grouped_batches(lengths, size, seed * 1000 + epoch) for epoch in range(epochs)]
    steps = sum(map(len, passes))
    optimizer = adamw(network, recipe["learning_rate"], recipe["weight_decay"], recipe["epsilon"])
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_then_linear(step, steps, recipe["warmup"])
    )
    network.train()
    started, losses = time.perf_counter(), []
    for batches in passes:
        total = 0.0
        for numbers in batches:
            picked = [rows[number] for number in numbers]
            batch = padded(tokenizer, [row for row, *_ in picked])
            targets = task.batch_targets([t for _, t, _ in picked], batch["input_ids"].shape[1])
            optimizer.zero_grad(set_to_none=True)
            loss = task.loss(network(**batch), targets, batch["attention_mask"])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), recipe["clip"])
            optimizer.step()
            schedule.step()
            total += loss.item() * len(numbers)
        losses.append(total / len(rows))
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    answers = answered(network, tokenizer, task, read[1])
    return {
        "answers": answers,
        "losses": losses,
        "rows": len(rows),
        "train_seconds": seconds,
        "answer_seconds": time.perf_counter() - started,
    }


def answered(network, tokenizer, task, examples, batch_size: int = 32):
    """The answers, in batches sorted by length."""
    import torch

    rows = list(task.rows(examples))
    order = sorted(range(len(rows)), key=lambda number: -len(rows[number][0]["input_ids"]))
    outputs = [None] * len(rows)
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            numbers = order[start : start + batch_size]
            output = network(**padded(tokenizer, [rows[number][0] for number in numbers]))
            for place, number in enumerate(numbers):
                outputs[number] = {name: value[place] for name, value in output.items()}
    return task.answers(examples, rows, outputs)


def random_encoder(folder: str, vocab_file: str, **config) -> None:
    """Writes a BERT of the given sizes with random weights and a vocabulary."""
    import torch
    import transformers

    torch.manual_seed(0)
    tokenizer = transformers.BertTokenizerFast(vocab_file, do_lower_case=True)
    config = transformers.BertConfig(vocab_size=len(tokenizer), **config)
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    serve({"load": load, "task_run": task_run, "random_encoder": random_encoder})
