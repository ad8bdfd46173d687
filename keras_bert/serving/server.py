"""The development server: loads models, listens, keeps up with the disk, ends in good order."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable, Mapping

import uvicorn

from keras_bert.serving.batching_config import BatchingConfig
from keras_bert.serving.library import Library, ModelSource
from keras_bert.serving.metrics import Metrics
from keras_bert.serving.rest import RestApp
from keras_bert.serving.service import Limits, Service

__all__ = ["Server", "ServerConfig"]

_LOGGER = logging.getLogger("keras_bert.serving")
# Time in which clients that keep their connections learn that they are to be closed.
_DRAIN_SECONDS = 0.3


@dataclasses.dataclass(frozen=True)
class ServerConfig:
    """What a server serves, and where.

    Attributes:
        roots: Folders of models, as ``find_models`` takes them.
        models: Models given by name.
        host: Address to listen on. Whoever can reach it can ask the models.
        port: Port of REST and of the page; 0 takes a free one.
        grpc_port: Port of gRPC; 0 takes a free one, None offers none.
        batching: How requests are put together; None for the default.
        limits: What is taken.
        poll_seconds: Time between two looks for new versions.
        shutdown_seconds: Time that requests have to end after a signal to stop.
        intra_op_threads: Threads that compute one operation; 0 for as many as there are cores.
    """

    roots: tuple[str, ...] = ()
    models: Mapping[str, ModelSource] = dataclasses.field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 8501
    grpc_port: int | None = 8500
    batching: BatchingConfig | None = None
    limits: Limits = dataclasses.field(default_factory=Limits)
    poll_seconds: float = 1.0
    shutdown_seconds: float = 30.0
    intra_op_threads: int = 0


class Server:
    """A development server.

    Args:
        config: What is served, and where.
        on_ready: Called with the server once it listens.

    Attributes:
        url: ``http://HOST:PORT``, once it listens.
        grpc_url: ``grpc://HOST:PORT``; None without gRPC.
        service: What answers.

    Example:
        >>> Server(ServerConfig(roots=("saved_models",))).run()         # until SIGTERM or Ctrl-C
    """

    def __init__(self, config: ServerConfig, on_ready: Callable[[Server], None] | None = None):
        self.config = config
        self.url = self.grpc_url = None
        self._on_ready = on_ready or (lambda server: None)
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        metrics = Metrics()
        library = Library(config.roots, config.models, metrics, _session_config(config))
        self.service = Service(library, config.batching, config.limits, metrics)

    def run(self) -> None:
        """Serves until ``stop`` or a signal.

        Raises:
            OSError: If a port is taken.
        """
        asyncio.run(self._serve())

    def stop(self) -> None:
        """Ends ``run`` from another thread: requests that were begun are answered."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        listener = _listener(self.config.host, self.config.port)
        self.url = f"http://{_shown_address(listener)}"
        ended = threading.Event()
        with contextlib.ExitStack() as stack:
            stack.callback(listener.close)
            _watch_signals(self._loop, self._stop, stack)
            grpc_server = await self._start_grpc()
            refresher = threading.Thread(target=self._refresh, args=(ended,), daemon=True)
            try:
                first = asyncio.ensure_future(asyncio.to_thread(self._first_refresh))
                stopped = asyncio.ensure_future(self._stop.wait())
                await asyncio.wait({first, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not self._stop.is_set():
                    first.result()
                    refresher.start()
                    if grpc_server:
                        await grpc_server.start()
                    await self._serve_rest(listener, grpc_server)
                stopped.cancel()
                await asyncio.wait({first})
            finally:
                ended.set()
                await asyncio.to_thread(self._end, refresher)

    def _first_refresh(self) -> None:
        # Modules stay: collections, one after each version that goes, need not look through them.
        gc.collect()
        gc.freeze()
        self.service.library.refresh()

    def _refresh(self, ended: threading.Event) -> None:
        while not ended.wait(self.config.poll_seconds):
            try:
                self.service.library.refresh()
            except Exception:
                _LOGGER.exception("Looking for new versions failed")

    async def _start_grpc(self):
        if self.config.grpc_port is None:
            return None
        from keras_bert.serving.rpc import make_grpc_server

        server = make_grpc_server(self.service)
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        try:
            port = server.add_insecure_port(f"{host}:{self.config.grpc_port}")
        except RuntimeError as error:
            raise OSError(f"Cannot listen on {host}:{self.config.grpc_port}: {error}") from error
        self.grpc_url = f"grpc://{host}:{port}"
        return server

    async def _serve_rest(self, listener: socket.socket, grpc_server) -> None:
        config = uvicorn.Config(
            RestApp(self.service),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=int(self.config.shutdown_seconds) or 1,
            h11_max_incomplete_event_size=2**16,
        )
        server = _Uvicorn(config)
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        stopped = asyncio.ensure_future(self._stop.wait())
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        self._on_ready(self)
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        _LOGGER.info("Ending; requests that were begun are answered")
        self.service.is_draining = True
        ending = [serving]
        if grpc_server:
            ending.append(asyncio.ensure_future(grpc_server.stop(self.config.shutdown_seconds)))
        await asyncio.sleep(_DRAIN_SECONDS)
        server.should_exit = True
        await asyncio.gather(*ending)
        stopped.cancel()

    def _end(self, refresher: threading.Thread) -> None:
        self.service.scheduler.stop(self.config.shutdown_seconds)
        if refresher.is_alive():
            refresher.join(self.config.shutdown_seconds)
        self.service.library.close()


class _Uvicorn(uvicorn.Server):
    """A uvicorn server that leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


def _session_config(config: ServerConfig):
    if not config.intra_op_threads:
        return None
    import tensorflow as tf

    return tf.compat.v1.ConfigProto(intra_op_parallelism_threads=config.intra_op_threads)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol said: asyncio lets small packets go at once only where it knows that, and
    # without it each answer takes 40 ms longer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise OSError(f"Cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listener


def _shown_address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _watch_signals(loop, stop: asyncio.Event, stack: contextlib.ExitStack) -> None:
    """Lets SIGTERM and Ctrl-C end the server, where it runs in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stop.set)
            stack.callback(loop.remove_signal_handler, number)
