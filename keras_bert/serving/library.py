"""The models being served: their versions on the disk, in memory, and between the two."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import gc
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from keras_bert.serving.errors import ServingError
from keras_bert.serving.metrics import Metrics
from keras_bert.serving.servable import Servable
from keras_bert.serving.warm_up import warm_up

__all__ = ["Library", "ModelSource", "VersionState", "find_models"]

_LOGGER = logging.getLogger("keras_bert.serving")
# Ended versions that the status still tells of.
_MOST_ENDED = 20


@dataclasses.dataclass(frozen=True)
class ModelSource:
    """Where a model's versions are, and which of them to serve.

    Attributes:
        folder: Its versions are the numbered folders in it.
        versions: Numbers to serve; None for the newest one.
        labels: Names of versions, for requests that give one.
    """

    folder: str
    versions: tuple[int, ...] | None = None
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class VersionState:
    """What became of a version: TF Serving's states START, LOADING, AVAILABLE, UNLOADING, END."""

    state: str
    code: str = "OK"
    message: str = ""
    servable: Servable | None = None
    identity: Any = None


def find_models(root: str) -> dict[str, ModelSource]:
    """The models in a folder: those of its folders that have numbered ones in them.

    ``root`` may also be such a folder itself.

    Raises:
        FileNotFoundError: If there is no folder.
        ValueError: If it is a version's own folder.

    Example:
        >>> find_models("saved_models")
        {'banking77': ModelSource(folder='saved_models/banking77', versions=None, labels={})}
    """
    if not os.path.isdir(root):
        raise FileNotFoundError(f"There is no folder {root!r}.")
    if os.path.isfile(os.path.join(root, "saved_model.pb")):
        raise ValueError(
            f"{root!r} is one version of a model. Give the folder above it, NAME, or the one above "
            "that, which may have several models."
        )
    if _versions_in(root):
        return {os.path.basename(os.path.abspath(root)): ModelSource(root)}
    folders = sorted(entry.path for entry in os.scandir(root) if entry.is_dir())
    return {os.path.basename(path): ModelSource(path) for path in folders if _versions_in(path)}


def _versions_in(folder: str) -> dict[int, str]:
    """Number → path of the versions that are there."""
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    found = {}
    for name in names:
        path = os.path.join(folder, name)
        if name.isascii() and name.isdecimal() and os.path.isdir(path):
            found[int(name)] = path
    return found


def _identity(path: str):
    """What changes when another version is put in a folder's place."""
    try:
        stat = os.stat(os.path.join(path, "saved_model.pb"))
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


