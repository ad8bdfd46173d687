"""Version folders: numbers, and that nothing half-made is ever in the way."""

import os
import stat
import threading
import time

import pytest

from keras_bert.export.versions import check_target, existing_versions, publish, staging_folder


def write_version(target, version=None, content=b"graph"):
    with staging_folder(target) as stage:
        (stage / "saved_model.pb").write_bytes(content)
        return publish(stage, target, version)


def test_numbers_follow_the_largest_there_is(tmp_path):
    target = tmp_path / "saved_models" / "cards"
    assert write_version(target) == str(target / "1")
    assert write_version(target, 41) == str(target / "41")
    assert write_version(target) == str(target / "42")
    assert existing_versions(target) == [1, 41, 42]


def test_a_folder_that_is_missing_has_no_versions(tmp_path):
    assert existing_versions(tmp_path / "none") == []


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: p.write_text("")])
def test_a_number_in_use_is_not_taken(tmp_path, make):
    make(tmp_path / "0007")  # Servers read it as 7. Empty: os.rename would replace it.
    for names in ("v8", "٣", "9x", ".tmp-1"):  # U+0663 is a decimal digit to Python.
        (tmp_path / names).mkdir()
    with pytest.raises(FileExistsError, match="Version 7 exists"):
        check_target(tmp_path, 7)
    with pytest.raises(FileExistsError, match="Version 7 exists"):
        write_version(tmp_path, 7)
    assert write_version(tmp_path).endswith("8")


@pytest.mark.parametrize("version", [0, -1, 1.0, "1", True, 2**63])
def test_a_version_is_a_positive_number(tmp_path, version):
    with pytest.raises(ValueError, match="version must"):
        check_target(tmp_path, version)


def test_a_version_folder_is_no_place_for_versions(tmp_path):
    with pytest.raises(ValueError, match=r"names a version.*version=3"):
        check_target(tmp_path / "cards" / "3")
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ValueError, match="is a SavedModel itself"):
        check_target(tmp_path)


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "cards").write_text("mine")
    for target in (tmp_path / "cards", tmp_path / "cards" / "below"):
        with pytest.raises(NotADirectoryError, match="cards' is a file"):
            check_target(target)
    assert (tmp_path / "cards").read_text() == "mine"


@pytest.mark.parametrize("directory", ["gs://bucket/cards", "hdfs://host/cards", ""])
def test_only_local_folders(directory):
    with pytest.raises(ValueError, match=r"local folder|is empty"):
        check_target(directory)


def test_failure_leaves_nothing(tmp_path):
    target = tmp_path / "saved_models" / "cards"
    with pytest.raises(KeyboardInterrupt), staging_folder(target) as stage:
        (stage / "variables").mkdir()
        (stage / "variables" / "half").write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_failure_leaves_what_was_there(tmp_path):
    write_version(tmp_path, content=b"first")
    with pytest.raises(RuntimeError), staging_folder(tmp_path) as stage:
        (stage / "saved_model.pb").write_bytes(b"second")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert (tmp_path / "1" / "saved_model.pb").read_bytes() == b"first"


def test_a_server_run_by_another_user_may_read(tmp_path):
    umask = os.umask(0o022)
    try:
        path = write_version(tmp_path / "cards")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o755


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs users")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o555)
    is_root = os.geteuid() == 0  # Whom no mode stops.
    if is_root:
        os.seteuid(65534)
    try:
        check_target(tmp_path / "cards")
        with (
            pytest.raises(PermissionError, match=r"Cannot write the export to .*cards"),
            staging_folder(tmp_path / "cards"),
        ):
            pytest.fail("was made")
    finally:
        if is_root:
            os.seteuid(0)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_is_removed_after_a_day(tmp_path):
    names = [".tmp-" + "0" * 32, ".tmp-" + "1" * 32, ".tmp-mine", "notes"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
    for name in (names[0], *names[2:]):
        two_days_ago = time.time() - 2 * 24 * 3600
        os.utime(tmp_path / name, (two_days_ago, two_days_ago))
    write_version(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*names[1:], "1"])


def test_exports_at_once_get_different_numbers(tmp_path):
    barrier, paths = threading.Barrier(8), []

    def export():
        with staging_folder(tmp_path / "cards") as stage:
            (stage / "saved_model.pb").write_text(threading.current_thread().name)
            barrier.wait()  # All see the same largest number.
            paths.append(publish(stage, tmp_path / "cards"))

    threads = [threading.Thread(target=export) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(paths) == [str(tmp_path / "cards" / str(n)) for n in range(1, 9)]
    owners = {(tmp_path / "cards" / str(n) / "saved_model.pb").read_text() for n in range(1, 9)}
    assert len(owners) == 8
