"""What serving stands on: TensorFlow and itself, none of the models' code."""

import ast
from pathlib import Path

import keras_bert.serving

FOLDER = Path(keras_bert.serving.__file__).parent
# What a client over REST is made of; it needs NumPy and the standard library.
CLIENT = ("errors", "transport", "client", "client_values", "rest_client")


def imported(path: Path, at_the_top: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if at_the_top else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return names


def test_nothing_of_the_other_rooms():
    files = sorted(FOLDER.rglob("*.py"))
    assert len(files) > 20
    for path in files:
        of_us = {name for name in imported(path) if name.split(".")[0] == "keras_bert"}
        assert all(name.startswith("keras_bert.serving") for name in of_us), (path, of_us)


def test_a_client_over_rest_needs_numpy_alone():
    for name in CLIENT:
        outside = {module.split(".")[0] for module in imported(FOLDER / f"{name}.py", True)}
        assert not outside & {"tensorflow", "grpc", "google", "starlette", "uvicorn"}, name
        inside = {m for m in imported(FOLDER / f"{name}.py", True) if m.startswith("keras_bert")}
        assert inside <= {f"keras_bert.serving.{client}" for client in CLIENT}, name


def test_the_public_names():
    for name in keras_bert.serving.__all__:
        assert getattr(keras_bert.serving, name).__module__.startswith("keras_bert.serving.")
