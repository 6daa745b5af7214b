import pytest

from drainer.host.cpu import features

TWO = """\
processor\t: 0
flags\t\t: fpu rtm md_clear avx2 pti sse4_2 sse xsaves xsavec

processor\t: 1
flags\t\t: fpu
"""


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (TWO, ("avx2", "rtm", "sse", "sse4_2", "xsavec")),
        ("Features\t: fp asimd sve\n", ("asimd", "fp", "sve")),
        ("isa\t\t: rv64imafdc\n", ()),
        ("", ()),
    ],
)
def test_what_programs_rely_on_is_read(cpuinfo: str, expected: tuple[str, ...]) -> None:
    assert features(cpuinfo) == expected
