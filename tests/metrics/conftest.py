"""What scikit-learn and SciPy say of random answers; see fixtures/make/metrics.py."""

import gzip
import json

import pytest


@pytest.fixture(scope="session")
def golden(fixtures) -> dict:
    """The cases of each kind: ``one_label``, ``many_labels``, ``numbers``."""
    with gzip.open(fixtures / "metrics" / "scores.json.gz") as file:
        return json.load(file)
