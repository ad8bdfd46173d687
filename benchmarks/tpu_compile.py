"""Compiles whole training steps for TPUs that are not there: does it fit, how much memory.

Two environments, since libtpu's compiler is reached by JAX and the step is TensorFlow's:

    python benchmarks/tpu_compile.py lower --output build/tpu
    pip install "jax==0.10.2" "libtpu==0.0.52"        # in another environment
    TPU_SKIP_MDS_QUERY=1 python benchmarks/tpu_compile.py compile build/tpu/*.hlo

``lower`` writes a file of HLO for each task: outputs, loss, gradients, clipping, AdamW's step and
metrics, of batches of fixed shape. ``compile`` has libtpu compile it ahead of time for one core of
each kind of TPU, and writes a table. Nothing is run: that numbers are right, that cores exchange
gradients, and how fast it is, only a TPU could tell.
"""

import argparse
import sys
import time
from pathlib import Path

#: Generation → a topology of it as libtpu names them; of its devices one is compiled for.
TOPOLOGIES = {
    "v3": "v3:2x2",
    "v4": "v4:2x2x1",
    "v5e": "v5e:2x2",
    "v5p": "v5p:2x2x1",
    "v6e": "v6e:2x2",
}

SIZES = {
    "tiny": {
        "hidden_size": 128,
        "num_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 512,
    },
    "base": {},
}


def main():
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    lower = commands.add_parser("lower", help="steps to files of HLO")
    lower.add_argument("--output", type=Path, required=True, help="folder")
    lower.add_argument("--size", choices=SIZES, default="tiny")
    lower.add_argument("--batch-size", type=int, default=32)
    lower.add_argument("--seq-length", type=int, default=128)
    lower.add_argument("--dtype", default="mixed_bfloat16")
    lower.add_argument("--tasks", nargs="+", default=["classifier"], choices=["classifier", "mlm"])
    lower.set_defaults(run=lower_steps)
    compiler = commands.add_parser("compile", help="files of HLO to a table")
    compiler.add_argument("files", type=Path, nargs="+")
    compiler.add_argument("--for", dest="kinds", nargs="+", choices=TOPOLOGIES, default=TOPOLOGIES)
    compiler.set_defaults(run=compile_files)
    arguments = parser.parse_args()
    return arguments.run(arguments)


def lower_steps(arguments):
    import numpy as np

    import keras_bert as kb
    from keras_bert.training.xla_check import check_tpu_ready

    rows, length = arguments.batch_size, arguments.seq_length
    ids = {
        name: np.ones((rows, length), np.int32)
        for name in ("input_word_ids", "input_mask", "input_type_ids")
    }
    ids["example_present"] = np.ones((rows,), bool)
    predictions = max(1, round(length * 0.15))
    places = {"masked_lm_positions": np.zeros((rows, predictions), np.int32)}
    tasks = {
        "classifier": (
            lambda encoder: kb.BertClassifier(encoder, labels=["a", "b"]),
            (ids, np.zeros((rows,), np.int32)),
        ),
        "mlm": (kb.BertMaskedLM, ({**ids, **places}, np.zeros((rows, predictions), np.int32))),
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.tasks:
        make, batch = tasks[name]
        config = kb.EncoderConfig(vocab_size=30522, **SIZES[arguments.size])
        model = make(kb.BertEncoder(config, dtype=arguments.dtype))
        model.compile(kb.AdamW(5e-5))
        report = check_tpu_ready(model, batch).require()
        path = arguments.output / f"{name}_{arguments.size}_{rows}x{length}_{arguments.dtype}.hlo"
        path.write_text(report.hlo)
        print(f"{path}: {report}")


def compile_files(arguments):
    # Of JAX 0.10.2; the private parts are those that compile what is no function of JAX.
    from jax._src.interpreters import mlir
    from jax._src.lib import _jax, hlo, xla_client
    from jax.experimental import topologies
    from jax.extend.mlir import hlo_to_stablehlo

    print("| step | TPU | compiled in s | program MB | arguments MB | temporary MB |")
    print("|---|---|---|---|---|---|")
    failed = 0
    for path in arguments.files:
        # StableHLO has no copies; what gives a tensor the shape that it has is one.
        text = path.read_text().replace(" copy(", " reshape(")
        module = hlo.hlo_module_from_text(text)
        stablehlo = hlo_to_stablehlo(module.as_serialized_hlo_module_proto())
        stablehlo = mlir.ir.Module.parse(stablehlo, mlir.make_ir_context())
        for kind in arguments.kinds:
            start = time.perf_counter()
            try:
                topology = topologies.get_topology_desc(
                    platform="tpu", topology_name=TOPOLOGIES[kind]
                )
                device = topology.devices[0]
                devices = _jax.DeviceList((device,))
                compiled = device.client.compile(stablehlo, devices, xla_client.CompileOptions())
                memory = compiled.get_compiled_memory_stats()
                sizes = (
                    memory.generated_code_size_in_bytes,
                    memory.argument_size_in_bytes,
                    memory.temp_size_in_bytes,
                )
                cells = " | ".join(f"{size / 1e6:.1f}" for size in sizes)
                print(f"| {path.stem} | {kind} | {time.perf_counter() - start:.0f} | {cells} |")
            except Exception as error:
                failed += 1
                print(f"| {path.stem} | {kind} | {type(error).__name__}: {str(error)[:300]} |")
            sys.stdout.flush()
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
