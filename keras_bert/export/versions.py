"""The folder NAME/VERSION of an export, written so that a polling server never sees half of one."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["check_target", "existing_versions", "publish", "remove_older", "staging_folder"]

#: TF Serving takes children of the model's folder whose name is a whole number as versions and
#: passes over all others, so a name like this one is invisible to it.
STAGING = ".tmp-"
_STAGING_NAME = re.compile(re.escape(STAGING) + r"[0-9a-f]{32}")
#: An export takes seconds to minutes; what has lain for a day belongs to a killed process.
_ABANDONED_SECONDS = 24 * 3600
#: TF Serving reads version numbers as int64.
_LARGEST_VERSION = 2**63 - 1


def check_target(
    directory: str | os.PathLike, version: int | None = None, keep: int | None = None
) -> Path:
    """Checks that a version can be written below ``directory``, as far as can be seen beforehand.

    Args:
        directory: Folder of the model, ``saved_models/NAME``; need not exist.
        version: Number wanted, or None for the next free one.
        keep: How many versions are to stay, or None for all.

    Returns:
        The folder as a path.

    Raises:
        ValueError: If ``directory`` is remote, is a version folder or is an export itself, if
            ``version`` is no number a server accepts, or one so old that ``keep`` would remove it.
        NotADirectoryError: If a file is in the way.
        FileExistsError: If ``version`` exists already.

    Example:
        >>> check_target("saved_models/banking77").name
        'banking77'
    """
    text = os.fsdecode(directory)
    if not text:
        raise ValueError("directory is empty; give the model's folder, such as saved_models/NAME.")
    if "://" in text:
        raise ValueError(
            f"Cannot export to {text!r}: a version appears by renaming a folder, which only a file "
            "system does in one step. Export to a local folder and copy the version from there."
        )
    target = Path(text).expanduser()
    number = _number(target.resolve().name)
    if number is not None:
        raise ValueError(
            f"{text!r} names a version. Give the model's folder, {str(target.parent)!r}; "
            f"the version is numbered by itself, or pass version={number}."
        )
    # os.path: where a folder may not be entered it says no, and making the folder says why.
    if os.path.exists(target / "saved_model.pb"):
        raise ValueError(
            f"{text!r} is a SavedModel itself, so a server would not look for versions below it. "
            "Give the folder that is to hold the versions, such as saved_models/NAME."
        )
    nearest = next((path for path in (target, *target.parents) if os.path.exists(path)), None)
    if nearest is not None and not os.path.isdir(nearest):
        raise NotADirectoryError(f"Cannot export to {text!r}: {str(nearest)!r} is a file.")
    _check_version(target, version)
    if keep is not None:
        _check_keep(target, version, keep)
    return target


def _check_keep(target: Path, version: int | None, keep: int) -> None:
    if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
        raise ValueError(f"keep must be a whole number of at least 1, or None; received {keep!r}.")
    newer = [number for number in existing_versions(target) if version and number > version]
    if len(newer) >= keep:
        raise ValueError(
            f"version={version} with keep={keep} would be removed at once: {str(target)!r} has "
            f"newer ones, {newer}. Leave version out for the next number."
        )


def _check_version(target: Path, version: int | None) -> None:
    if version is None:
        return
    if isinstance(version, bool) or not isinstance(version, int):
        raise ValueError(f"version must be a whole number or None; received {version!r}.")
    if not 1 <= version <= _LARGEST_VERSION:
        raise ValueError(f"version must lie between 1 and 2**63 - 1; received {version}.")
    if version in existing_versions(target):
        raise FileExistsError(
            f"Version {version} exists in {str(target)!r} and is left as it is. Leave version "
            "out for the next number, or remove that folder first."
        )


def existing_versions(target: str | os.PathLike) -> list[int]:
    """Returns the version numbers taken in a model's folder, smallest first.

    Example:
        >>> existing_versions("saved_models/banking77")
        [1, 2]
    """
    try:
        names = os.listdir(target)
    except FileNotFoundError:
        return []
    # A file of such a name counts too: its number cannot be used.
    return sorted(number for name in names if (number := _number(name)) is not None)


def _number(name: str) -> int | None:
    # isdecimal alone would also take digits of other scripts, which no server reads as a version.
    return int(name) if name.isascii() and name.isdecimal() else None


@contextlib.contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """Makes a folder below ``target`` that servers pass over, and removes it at the end.

    ``publish`` moves it away. Where that does not happen, nothing is left: neither the folder nor
    the parents made for it.

    Raises:
        PermissionError: If the folder cannot be written.
        OSError: If it cannot be made for another reason.

    Example:
        >>> with staging_folder(Path("saved_models/banking77")) as stage:
        ...     (stage / "saved_model.pb").write_bytes(b"")
        ...     publish(stage, Path("saved_models/banking77"))
        'saved_models/banking77/1'
    """
    # Not tempfile.mkdtemp: its folders are closed to other users, and a server may be one.
    stage = target / f"{STAGING}{uuid.uuid4().hex}"
    parents = [path for path in (target, *target.parents) if not os.path.exists(path)]
    try:
        try:
            target.mkdir(parents=True, exist_ok=True)
            stage.mkdir()
        except OSError as error:
            raise type(error)(
                f"Cannot write the export to {str(target)!r}: {error.strerror or error}."
            ) from error
        _remove_abandoned(target)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        with contextlib.suppress(OSError):  # The first that is not empty ends it.
            for path in parents:
                path.rmdir()


def _remove_abandoned(target: Path) -> None:
    """Removes what exports left that were killed long ago."""
    with contextlib.suppress(OSError):  # Two exports may clean at once; nothing hangs on it.
        for entry in os.scandir(target):
            age = time.time() - entry.stat(follow_symlinks=False).st_mtime
            if _STAGING_NAME.fullmatch(entry.name) and age > _ABANDONED_SECONDS:
                shutil.rmtree(entry.path, ignore_errors=True)


def publish(stage: Path, target: Path, version: int | None = None) -> str:
    """Turns a finished staging folder into ``target/VERSION`` in one step.

    Args:
        stage: The folder from ``staging_folder``, complete; must not be empty.
        target: Folder of the model.
        version: Number wanted, or None for one more than the largest there is.

    Returns:
        Path of the version's folder. Two processes that publish at the same time get two numbers.

    Raises:
        FileExistsError: If ``version`` exists; it stays as it was.

    Example: see ``staging_folder``.
    """
    _flush(stage)
    while True:
        _check_version(target, version)
        number = version or max(existing_versions(target), default=0) + 1
        final = target / str(number)
        try:
            # Fails where `final` is a file or a folder that is not empty, so of two processes
            # with the same number one comes back here and sees the other's folder.
            os.rename(stage, final)
        except OSError:
            if not final.exists():
                raise
        else:
            return str(final)


def remove_older(target: Path, keep: int) -> list[int]:
    """Removes all versions but the ``keep`` newest; returns the numbers removed.

    Each vanishes at once: it is renamed to what servers pass over, and removed there.

    Raises:
        OSError: If one cannot be removed.
    """
    removed = []
    for number in existing_versions(target)[:-keep]:
        path = target / str(number)
        if path.is_dir():
            gone = target / f"{STAGING}{uuid.uuid4().hex}"
            os.rename(path, gone)
            shutil.rmtree(gone)
            removed.append(number)
    return removed


def _flush(stage: Path) -> None:
    """Waits until the folder's content is on the disk: a rename may outlive what it renames."""
    for folder, _, names in os.walk(stage):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                os.fsync(file.fileno())
