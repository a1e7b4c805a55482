"""The virtual disk: its numbers, its tree, its mounts, and its errors."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from imagestore_sim.hosts import VirtualDisk
from rows import rows

BLOCK = 4096
Act = Callable[[], object]


def number(caught: pytest.ExceptionInfo[OSError]) -> int | None:
    return caught.value.errno


def test_a_fresh_disk_is_empty_and_all_of_it_is_available() -> None:
    disk = VirtualDisk(10 * BLOCK)
    assert (disk.size, disk.used, disk.available, disk.listdir("/")) == (10 * BLOCK, 0, 10 * BLOCK, [])


def test_sizes_are_whole_blocks_the_size_rounded_down_and_what_is_used_up() -> None:
    disk = VirtualDisk(10 * BLOCK + 1, BLOCK + 1, reserved=1)
    assert (disk.size, disk.used, disk.reserved) == (10 * BLOCK, 2 * BLOCK, BLOCK)
    assert disk.available == 7 * BLOCK


def test_space_reserved_for_root_is_free_but_not_available() -> None:
    volume = VirtualDisk(100 * BLOCK, 60 * BLOCK, reserved=10 * BLOCK).numbers()
    assert (volume.blocks, volume.used, volume.free, volume.available) == (100, 60, 40, 30)


@rows(("used", "reserved"), [(100, 0), (95, 10), (120, 0)])
def test_available_space_never_falls_below_zero(used: int, reserved: int) -> None:
    disk = VirtualDisk(100 * BLOCK, used * BLOCK, reserved=reserved * BLOCK)
    assert disk.available == 0


def test_others_write_and_the_disk_grows_and_shrinks() -> None:
    disk = VirtualDisk(100 * BLOCK)
    disk.used += 10 * BLOCK
    assert disk.available == 90 * BLOCK
    disk.resize(200 * BLOCK)
    assert disk.available == 190 * BLOCK
    disk.resize(5 * BLOCK)
    assert (disk.used, disk.available) == (10 * BLOCK, 0)


def test_files_count_in_whole_blocks_and_give_them_back() -> None:
    disk = VirtualDisk(100 * BLOCK, 10 * BLOCK)
    disk.write_file("/a", b"x" * (BLOCK + 1))
    assert disk.used == 12 * BLOCK
    disk.write_file("/a", b"x")
    assert disk.used == 11 * BLOCK
    disk.remove("/a")
    assert disk.used == 10 * BLOCK


def test_use_cannot_be_set_below_what_the_files_take() -> None:
    disk = VirtualDisk()
    disk.write_file("/a", b"x")
    with pytest.raises(ValueError, match="the files on this disk take 4096 bytes"):
        disk.used = 0
    disk.used = BLOCK
    assert disk.used == BLOCK


@rows(
    ("make", "name"),
    [
        (lambda: VirtualDisk(-1), "size"),
        (lambda: VirtualDisk(used=-1), "used"),
        (lambda: VirtualDisk(reserved=-1), "reserved"),
        (lambda: VirtualDisk(inodes=-1), "inodes"),
    ],
)
def test_no_number_is_below_zero(make: Act, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} cannot be -1"):
        make()


def test_a_file_reads_as_it_was_written_with_zeros_in_between() -> None:
    disk = VirtualDisk()
    file = disk.open("/a", create=True)
    file.write(3, b"de")
    file.write(0, b"a")
    assert disk.read_file("/a") == b"a\0\0de"
    file.truncate(2)
    file.extend(2)
    assert (file.read(0, 100), file.read(9, 1)) == (b"a\0\0\0", b"")


def test_zeros_take_space_on_the_disk_but_none_in_memory() -> None:
    disk = VirtualDisk(2**40)
    disk.open("/a", create=True).extend(2**39)
    assert disk.used == 2**39
    assert disk.stat("/a").size == 2**39


def test_a_removed_file_that_is_still_open_takes_no_space_any_more() -> None:
    disk = VirtualDisk()
    file = disk.open("/a", create=True)
    disk.remove_file("/a")
    file.write(0, b"x")
    assert (file.read(0, 1), disk.used, disk.exists("/a")) == (b"x", 0, False)


def test_directories_are_made_one_by_one_or_with_all_above_them() -> None:
    disk = VirtualDisk()
    with pytest.raises(FileNotFoundError):
        disk.make_directory("/zs/store")
    disk.make_directory("/zs/store", parents=True)
    disk.make_directory("/zs/store", parents=True)
    with pytest.raises(FileExistsError):
        disk.make_directory("/zs/store")
    assert (disk.listdir("/"), disk.listdir("/zs/"), disk.listdir("/zs/store")) == (["zs"], ["store"], [])


def test_dots_and_slashes_in_a_path_mean_what_they_do_on_linux() -> None:
    disk = VirtualDisk()
    disk.make_directory("//zs/./../zs/")
    assert disk.listdir("/zs/../../") == ["zs"]


@rows(
    ("path", "expected"),
    [
        ("/file", errno.EEXIST),
        ("/file/below", errno.ENOTDIR),
        ("/nosuch/below", errno.ENOENT),
        ("/" + "x" * 256, errno.ENAMETOOLONG),
        ("/", errno.EEXIST),
        ("", errno.ENOENT),
    ],
)
def test_a_directory_that_cannot_be_made_raises_the_error_of_linux(path: str, expected: int) -> None:
    disk = VirtualDisk()
    disk.write_file("/file", b"")
    with pytest.raises(OSError) as caught:
        disk.make_directory(path)
    assert number(caught) == expected


@rows(("path", "expected"), [("/file", errno.EEXIST), ("/file/below", errno.ENOTDIR)])
def test_a_file_among_the_parents_raises_the_error_of_linux(path: str, expected: int) -> None:
    disk = VirtualDisk()
    disk.write_file("/file", b"")
    with pytest.raises(OSError) as caught:
        disk.make_directory(path, parents=True)
    assert number(caught) == expected


def test_removing_is_recursive_and_rmdir_and_unlink_are_not() -> None:
    disk = VirtualDisk()
    disk.make_directory("/a/b", parents=True)
    disk.write_file("/a/b/file", b"x")
    with pytest.raises(OSError) as not_empty:
        disk.remove_directory("/a")
    with pytest.raises(IsADirectoryError):
        disk.remove_file("/a")
    with pytest.raises(NotADirectoryError):
        disk.remove_directory("/a/b/file")
    with pytest.raises(OSError) as root:
        disk.remove("/")
    assert (number(not_empty), number(root)) == (errno.ENOTEMPTY, errno.EBUSY)
    disk.remove("/a")
    assert (disk.listdir("/"), disk.used, disk.numbers().free_inodes) == ([], 0, disk.inodes - 1)
    with pytest.raises(FileNotFoundError):
        disk.remove("/a")


def test_an_exclusive_file_is_made_only_where_none_exists() -> None:
    disk = VirtualDisk()
    disk.make_directory("/folder")
    disk.open("/file", create=True, exclusive=True)
    with pytest.raises(FileExistsError):
        disk.open("/file", create=True, exclusive=True)
    with pytest.raises(FileNotFoundError):
        disk.open("/nosuch", write=True)
    with pytest.raises(IsADirectoryError):
        disk.open("/folder")


def test_a_rename_moves_and_replaces_what_may_be_replaced() -> None:
    disk = VirtualDisk()
    disk.make_directory("/a/b", parents=True)
    disk.write_file("/a/one", b"1")
    disk.write_file("/two", b"22")
    with pytest.raises(FileExistsError):
        disk.rename("/a/one", "/two", replace=False)
    disk.rename("/a/one", "/two")
    assert (disk.read_file("/two"), disk.listdir("/a"), disk.used) == (b"1", ["b"], BLOCK)
    with pytest.raises(OSError) as inside:
        disk.rename("/a", "/a/b/c")
    assert number(inside) == errno.EINVAL
    disk.rename("/a", "/c")
    assert disk.listdir("/c") == ["b"]


def test_a_mounted_disk_hides_the_directory_below_and_has_numbers_of_its_own() -> None:
    disk, other = VirtualDisk(100 * BLOCK), VirtualDisk(7 * BLOCK)
    disk.make_directory("/zs")
    disk.write_file("/zs/below", b"")
    disk.mount("/zs", other)
    disk.make_directory("/zs/registry")
    disk.write_file("/zs/image", b"x")
    assert (disk.listdir("/zs"), other.listdir("/")) == (["image", "registry"],) * 2
    assert (disk.statvfs("/zs/registry"), disk.used, other.used) == (other.numbers(), 0, BLOCK)
    assert disk.stat("/zs").device == other.device != disk.device
    assert [(path, one) for path, one in disk.mounts()] == [("/", disk), ("/zs", other)]


def test_an_unmounted_mount_point_shows_the_numbers_of_the_disk_above_and_what_is_below() -> None:
    disk, other = VirtualDisk(100 * BLOCK), VirtualDisk(7 * BLOCK)
    disk.make_directory("/zs")
    disk.mount("/zs", other)
    disk.make_directory("/zs/registry")
    assert disk.unmount("/zs") is other
    assert (disk.listdir("/zs"), disk.statvfs("/zs"), other.listdir("/")) == ([], disk.numbers(), ["registry"])
    with pytest.raises(OSError) as caught:
        disk.unmount("/zs")
    assert number(caught) == errno.EINVAL


def test_a_mount_point_is_busy_and_renames_do_not_cross_disks() -> None:
    disk, other = VirtualDisk(), VirtualDisk()
    disk.make_directory("/a/zs", parents=True)
    disk.mount("/a/zs", other)
    busy = []
    acts: list[Act] = [
        lambda: disk.remove("/a"),
        lambda: disk.remove_directory("/a/zs"),
        lambda: disk.mount("/a/zs", VirtualDisk()),
        lambda: disk.mount("/a", other),
        lambda: disk.mount("/", VirtualDisk()),
        lambda: disk.mount("/a", disk),
    ]
    for act in acts:
        with pytest.raises(OSError) as caught:
            act()
        busy.append(number(caught))
    assert busy == [errno.EBUSY] * 6
    disk.write_file("/file", b"")
    with pytest.raises(OSError) as crossing:
        disk.rename("/file", "/a/zs/file")
    assert number(crossing) == errno.EXDEV


def test_a_full_disk_takes_no_data_and_no_directory_but_an_empty_file() -> None:
    disk = VirtualDisk(10 * BLOCK, 9 * BLOCK)
    file = disk.open("/a", create=True)
    with pytest.raises(OSError) as caught:
        file.write(0, b"x" * (BLOCK + 1))
    assert (number(caught), file.size) == (errno.ENOSPC, 0)
    file.write(0, b"x" * BLOCK)
    with pytest.raises(OSError) as caught:
        disk.make_directory("/b")
    assert number(caught) == errno.ENOSPC
    disk.open("/empty", create=True)


def test_space_reserved_for_root_is_not_written_by_others() -> None:
    disk = VirtualDisk(10 * BLOCK, reserved=10 * BLOCK)
    with pytest.raises(OSError) as caught:
        disk.write_file("/a", b"x")
    assert number(caught) == errno.ENOSPC


def test_without_inodes_no_file_can_be_made_though_bytes_are_free() -> None:
    disk = VirtualDisk(inodes=2)
    disk.make_directory("/a")
    assert disk.numbers().free_inodes == 0
    acts: list[Act] = [lambda: disk.make_directory("/b"), lambda: disk.write_file("/c", b"")]
    for act in acts:
        with pytest.raises(OSError) as caught:
            act()
        assert number(caught) == errno.ENOSPC
    assert disk.available == disk.size
    disk.remove("/a")
    disk.make_directory("/b")


def test_a_disk_without_a_count_of_inodes_takes_any_number() -> None:
    disk = VirtualDisk(inodes=0)
    disk.make_directory("/a/b/c", parents=True)
    assert (disk.numbers().inodes, disk.numbers().free_inodes) == (0, 0)


def test_a_read_only_disk_is_read_and_not_changed() -> None:
    disk = VirtualDisk()
    disk.make_directory("/a")
    disk.write_file("/file", b"x")
    disk.read_only = True
    acts: list[Act] = [
        lambda: disk.make_directory("/b"),
        lambda: disk.write_file("/file", b"y"),
        lambda: disk.open("/file", write=True),
        lambda: disk.remove("/a"),
        lambda: disk.remove_file("/file"),
        lambda: disk.remove_directory("/a"),
        lambda: disk.rename("/a", "/b"),
        lambda: disk.chmod("/a", 0),
    ]
    for act in acts:
        with pytest.raises(OSError) as caught:
            act()
        assert number(caught) == errno.EROFS
    assert (disk.read_file("/file"), disk.numbers().read_only) == (b"x", True)
    disk.make_directory("/a", parents=True)  # it is there already


def test_without_its_rights_a_directory_is_neither_entered_nor_listed_nor_changed() -> None:
    disk = VirtualDisk()
    disk.make_directory("/a/b", parents=True)
    disk.chmod("/a", 0o000)
    acts: list[Act] = [
        lambda: disk.stat("/a/b"),
        lambda: disk.listdir("/a"),
        lambda: disk.make_directory("/a/c"),
        lambda: disk.make_directory("/a/b", parents=True),
    ]
    for act in acts:
        with pytest.raises(PermissionError):
            act()
    assert not disk.is_directory("/a/b")
    assert disk.is_directory("/a")
    disk.chmod("/a", 0o555)
    assert disk.listdir("/a") == ["b"]
    with pytest.raises(PermissionError):
        disk.remove("/a/b")


def test_furnished_directories_exist_even_on_a_full_read_only_disk() -> None:
    disk = VirtualDisk(0, read_only=True)
    disk.furnish(["/root", "/tmp", "/root"])
    assert disk.listdir("/") == ["root", "tmp"]


def test_of_several_failing_paths_the_nearest_to_the_root_counts_and_at_one_place_the_latest() -> None:
    disk = VirtualDisk()
    disk.make_directory("/data/store", parents=True)

    def met() -> int | None:
        try:
            disk.listdir("/data/store")
        except OSError as error:
            return error.errno
        return None

    first, second = disk.fail_path("/data/store", errno.ESTALE), disk.fail_path("/data/store", errno.EIO)
    third = disk.fail_path("/data/store", errno.ESTALE)
    assert met() == errno.ESTALE
    third()
    assert met() == errno.EIO
    above = disk.fail_path("/data", errno.EACCES)
    disk.fail_path("/data/store", errno.ENODEV)()
    assert met() == errno.EACCES
    above()
    second()
    assert met() == errno.ESTALE
    first()
    assert met() is None


def test_a_hole_takes_no_memory() -> None:
    disk = VirtualDisk(2**44)
    disk.write_file("/a", b"begin")
    file = disk.open("/a", write=True)
    far = 2**42 + 7
    file.write(far, b"far")
    file.write(3, b"INtoPage")
    file.write(far - 2**16, b"x" * 2**17)
    assert (file.size, file.read(0, 20)) == (far + 2**16, b"begINtoPage" + bytes(9))
    assert file.read(far - 2**16 - 2, 4) == b"\0\0xx"
    assert file.read(far + 2**16 - 2, 9) == b"xx"
    file.write(far, b"\0\0")
    assert file.read(far - 1, 4) == b"x\0\0x"
    file.truncate(far + 1)
    file.truncate(far + 9)
    assert file.read(far - 2, 20) == b"xx" + bytes(9)
    file.truncate(2)
    file.truncate(20)
    assert file.read(0, 30) == b"be" + bytes(18)


def test_a_file_of_zeros_is_not_read_as_a_whole() -> None:
    disk = VirtualDisk(2**44)
    disk.open("/a", create=True, write=True).extend(2**40)
    with pytest.raises(OSError, match="Cannot allocate memory") as caught:
        disk.read_file("/a")
    assert number(caught) == errno.ENOMEM


@rows("path", ["/x" * 2048, "/" + "/" * 4095, "/\u00e9" * 1400])
def test_a_path_that_is_too_long_is_no_path(path: str) -> None:
    disk = VirtualDisk()
    acts: list[Act] = [lambda: disk.stat(path), lambda: disk.make_directory(path), lambda: disk.open(path, create=True)]
    for act in acts:
        with pytest.raises(OSError, match="File name too long") as caught:
            act()
        assert number(caught) == errno.ENAMETOOLONG


@pytest.mark.thorough
def test_a_deep_tree_is_counted_moved_and_removed() -> None:
    disk = VirtualDisk(inodes=10_000)
    for top in ("/a", "/b"):
        disk.make_directory(top + "/d" * 2000, parents=True)
    disk.rename("/b", "/a" + "/d" * 2000 + "/b")
    assert [path for path, _ in disk.mounts()] == ["/"]
    disk.remove("/a")
    assert disk.numbers().taken_inodes == 1
