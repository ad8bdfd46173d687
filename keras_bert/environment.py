"""Whether the installed TensorFlow, Keras and tensorflow-text go together."""

import itertools
import os
import re
import sys
from importlib import metadata

__all__ = ["check_environment", "is_command_line"]

#: TensorFlow is published under several names; any of them will do.
TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu", "tensorflow-rocm", "tf-nightly")


def check_environment():
    """Checks versions from the packages' metadata, without importing any of them.

    Raises:
        ImportError: In one line, saying what was found and what to do.
    """
    legacy = os.environ.get("TF_USE_LEGACY_KERAS", "").strip().lower()
    if legacy not in ("", "0", "false"):
        raise ImportError(
            f"keras_bert needs Keras 3, but TF_USE_LEGACY_KERAS={legacy} asks TensorFlow for "
            "Keras 2: unset it before Python starts."
        )
    keras = _version("keras")
    if keras and int(keras.split(".")[0]) < 3:
        raise ImportError(
            f"keras_bert needs Keras 3, and keras {keras} is installed: "
            "pip install -U 'keras>=3.15'."
        )
    tensorflow = next(filter(None, map(_version, TENSORFLOW)), None)
    text = _version("tensorflow-text")
    if tensorflow and text and _minor(tensorflow) != _minor(text):
        raise ImportError(
            f"tensorflow-text {text} does not load into TensorFlow {tensorflow}: "
            f"pip install 'tensorflow-text=={_minor(tensorflow)}.*'."
        )


def is_command_line() -> bool:
    """Whether this process is ``keras-bert``, or ``python -m keras_bert``."""
    arguments = getattr(sys, "orig_argv", [])
    as_module = ("-m", "keras_bert") in itertools.pairwise(arguments)
    program = os.path.basename(sys.argv[0]) if sys.argv else ""
    return as_module or os.path.splitext(program)[0] == "keras-bert"


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _minor(version):
    """``"2.20.1"`` → ``"2.20"``."""
    return ".".join(re.findall(r"\d+", version)[:2])
