#!/bin/sh
# Makes the peers' environments for the benchmarks: build/peers/torch, kerashub and garden.
# Each has its own, because torch and TensorFlow cannot share a process and the peers' versions
# are pinned apart from ours. Usage: benchmarks/peers/install.sh [FOLDER]; PYTHON picks the python.
# pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS, ...) decide where the packages come from; on a
# machine without GPU a CPU build of torch spares gigabytes.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:-$root/build/peers}
python=${PYTHON:-python3}

mkdir -p "$folder"
[ -x "$folder/torch/bin/python" ] || "$python" -m venv "$folder/torch"
# The last four are what benchmarks/serving.py puts up beside ours.
"$folder/torch/bin/python" -m pip install -q "torch==2.13.0" "transformers==5.23.0" \
    "starlette==1.10.*" "uvicorn==0.54.*" "onnxruntime==1.32.*" "onnx==1.23.*"

[ -x "$folder/kerashub/bin/python" ] || "$python" -m venv "$folder/kerashub"
# KerasHub opens Hugging Face folders with safetensors, which it does not install by itself.
"$folder/kerashub/bin/python" -m pip install -q \
    "keras-hub==0.32.*" "tensorflow==2.20.*" "tensorflow-text==2.20.*" safetensors

# The Garden's own training loop, on tf_keras.
[ -x "$folder/garden/bin/python" ] || "$python" -m venv "$folder/garden"
"$folder/garden/bin/python" -m pip install -q \
    "tf-models-official==2.20.*" "tensorflow==2.20.*" "tensorflow-text==2.20.*" "tf_keras==2.20.*"
