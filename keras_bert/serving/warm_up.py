"""Warm-up: a version answers the requests it brings along before it answers others."""

from __future__ import annotations

import asyncio
import os
import time

import tensorflow as tf

from keras_bert.serving import inference
from keras_bert.serving.errors import ServingError
from keras_bert.serving.messages import examples_of, tensors_of
from keras_bert.serving.metrics import Metrics
from keras_bert.serving.servable import Servable

__all__ = ["WARM_UP_REQUESTS", "warm_up"]

WARM_UP_REQUESTS = os.path.join("assets.extra", "tf_serving_warmup_requests")
_MOST_RECORDS = 1000


def warm_up(servable: Servable, metrics: Metrics | None = None) -> int:
    """Replays ``assets.extra/tf_serving_warmup_requests``, if there is one.

    Returns:
        Number of records.

    Raises:
        ServingError: If a record cannot be read or answered, as TF Serving then refuses a version.
    """
    path = os.path.join(servable.path, WARM_UP_REQUESTS)
    if not os.path.isfile(path):
        return 0
    started, records, code = time.perf_counter(), 0, "OK"
    try:
        for record in _records(path):
            if records == _MOST_RECORDS:
                raise ServingError(
                    "INVALID_ARGUMENT",
                    f"Number of warmup records exceeds the maximum ({_MOST_RECORDS}) at {path}",
                )
            _replay(servable, record, path)
            records += 1
    except ServingError as error:
        code = error.code
        raise
    finally:
        if metrics:
            metrics.warm_up(servable.path, code, records, time.perf_counter() - started)
    return records


def _records(path: str):
    try:
        yield from tf.data.TFRecordDataset(path).as_numpy_iterator()
    except tf.errors.OpError as error:
        raise ServingError("DATA_LOSS", f"{path}: {error.message}") from error


def _replay(servable: Servable, record: bytes, path: str) -> None:
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    try:
        log = prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError as error:
        raise ServingError(
            "INVALID_ARGUMENT", f"Failed to parse warmup record from {path}: {error}"
        ) from error
    try:
        asyncio.run(_answer(servable, log))
    except ServingError as error:
        raise ServingError(error.code, f"Warm-up of {servable.path!r}: {error.message}") from error


async def _answer(servable: Servable, log) -> None:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request
        spec = request.model_spec.signature_name
        inputs = tensors_of(request.inputs)
        await inference.predict(_run, servable, spec, inputs, request.output_filter)
    elif kind in ("classify_log", "regress_log"):
        request = getattr(log, kind).request
        call = inference.classify if kind == "classify_log" else inference.regress
        examples = examples_of(request.input)
        await call(_run, servable, request.model_spec.signature_name, examples)
    elif kind == "multi_inference_log":
        request = log.multi_inference_log.request
        for task in request.tasks:
            is_classify = task.method_name == "tensorflow/serving/classify"
            call = inference.classify if is_classify else inference.regress
            examples = examples_of(request.input)
            await call(_run, servable, task.model_spec.signature_name, examples)
    elif kind is not None:
        raise ServingError("UNIMPLEMENTED", f"Unsupported log_type for warmup: {kind}")


async def _run(servable, signature, inputs, _api):
    # Not through the queue: nobody else may use this version yet.
    return servable.run(signature, inputs)
