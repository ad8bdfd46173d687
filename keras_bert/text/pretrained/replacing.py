"""Several files of a folder that belong together are replaced together."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["replace_files"]


def replace_files(
    folder: str | os.PathLike, files: Mapping[str, bytes], obsolete: Iterable[str] = ()
) -> None:
    """Writes files into a folder, all of them or none.

    They are written beside the old ones first and then renamed. Where that fails (no room, no
    rights), the old files are as they were. Only a process that is killed between two of the
    renames, some microseconds, leaves a mixture.

    Args:
        folder: the folder; made, with those above it, if there is none.
        files: name -> content.
        obsolete: names of files that must not stay beside the new ones.

    Raises:
        FileExistsError: there is a file by the folder's name.
        IsADirectoryError: there is a folder by a file's name.
        OSError: a file cannot be written.

    Example:
        >>> replace_files("model", {"vocab.txt": b"[PAD]\\n"}, obsolete=["tokenizer.json"])
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    old = [name for name in dict.fromkeys([*files, *obsolete]) if (folder / name).exists()]
    taken = next((name for name in old if (folder / name).is_dir()), None)
    if taken:
        raise IsADirectoryError(f"{str(folder / taken)!r} is a folder. Expected a file, or none.")
    # In the folder itself: a rename does not cross from one disk to another.
    stage = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    try:
        for name, content in files.items():
            _write(stage / f"new-{name}", content)
        for name in old:
            shutil.copy2(folder / name, stage / f"old-{name}")
        try:
            for name in files:
                os.replace(stage / f"new-{name}", folder / name)
            for name in set(old) - set(files):
                (folder / name).unlink()
        except BaseException:
            _restore(stage, folder, old, files)
            raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # a rename may outlive what it renames


def _restore(stage: Path, folder: Path, old: list[str], files: Mapping[str, bytes]) -> None:
    for name in files:
        if name not in old:
            (folder / name).unlink(missing_ok=True)
    for name in old:
        os.replace(stage / f"old-{name}", folder / name)
