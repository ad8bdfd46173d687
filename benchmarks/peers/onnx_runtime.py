"""The same encoder in onnxruntime as a contender; see benchmarks/litert.py.

`write` makes the model with PyTorch and transformers; the other requests need neither.
"""

import time

from worker import limit_cores, serve

STATE = {}
NAMES = ("input_ids", "attention_mask", "token_type_ids")
OURS = ("input_word_ids", "input_mask", "input_type_ids")


def write(folder: str, file: str, quantized: str) -> dict:
    """Writes the encoder with mean pooling, in float32 and with dynamic int8."""
    import torch
    import transformers
    from onnxruntime.quantization import QuantType, quantize_dynamic

    class Embedder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager")

        def forward(self, input_ids, attention_mask, token_type_ids):
            hidden = self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state
            mask = attention_mask.unsqueeze(-1).float()
            mean = (hidden * mask).sum(1) / mask.sum(1)
            return torch.nn.functional.normalize(mean, dim=1)

    row = torch.ones((1, 8), dtype=torch.int64)
    axes = {name: {0: "batch", 1: "seq"} for name in NAMES}
    torch.onnx.export(
        Embedder().eval(),
        (row, row, 0 * row),
        file,
        input_names=list(NAMES),
        output_names=["embedding"],
        dynamic_axes=axes,
        dynamo=False,
    )
    quantize_dynamic(file, quantized, per_channel=True, weight_type=QuantType.QInt8)
    return {"torch": torch.__version__, "transformers": transformers.__version__}


def load(file: str, threads: int, pin: bool = True) -> dict:
    """Loads a file; gives versions."""
    limit_cores(threads, pin)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    STATE["session"] = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
    return {"onnxruntime": onnxruntime.__version__}


def _feed(row: dict) -> dict:
    import numpy as np

    return {n: np.array(row[name], np.int64) for n, name in zip(NAMES, OURS, strict=True)}


def embed(rows: list[dict]) -> list[list[float]]:
    """Embeddings of rows of ids, one at a time."""
    return [STATE["session"].run(None, _feed(row))[0][0].tolist() for row in rows]


def ids(row: dict, calls: int, signature: str = "") -> dict:
    """Times calls with one row of ids."""
    feed, session = _feed(row), STATE["session"]
    session.run(None, feed)
    started = time.perf_counter()
    for _ in range(calls):
        session.run(None, feed)
    return {"seconds": time.perf_counter() - started, "examples": calls}


serve({"write": write, "load": load, "embed": embed, "ids": ids})
