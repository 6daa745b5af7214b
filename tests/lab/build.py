"""Make a host's disk: Debian packages, settings for a quick boot, wheels, workload images.

`python -m tests.lab.build trixie forky` makes what the cache does not have.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab import cache, images
from tests.lab.bake import ARCHIVE, bake
from tests.lab.host import Image
from tests.lab.recipe import LOCK, RECIPES, Recipe
from tests.lab.say import say, step

_MASKED = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
    "systemd-networkd-persistent-storage.service",
)
_FILES = {
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/hostname": "drainer-lab\n",
    "etc/hosts": "127.0.0.1 localhost drainer-lab\n",
    "etc/pip.conf": "[global]\nno-index = true\nfind-links = /opt/wheels\n",
    "etc/resolv.conf": "",
    "etc/ssh/sshd_config.d/lab.conf": "UseDNS no\nUsePAM no\nPermitRootLogin yes\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=persistent\nRateLimitBurst=0\n",
    "etc/systemd/network/lab.network": "[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n",
}
# CRIU sets hardware breakpoints, and with the first and the last of them the kernel rewrites its
# own scheduler (static key perf_sched_events). Emulated on several threads, another CPU can meet
# the int3 of the rewriting too late: `Oops: int3`, panic. A perf event that is always open leaves
# the scheduler as it is. 298: perf_event_open; attr: a dummy software event, of this process.
# The first container with a limit of CPU has it rewrite dequeue_task_fair, too
# (__cfs_bandwidth_used): the limit of this service is there before, and stays.
# A second after the last event is gone the kernel rewrites its scheduler back: no stop job and, for
# the @ in its name (systemd src/shared/killall.c), no last signal ends this process in a shutdown.
_STEADY = """\
import ctypes, signal, struct
attr = ctypes.create_string_buffer(struct.pack("=IIQ", 1, 112, 9), 112)
descriptor = ctypes.CDLL(None).syscall(298, attr, 0, -1, -1, 0)
assert descriptor >= 0
signal.pause()
"""
_FILES |= {
    "usr/local/lib/lab/steady.py": _STEADY,
    "etc/systemd/system/lab-steady.service": "[Unit]\nDefaultDependencies=no\n"
    "Before=docker.service\n[Service]\nExecStart=@/usr/bin/python3 @lab-steady -I"
    " /usr/local/lib/lab/steady.py\nRestart=on-failure\nCPUQuota=200%\n"
    "[Install]\nWantedBy=multi-user.target\n",
}
# virtio is all there is: a small initrd boots seconds sooner under emulation.
_INITRAMFS = {
    "etc/initramfs-tools/conf.d/lab": ("MODULES=list",),
    "etc/initramfs-tools/modules": ("virtio_pci", "virtio_blk", "ext4"),
}
_TARGETS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "any")


def image(name: str) -> Image:
    """Return the image of the recipe of this name; make it first if it is not cached (minutes)."""
    recipe = RECIPES[name]
    directory = cache.cache_dir() / recipe.key
    with cache.exclusive(name):
        if not directory.is_dir():
            with step(f"building the {name} host, once"), cache.scratch("build") as work:
                _build(recipe, work)
                (work / "image").rename(directory)
            cache.prune(
                entry
                for entry in cache.cache_dir().glob(f"{name}-*")
                if entry != directory and entry.is_dir()
            )
    return Image(name, directory)


def _build(recipe: Recipe, work: Path) -> None:
    root, finished = work / "root", work / "image"
    finished.mkdir()
    result = Image(recipe.name, finished)
    with step("  debian packages"):
        _bootstrap(recipe, root)
    with step("  workload file systems"):
        roots = {name: work / f"{name}.tar" for name in (images.BUSYBOX, images.WORKLOAD)}
        _workload(recipe, roots[images.WORKLOAD])
        images.busybox_tar(root / "usr/bin/busybox", roots[images.BUSYBOX])
        images.archive(roots, root / ARCHIVE)
    with step("  wheels"):
        _wheels(recipe, root / "opt/wheels")
    with step("  disk"):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(result.key))
        _configure(root, result.key.with_suffix(".pub").read_text())
        shutil.copy(root / "vmlinuz", result.kernel)
        shutil.copy(root / "initrd.img", result.initrd)
        _run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(result.disk), recipe.disk_size)
        shutil.rmtree(root)
    with step("  workload images, in the first boot"):
        bake(result, work)
    cache.flush(result.disk)


def _bootstrap(recipe: Recipe, root: Path) -> None:
    hooks = [
        f'--essential-hook=mkdir -p "$1/{Path(name).parent}" && '
        f'printf "%s\\n" {" ".join(lines)} >"$1/{name}"'
        for name, lines in _INITRAMFS.items()
    ]
    _mmdebstrap(recipe.suite, recipe.host_packages, root, *hooks)


def _workload(recipe: Recipe, target: Path) -> None:
    hooks = [f"--customize-hook={hook}" for hook in images.WORKLOAD_HOOKS]
    _mmdebstrap(recipe.suite, recipe.workload_packages, target, *hooks)


def _mmdebstrap(suite: str, packages: tuple[str, ...], target: Path, *options: str) -> None:
    _run(
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        # A mirror's Release file can be past its Valid-Until, above all a testing suite's.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--aptopt=Acquire::Languages "none"',
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        # Java's package puts links there, and fails where it cannot.
        '--essential-hook=mkdir -p "$1/usr/share/man/man1"',
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        f"--include={','.join(packages)}",
        *options,
        suite,
        str(target),
    )


def _wheels(recipe: Recipe, target: Path) -> None:
    platforms = [word for name in _TARGETS for word in ("--platform", name)]
    version = recipe.python.replace(".", "")
    abis = [word for name in (f"cp{version}", "abi3", "none") for word in ("--abi", name)]
    _run(
        sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download",
        "--no-deps", "--only-binary=:all:", "--require-hashes", "--python-version", recipe.python,
        "--implementation", "cp", *platforms, *abis, "--dest", str(target), "-r", str(LOCK),
    )  # fmt: skip


def _configure(root: Path, public_key: str) -> None:
    files = {**_FILES, "root/.ssh/authorized_keys": public_key, "etc/machine-id": ""}
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(content)
    (root / "root/.ssh").chmod(0o700)
    (root / "var/log/journal").mkdir(exist_ok=True)
    chroot = ("chroot", str(root), "systemctl", "--quiet")
    _run(
        *chroot,
        "enable",
        "systemd-networkd.service",
        "ssh.service",
        "docker.service",
        "lab-steady.service",
    )
    _run(*chroot, "mask", *_MASKED)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        say(done.stdout + done.stderr)
        done.check_returncode()


def main() -> None:
    """Make the images named on the command line."""
    for suite in sys.argv[1:] or list(RECIPES):
        say(f"{suite}: {image(suite).directory}")


if __name__ == "__main__":
    main()
