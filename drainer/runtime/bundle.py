"""What containerd's shim was told about a container's runtime."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from drainer.host.criu_log import BUNDLES

_OPTIONS = "options.json"
_LIMIT = 1 << 16
_DEFAULT_ROOT = "/run/containerd/runc"
_DEFAULT_NAME = "runc"
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Options:
    """How the shim calls the runtime of one container. Empty when that is not known."""

    binary: str = ""
    """A bare name, which it looks up in its PATH, or a path."""
    root: str = ""
    """The runtime's `--root` for this container."""


def options(container: str, bundles: Iterable[Path] = BUNDLES) -> Options:
    """Read a running container's bundle. Never raises.

    The shim keeps its options there (containerd runtime/v2/runc/container.go WriteOptions) and
    adds the namespace, which is the bundle's parent, to the root (pkg/process/init.go NewRunc).
    """
    for bundle in bundles:
        try:
            descriptor = os.open(bundle / container / _OPTIONS, _FLAGS)
            with os.fdopen(descriptor, "rb") as file:
                found = json.loads(file.read(_LIMIT))
            binary, root = found.get("binary_name", ""), found.get("root", "")
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(binary, str) and isinstance(root, str):
            where = Path(root or _DEFAULT_ROOT, bundle.name)
            return Options(binary or _DEFAULT_NAME, str(where))
    return Options()
