from pathlib import Path

import pytest

from drainer.host.kernels import newest


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (("vmlinuz-6.1.0-28-amd64", "vmlinuz-6.12.9+deb13-amd64"), "6.12.9+deb13-amd64"),
        (("vmlinuz-6.12.9-1", "vmlinuz-6.12.48-1", "initrd.img-7.1.0"), "6.12.48-1"),
        (
            ("vmlinuz-0-rescue-99aabbccddeeff00", "vmlinuz-6.17.4-200.fc43.x86_64"),
            "6.17.4-200.fc43.x86_64",
        ),
        (("vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-40-amd64"), "6.1.0-40-amd64"),
        (("vmlinuz-linux", "vmlinuz"), ""),
        ((), ""),
    ],
)
def test_the_newest_kernel_in_boot(tmp_path: Path, files: tuple[str, ...], found: str) -> None:
    assert newest(make(tmp_path, *files), tmp_path / "none") == found


def test_a_kernel_beside_its_modules_counts_too(tmp_path: Path) -> None:
    boot = make(tmp_path / "boot", "vmlinuz-6.12.1")
    modules = make(tmp_path / "modules", "7.1.2-arch1/vmlinuz", "7.2.0/modules.dep")
    assert newest(boot, modules) == "7.1.2-arch1"
