"""``keras-bert serve``: a local server that speaks TF Serving's REST and gRPC API."""

import argparse
import logging
import os
import sys

from keras_bert.cli import arguments

_DESCRIPTION = """\
Serves exported models for development, with TF Serving's REST and gRPC API and a page to try them.

In production use TF Serving itself, which takes the same folders and answers the same requests:
docs/serving.md has its docker line and its Kubernetes manifest. This server is one Python process,
without authentication and encryption; it listens on this machine only, unless told otherwise.

FOLDER is saved_models/, with all its models, or saved_models/NAME. The newest version of each is
served; a newer one takes its place as soon as it is loaded, without a request being lost."""
_EXAMPLE = """\
Example:
  keras-bert serve saved_models
  curl -d '{"instances": ["My card has not arrived"]}' \\
    http://127.0.0.1:8501/v1/models/banking77:predict """.rstrip()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``keras-bert serve``."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    parser.add_argument(
        "folders", nargs="*", type=arguments.path, metavar="FOLDER", help="exported models"
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        type=_model,
        metavar="NAME=FOLDER",
        help="a model by another name than its folder's; may be repeated",
    )
    parser.add_argument(
        "--models-config",
        type=arguments.path,
        metavar="FILE",
        help="TF Serving's models.config: names, folders, versions, labels",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument(
        "--port", type=_port, default=8501, metavar="N", help="port of REST and the page (8501)"
    )
    parser.add_argument(
        "--grpc-port", type=_port, default=8500, metavar="N", help="port of gRPC (8500)"
    )
    parser.add_argument("--no-grpc", action="store_true", help="offer REST only")
    parser.add_argument(
        "--batching-config",
        type=arguments.path,
        metavar="FILE",
        help="TF Serving's batching parameters; without, what waits goes together, up to 16 rows",
    )
    parser.add_argument(
        "--poll-seconds",
        type=_positive,
        default=1.0,
        metavar="S",
        help="time between two looks for new versions (1)",
    )
    _add_limits(parser)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    group.add_argument(
        "--max-request-mb",
        type=_positive,
        default=64.0,
        metavar="MB",
        help="size of a request (64); larger ones are refused with status 413",
    )
    group.add_argument(
        "--timeout-seconds",
        type=_positive,
        default=30.0,
        metavar="S",
        help="time of a request (30); longer ones are ended with status 504",
    )
    group.add_argument(
        "--shutdown-seconds",
        type=_positive,
        default=30.0,
        metavar="S",
        help="time that requests have to end after SIGTERM or Ctrl-C (30)",
    )
    group.add_argument(
        "--intra-op-threads",
        type=arguments.positive_int,
        metavar="N",
        help="threads that compute one operation (as many as there are cores)",
    )


def run(args: argparse.Namespace) -> int:
    """Serves until it is told to stop; returns the exit code."""
    if not (args.folders or args.model or args.models_config):
        raise argparse.ArgumentError(None, "give FOLDER, --model or --models-config")
    try:
        import grpc  # noqa: F401
        import starlette  # noqa: F401
        import tensorflow_serving.apis  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"Serving needs {error.name}: pip install 'keras-bert-garden[serving]'."
        ) from error
    config = _config(args)
    _log_to_stderr()
    import tensorflow_text  # noqa: F401  Registers the tokenizers' ops.

    from keras_bert.serving.server import Server

    Server(config, _announce).run()
    return 0


def _config(args):
    from keras_bert.serving.batching_config import read_batching_config
    from keras_bert.serving.library import ModelSource, find_models
    from keras_bert.serving.models_config import read_models_config
    from keras_bert.serving.server import ServerConfig
    from keras_bert.serving.service import Limits

    models = read_models_config(args.models_config) if args.models_config else {}
    for name, folder in args.model:
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"There is no folder {folder!r}.")
        models[name] = ModelSource(folder)
    for folder in args.folders:
        find_models(folder)  # says what is wrong with it
    return ServerConfig(
        roots=tuple(args.folders),
        models=models,
        host=args.host,
        port=args.port,
        grpc_port=None if args.no_grpc else args.grpc_port,
        batching=read_batching_config(args.batching_config) if args.batching_config else None,
        limits=Limits(max(int(args.max_request_mb * 2**20), 1), args.timeout_seconds),
        poll_seconds=args.poll_seconds,
        shutdown_seconds=args.shutdown_seconds,
        intra_op_threads=args.intra_op_threads or 0,
    )


def _announce(server) -> None:
    names = ", ".join(server.service.library.names) or "no model yet"
    also = f" and {server.grpc_url}" if server.grpc_url else ""
    print(f"serving {names}: {server.url}{also}", flush=True)


def _log_to_stderr() -> None:
    logger = logging.getLogger("keras_bert.serving")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _model(text: str) -> tuple[str, str]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder) or "/" in name or ":" in name:
        raise argparse.ArgumentTypeError(f"expected NAME=FOLDER; received {text!r}")
    return name, arguments.path(folder)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"expected a port, 0 to 65535; received {text!r}")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0; received {text!r}")
    return number
