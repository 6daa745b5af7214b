"""Build the wheel, the Debian package and the RPM.

The packages bring drainer and the Python packages that it needs, at the versions that its tests run
with, in a directory of their own: nothing else on the host sees them, or changes them.
"""

import gzip
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE)]

import completion  # noqa: E402 - found by the line above
import manual  # noqa: E402

from drainer import __version__  # noqa: E402
from drainer.config.settings import sample  # noqa: E402
from drainer.units import CATALOG, FILES, render, template  # noqa: E402

PROGRAM = Path("/usr/bin/drainer")
LIBRARY = Path("usr/lib/drainer")
LAUNCHER = f"""\
#!/usr/bin/python@PYTHON@ -I
import sys

sys.path.insert(0, "/{LIBRARY}")
from drainer.cli import main

main()
"""
REVISION = os.environ.get("DRAINER_PACKAGE_REVISION", "1")
_DEBIAN_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")


def main(python: str, target: Path) -> None:
    """Build everything for hosts with this version of Python, such as 3.13."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        wheel = _wheel(work)
        tree = work / "tree"
        _library(wheel, python, tree / LIBRARY)
        _files(tree, python)
        shutil.copy(wheel, target)
        shutil.copy(HERE / "requirements.txt", target)
        for package in (_debian(tree, python, work), _rpm(tree, python, work)):
            shutil.move(package, target / package.name)
            sys.stdout.write(f"{target / package.name}\n")


def _wheel(work: Path) -> Path:
    # Not from the checkout itself: what a build leaves there would be in the next one.
    source = work / "source"
    listing = _run("git", "-C", str(ROOT), "ls-files", "-z", "-c", "-o", "--exclude-standard")
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(work), str(source))
    (found,) = work.glob("drainer-*.whl")
    return found


def _library(wheel: Path, python: str, target: Path) -> None:
    machine = platform.machine()
    digits = python.replace(".", "")
    common = ["install", "--no-deps", "--no-compile", "--target", str(target)]
    wanted = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    for abi in (f"cp{digits}", "abi3", "none"):
        wanted += ["--abi", abi]
    for name in _PLATFORMS:
        wanted += ["--platform", f"{name}_{machine}"]
    requirements = str(HERE / "requirements.txt")
    _pip(*common, *wanted, "--platform", "any", "--require-hashes", "-r", requirements)
    _pip(*common, "--upgrade", str(wheel))
    shutil.rmtree(target / "bin", ignore_errors=True)


def _files(tree: Path, python: str) -> None:
    """Lay out everything but the library."""
    _put(tree / PROGRAM.relative_to("/"), LAUNCHER.replace("@PYTHON@", python), 0o755)
    for unit in FILES:
        _put(tree / "usr/lib/systemd/system" / unit, render(unit, PROGRAM))
    _put(tree / "usr/lib/systemd/catalog" / CATALOG, template(CATALOG))
    _put(tree / "usr/share/bash-completion/completions/drainer", completion.bash())
    _put(tree / "usr/share/zsh/vendor-completions/_drainer", completion.zsh())
    _put(tree / "usr/share/fish/vendor_completions.d/drainer.fish", completion.fish())
    for name, section, text in manual.pages():
        path = tree / f"usr/share/man/man{section}/{name}.{section}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
        path.chmod(0o644)
    documents = tree / "usr/share/doc/drainer"
    _put(documents / "config.yaml.sample", sample())
    _put(documents / "copyright", (ROOT / "LICENSE").read_text())
    _put(documents / "README.md", (ROOT / "README.md").read_text())
    for page in sorted((ROOT / "docs").glob("*.md")):
        _put(documents / "docs" / page.name, page.read_text())
    (tree / "etc/drainer/hooks.d").mkdir(parents=True)
    for path in (tree, *tree.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
        elif not path.stat().st_mode & 0o100:
            path.chmod(0o644)


def _debian(tree: Path, python: str, work: Path) -> Path:
    root = work / "debian"
    shutil.copytree(tree, root)
    size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) >> 10
    machine = _DEBIAN_MACHINES[platform.machine()]
    control = (HERE / "debian" / "control").read_text()
    fields = {
        "VERSION": f"{__version__}-{REVISION}",
        "MACHINE": machine,
        "SIZE": str(size),
        "PYTHON": python,
        "NEXT": _next(python),
    }
    for name, value in fields.items():
        control = control.replace(f"@{name}@", value)
    _put(root / "DEBIAN" / "control", control)
    for script in ("postinst", "prerm", "postrm"):
        _put(root / "DEBIAN" / script, (HERE / "debian" / script).read_text(), 0o755)
    (root / "DEBIAN").chmod(0o755)
    package = work / f"drainer_{__version__}-{REVISION}_{machine}.deb"
    _run("dpkg-deb", "--root-owner-group", "--build", str(root), str(package))
    return package


def _rpm(tree: Path, python: str, work: Path) -> Path:
    definitions = {
        "_topdir": str(work / "rpm"),
        "drainer_version": __version__,
        "drainer_revision": REVISION,
        "drainer_python": python,
        "drainer_tree": str(tree),
    }
    options = [w for name, value in definitions.items() for w in ("--define", f"{name} {value}")]
    _run("rpmbuild", "-bb", "--quiet", *options, str(HERE / "drainer.spec"))
    (package,) = (work / "rpm" / "RPMS").rglob("*.rpm")
    return package


def _next(python: str) -> str:
    major, _, minor = python.partition(".")
    return f"{major}.{int(minor) + 1}"


def _put(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _pip(*arguments: str) -> None:
    _run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(f"{command[0]} has failed")
    return done.stdout


def _environment() -> dict[str, str]:
    """Let two builds of one commit have the same times in them."""
    stamp = subprocess.run(
        ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {**os.environ, "SOURCE_DATE_EPOCH": stamp.stdout.strip() or "0", "LC_ALL": "C.UTF-8"}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).absolute())
