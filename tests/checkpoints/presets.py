"""The presets in tests/fixtures/kerashub, unpacked; see fixtures/make/kerashub.py."""

import json
import tarfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "kerashub"
CASES = sorted(path.stem for path in FOLDER.glob("*.npz"))
WITH_TEXTS = sorted(path.stem for path in FOLDER.glob("*.json"))


def unpack(name, folder):
    """Unpacks a preset into a folder and returns it as a string."""
    with tarfile.open(FOLDER / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return str(folder)


def arrays_of(name):
    """A preset's inputs and outputs."""
    return dict(np.load(FOLDER / f"{name}.npz"))


def texts_of(name):
    """A preset's texts and their ids."""
    return json.loads((FOLDER / f"{name}.json").read_text())
