from pathlib import Path

import pytest

from drainer.host.pressure import stalled
from drainer.host.procfs import Proc

IO = """\
some avg10=1.00 avg60=0.50 avg300=0.10 total=9000000
full avg10=0.50 avg60=0.20 avg300=0.00 total=2500000
"""
MEMORY = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 total=1000000\n"


@pytest.mark.parametrize(
    ("files", "seconds"),
    [
        ({"io": IO, "memory": MEMORY}, 3.5),
        ({"io": IO}, 2.5),
        ({}, None),
        ({"io": "full of surprises\n", "memory": "total=1\n"}, None),
    ],
)
def test_what_all_have_waited_for_is_added_up(
    tmp_path: Path, files: dict[str, str], seconds: float | None
) -> None:
    (tmp_path / "pressure").mkdir()
    for name, text in files.items():
        (tmp_path / "pressure" / name).write_text(text)
    assert stalled(Proc(tmp_path)) == seconds
