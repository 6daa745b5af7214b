from pathlib import Path

import pytest

from drainer.host.cgroups import memory

GROUP = "/system.slice/docker-abc.scope"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "memory" / GROUP[1:]).mkdir(parents=True)
    (tmp_path / GROUP[1:]).mkdir(parents=True)
    return tmp_path


def test_version_2_counts_what_is_in_memory_and_swapped(root: Path) -> None:
    group = root / GROUP[1:]
    (group / "memory.stat").write_text("anon 100\nfile 5000\nanon_thp 7\nshmem 20\n")
    assert memory(GROUP, root) == 120
    (group / "memory.swap.current").write_text("3\n")
    assert memory(GROUP, root) == 123


def test_version_1_has_other_names(root: Path) -> None:
    stat = "cache 9\nrss 1\ntotal_rss 100\ntotal_shmem 20\ntotal_swap 3\ntotal_cache 900\n"
    (root / "memory" / GROUP[1:] / "memory.stat").write_text(stat)
    assert memory(GROUP, root) == 123


@pytest.mark.parametrize("group", ["", "/", "/gone", "/a\0b"])
def test_what_cannot_be_read_is_nothing(root: Path, group: str) -> None:
    (root / "memory.stat").write_text("anon 100\n")
    assert memory(group, root) == 0


def test_odd_lines_are_passed_over(root: Path) -> None:
    (root / GROUP[1:] / "memory.stat").write_bytes(b"anon\nanon x\nshmem -1\n\xff\nshmem 8\n")
    assert memory(GROUP, root) == 8
