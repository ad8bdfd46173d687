"""``keras-bert plan``: says what training will need, before it runs out of it."""

import argparse
import dataclasses
import json
import re

from keras_bert.cli import arguments
from keras_bert.cli.tasks import TASKS

_DESCRIPTION = """\
Prints the memory that a training step needs on each device, without and with checkpointing, for
texts of several lengths in batches of several sizes; with --memory also the largest batch that
fits. Python, TensorFlow and the graph come on top, with 0.6 to 1 GB on CPU."""
_EXAMPLE = """\
Example:
  keras-bert plan base --memory 16GiB
  keras-bert plan uncased_L-24_H-1024_A-16 --seq-length 384 512 --batch-size 8 16 \\
      --task question-answering --dtype mixed_bfloat16"""
_UNITS = " KMGT"
_COLUMNS = {"plain": False, "checkpointing": True}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``keras-bert plan``."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    parser.add_argument(
        "model",
        type=arguments.path,
        metavar="MODEL",
        help="tiny, mini, small, medium, base, large; or a pretrained model: a folder, "
        "hf://ORGANISATION/NAME or a .keras file",
    )
    several = {"nargs": "+", "type": arguments.positive_int, "metavar": "N"}
    parser.add_argument(
        "--seq-length", **several, default=[128, 256, 512], help="tokens of a text (128 256 512)"
    )
    parser.add_argument(
        "--batch-size", **several, default=[1, 8, 32], help="texts of a batch (1 8 32)"
    )
    parser.add_argument(
        "--memory", type=memory, metavar="BYTES", help="of a device, such as 16GiB or 24GB"
    )
    parser.add_argument(
        "--task",
        choices=sorted(TASKS),
        default="classification",
        metavar="TASK",
        help=f"{', '.join(TASKS)} (classification)",
    )
    parser.add_argument(
        "--optimizer", choices=["adamw", "lamb", "sgd"], default="adamw", help="(adamw)"
    )
    parser.add_argument(
        "--dtype",
        choices=["float32", "mixed_bfloat16", "mixed_float16"],
        default="float32",
        help="what products are computed in (float32)",
    )
    one = {"type": arguments.positive_int, "default": 1, "metavar": "N"}
    parser.add_argument("--accumulate", **one, help="batches whose gradients make one step (1)")
    parser.add_argument("--replicas", **one, help="devices that share a batch (1)")
    parser.add_argument("--json", action="store_true", help="print JSON, in bytes")


def memory(text: str) -> int:
    """A number of bytes: 16GiB, 24GB, 500M; a unit with i goes by 1024, the others by 1000."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", text, re.IGNORECASE)
    size = 0
    if match:
        number, unit, binary = match.groups()
        base = 1024 if binary else 1000
        size = int(float(number) * base ** _UNITS.index(unit.upper() or " "))
    if size < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory, such as 16GiB or 24GB")
    return size


def run(args: argparse.Namespace) -> int:
    """Prints; returns the exit code."""
    from keras_bert.config import EncoderConfig
    from keras_bert.training.memory import SIZES, largest_batch, plan_memory

    known = args.model in SIZES
    model = args.model if known else EncoderConfig.from_pretrained(args.model)
    options = {
        name: getattr(args, name)
        for name in ("task", "optimizer", "dtype", "accumulate", "replicas")
    }
    rows, fits = [], []
    for length in args.seq_length:
        for batch in args.batch_size:
            for name, on in _COLUMNS.items():
                plan = plan_memory(model, batch, length, checkpointing=on, **options)
                rows.append((length, batch, name, plan))
        if args.memory:
            largest = {
                name: largest_batch(model, args.memory, length, checkpointing=on, **options)
                for name, on in _COLUMNS.items()
            }
            fits.append((length, largest))
    print(_json(args, rows, fits) if args.json else _table(args, rows, fits))
    return 0


def _json(args, rows, fits) -> str:
    found = {
        "model": args.model,
        "steps": [
            {"seq_length": length, "batch_size": batch, "how": name, **dataclasses.asdict(plan)}
            for length, batch, name, plan in rows
        ],
        "largest_batch": [{"seq_length": length, **largest} for length, largest in fits],
    }
    return json.dumps(found, indent=2)


def _table(args, rows, fits) -> str:
    plan = rows[0][3]
    lines = [
        f"{args.model}: {plan.parameters:,} parameters; weights {_gib(plan.weights)}, gradients "
        f"{_gib(plan.gradients + plan.accumulated)}, {args.optimizer} {_gib(plan.optimizer_state)}",
        "",
        f"{'tokens':>6}  {'batch':>5}  {'plain':>10}  {'checkpointing':>13}  {'TFLOP':>7}",
    ]
    for (length, batch, _, plain), (*_, again) in zip(rows[::2], rows[1::2], strict=True):
        peaks = (_marked(plan.peak, args.memory) for plan in (plain, again))
        lines.append(
            "{:>6}  {:>5}  {:>10}  {:>13}  {:>7.2f}".format(
                length, batch, *peaks, plain.flops / 1e12
            )
        )
    if args.memory:
        lines += ["", f"! does not fit into {_gib(args.memory)}; the largest batch that does:"]
        lines += [
            f"{length:>6}  {'':>5}  {largest['plain']:>10}  {largest['checkpointing']:>13}"
            for length, largest in fits
        ]
    return "\n".join(lines)


def _marked(size: int, limit: int | None) -> str:
    return f"{'! ' if limit and size > limit else ''}{_gib(size)}"


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