class Library:
    """Models with their versions, brought up to date by ``refresh``.

    As TF Serving: the newest version is served; while another is loaded and warmed up, the one
    before goes on answering, and it stays where the new one cannot be loaded; a version whose
    folder is removed is unloaded after its last request. Unlike there, a folder that is put in the
    place of another of the same number is loaded too, and a version that failed is tried again
    when its folder changes.

    Args:
        roots: Folders that are looked through for models at each refresh.
        models: Models given by name.
        metrics: Where warm-ups are counted.
        config: ``tf.compat.v1.ConfigProto`` of the sessions, or None.
    """

    def __init__(
        self,
        roots: tuple[str, ...] = (),
        models: Mapping[str, ModelSource] | None = None,
        metrics: Metrics | None = None,
        config=None,
    ):
        self._roots, self._given = roots, dict(models or {})
        self._metrics, self._config = metrics or Metrics(), config
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._sources: dict[str, ModelSource] = {}
        self._states: dict[str, dict[int, VersionState]] = collections.defaultdict(dict)

    # Asking.

    @property
    def names(self) -> list[str]:
        """Names of the models there are."""
        with self._lock:
            return sorted(self._sources)

    @property
    def known(self) -> Mapping[str, ModelSource]:
        """The models there are, by name; not to be changed."""
        return self._sources

    @contextlib.contextmanager
    def lease(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> Iterator[Servable]:
        """A version, kept in memory while the context lasts: the newest if none is named.

        Raises:
            ServingError: If there is none such.
        """
        servable = self._acquired(name, version, label)
        try:
            yield servable
        finally:
            servable.release()

    def _acquired(self, name: str, version: int | None, label: str | None) -> Servable:
        if not name:
            raise ServingError("INVALID_ARGUMENT", "ModelSpec has no name specified.")
        with self._lock:
            if label:
                version = self._version_of(name, label)
            states = self._states.get(name, {})
            wanted = sorted(states, reverse=True) if version is None else [version]
            for number in wanted:
                state = states.get(number)
                if state and state.state == "AVAILABLE" and state.servable.acquire():
                    return state.servable
        which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise ServingError("NOT_FOUND", f"Servable not found for request: {which}")

    def _version_of(self, name: str, label: str) -> int:
        source = self._sources.get(name)
        if source is None or label not in source.labels:
            raise ServingError("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        return source.labels[label]

    def status(self, name: str, version: int | None = None) -> dict[int, VersionState]:
        """States of a model's versions, or of one of them, newest first.

        Raises:
            ServingError: If nothing is known of it.
        """
        with self._lock:
            states = dict(self._states.get(name, {}))
        if version is not None:
            if version not in states:
                raise ServingError("NOT_FOUND", f"Could not find version {version} of model {name}")
            return {version: states[version]}
        if not states:
            raise ServingError("NOT_FOUND", f"Could not find any versions of model {name}")
        return {number: states[number] for number in sorted(states, reverse=True)}

    def missing(self) -> list[str]:
        """Names of the models of which no version is available."""
        with self._lock:
            return [
                name
                for name in sorted(self._sources)
                if not any(s.state == "AVAILABLE" for s in self._states.get(name, {}).values())
            ]

    # Keeping up with the disk.

    def refresh(self) -> None:
        """Looks at the folders; loads what is new and unloads what is gone. One at a time."""
        with self._refreshing:
            sources = dict(self._given)
            for root in self._roots:
                with contextlib.suppress(OSError, ValueError):  # It may be away for a moment.
                    sources = {**find_models(root), **sources}
            with self._lock:
                gone = set(self._sources) - set(sources)
                self._sources = sources
            for name, source in sources.items():
                self._refresh_model(name, source)
            for name in gone:
                self._unload(name, list(self._states[name]))
                with self._lock:
                    del self._states[name]

    def _refresh_model(self, name: str, source: ModelSource) -> None:
        found = _versions_in(source.folder)
        numbers = source.versions or ([max(found)] if found else [])
        wanted = [number for number in numbers if number in found]
        loaded = [self._load(name, number, found[number]) for number in wanted]
        states = self._states[name]
        others = [n for n in states if n not in wanted and states[n].state == "AVAILABLE"]
        # What answers goes on answering until what is wanted does, even if its folder is gone.
        if all(loaded):
            self._unload(name, others)
        self._forget_ended(name, set(found))

    def _load(self, name: str, number: int, path: str) -> bool:
        """Makes a version available, if it is not; returns whether it is."""
        states, identity = self._states[name], _identity(path)
        before = states.get(number)
        if before and before.state in ("AVAILABLE", "END") and before.identity == identity:
            if before.state == "AVAILABLE" or before.code != "OK":
                return before.state == "AVAILABLE"
        is_new = before is None or before.state != "AVAILABLE"
        if not is_new and identity is None:
            return True  # being replaced
        if is_new:
            self._set(name, number, VersionState("LOADING", identity=identity))
        try:
            servable = Servable(path, name, number, self._config)
            try:
                records = warm_up(servable, self._metrics)
            except BaseException:
                servable.retire()
                raise
        except Exception as error:
            return self._failed(name, number, identity, error, None if is_new else before)
        self._set(name, number, VersionState("AVAILABLE", servable=servable, identity=identity))
        _LOGGER.info("%s: version %d is available (%d warm-up requests)", name, number, records)
        if not is_new:
            _free(before.servable)
        return True

    def _failed(self, name, number, identity, error, before) -> bool:
        if not isinstance(error, ServingError):
            error = ServingError("INTERNAL", f"{type(error).__name__}: {error}")
        _LOGGER.error("%s: version %d cannot be served: %s", name, number, error.message)
        if before is not None:  # The one in whose place it was put is in memory still.
            before.identity, before.message = identity, error.message
            return True
        failed = VersionState("END", error.code, error.message, identity=identity)
        self._set(name, number, failed)
        return False

    def _unload(self, name: str, numbers: list[int]) -> None:
        for number in numbers:
            state = self._states[name][number]
            if state.servable is None:
                continue
            self._set(name, number, VersionState("UNLOADING"))
            _free(state.servable)
            self._set(name, number, VersionState("END"))
            _LOGGER.info("%s: version %d is unloaded", name, number)

    def _set(self, name: str, number: int, state: VersionState) -> None:
        with self._lock:
            self._states[name][number] = state

    def _forget_ended(self, name: str, found: set[int]) -> None:
        with self._lock:
            states = self._states[name]
            ended = [n for n in sorted(states) if states[n].state == "END" and n not in found]
            for number in ended[:-_MOST_ENDED]:
                del states[number]

    def close(self) -> None:
        """Unloads everything."""
        with self._refreshing:
            for name, states in self._states.items():
                self._unload(name, list(states))


def _free(servable: Servable) -> None:
    servable.retire()
    del servable
    # A graph is held by cycles of references.
    gc.collect()
