"""What all tests share: a quiet, small and repeatable TensorFlow, and the fixture folders."""

import os

# Before the first import of TensorFlow or Keras, which read these once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"
# TensorFloat-32 keeps 10 bits of a product's factors: on a GPU no tolerance here would hold.
os.environ["NVIDIA_TF32_OVERRIDE"] = "0"

import gc
import random
import sys
from pathlib import Path

import numpy as np
import pytest

FIXTURES = Path(__file__).resolve().parent / "fixtures"


def pytest_configure(config):
    """Imports the package where warnings of several test processes are gathered.

    pytest-xdist makes them anew there, in a thread for each process, and of two threads that import
    a package at once one gets half of it.
    """
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        import keras_bert.models  # noqa: F401


@pytest.fixture(autouse=True)
def seeds():
    """Every test starts from the same random state, in whatever order tests run."""
    random.seed(20)
    np.random.seed(20)
    # Only where a test module has imported Keras: others need not pay for TensorFlow.
    if "keras" in sys.modules:
        import keras

        keras.utils.set_random_seed(20)


@pytest.fixture(autouse=True, scope="module")
def quick_collection():
    """Keeps what modules leave behind from being looked through by every collection of garbage.

    Graphs and their functions are many small objects: by the end of a run they made each collection
    take seconds.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder tests/fixtures."""
    return FIXTURES


@pytest.fixture(scope="session")
def tiny_checkpoint() -> Path:
    """A classifier folder as Hugging Face saves it, small enough to train in a second.

    220 tokens (common English words, all letters, digits and marks: any English text goes through
    it), 64 positions, 2 layers of width 32; labels "question", "complaint", "praise". Read only:
    a test that changes it copies it first.
    """
    return FIXTURES / "classifier" / "three_labels"
