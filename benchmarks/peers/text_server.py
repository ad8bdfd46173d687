"""A classifier behind Starlette and uvicorn, as one is commonly put up: PyTorch or onnxruntime.

Starlette is what FastAPI stands on; the endpoint is a plain function, which both run in their pool
of threads. Answers as TF Serving's REST API does, without any of its checks:

    python text_server.py --model HUGGINGFACE_FOLDER --runtime torch --port 8601

With `--runtime onnxruntime` the model is exported on first use, to `model.onnx` in its folder.
"""

import argparse
import os
import pathlib

import numpy as np


def torch_runtime(folder: str, threads: int):
    """Returns ids → probabilities by Hugging Face's model on PyTorch."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(threads)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()

    def run(ids):
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(value) for name, value in ids.items()}
            return torch.softmax(model(**tensors).logits, -1).numpy()

    return run


def onnx_runtime(folder: str, threads: int):
    """Returns ids → probabilities by onnxruntime."""
    import onnxruntime

    path = pathlib.Path(folder) / "model.onnx"
    if not path.exists():
        export_onnx(folder, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]

    def run(ids):
        (logits,) = session.run(["logits"], {name: ids[name] for name in names})
        exponents = np.exp(logits - logits.max(-1, keepdims=True))
        return exponents / exponents.sum(-1, keepdims=True)

    return run


def export_onnx(folder: str, path: pathlib.Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager"
    ).eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    # Half of the row is padding, or the exporter takes the mask away.
    ids = torch.ones((2, 8), dtype=torch.int64)
    ids[1, 4:] = 0
    example = (ids, (ids > 0).long(), torch.zeros_like(ids))
    axes = {name: {0: "batch", 1: "length"} for name in names}

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            ).logits

    temporary = path.with_suffix(".part")
    torch.onnx.export(
        Logits(),
        example,
        str(temporary),
        input_names=names,
        output_names=["logits"],
        dynamic_axes={**axes, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    os.replace(temporary, path)


def make_app(folder: str, run):
    import json

    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse
    from starlette.routing import Route
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    labels = json.loads((pathlib.Path(folder) / "config.json").read_text())["id2label"]

    def answer(texts):
        ids = tokenizer(texts, padding=True, truncation=True, max_length=512, return_tensors="np")
        rows = run({name: value.astype(np.int64) for name, value in ids.items()})
        return {
            "predictions": [
                {
                    "label": labels[str(row.argmax())],
                    "probability": float(row.max()),
                    "probabilities": row.tolist(),
                }
                for row in rows
            ]
        }

    async def predict(request):
        texts = (await request.json())["instances"]
        return JSONResponse(await run_in_threadpool(answer, texts))

    return Starlette(routes=[Route("/v1/models/{name}:predict", predict, methods=["POST"])])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--runtime", choices=["torch", "onnxruntime"], required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    make = torch_runtime if args.runtime == "torch" else onnx_runtime
    app = make_app(args.model, make(args.model, args.threads))
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
