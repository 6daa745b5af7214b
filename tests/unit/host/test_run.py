import errno
import os
import subprocess
import sys
import time

import pytest

from drainer.host.run import MISSING, TIMED_OUT, run, wait_for


def test_status_and_both_outputs() -> None:
    result = run([sys.executable, "-c", "import sys; print('a'); sys.exit('b')"], 30)
    assert (result.status, result.output, result.errors) == (1, "a\n", "b\n")


def test_the_locale_is_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert run([sys.executable, "-c", "import os; print(os.environ['LC_ALL'])"], 30).output == "C\n"


def test_a_missing_program_is_a_status() -> None:
    assert run(["/nonexistent/program"], 1).status == MISSING


def test_at_the_limit_the_whole_group_is_killed() -> None:
    script = "import os, time; print(os.fork(), flush=True); time.sleep(60)"
    begin = time.monotonic()
    result = run([sys.executable, "-c", script], 0.5)
    assert result.status == TIMED_OUT
    assert time.monotonic() - begin < 10


def test_output_that_is_no_text_is_borne() -> None:
    script = "import os; os.write(1, b'\\xff')"
    assert run([sys.executable, "-c", script], 30).output == "\ufffd"
    assert os.environ.get("SYSTEMD_PAGER") is None


def none_left(_: int) -> int:
    raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.parametrize("handles", ["there", "none left", "unknown"])
def test_an_end_is_seen_at_once(handles: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if handles == "none left":
        monkeypatch.setattr(os, "pidfd_open", none_left)
    if handles == "unknown":
        monkeypatch.delattr(os, "pidfd_open")
    with subprocess.Popen(["sleep", "0.2"]) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            wait_for(process, 0.05)
        for wrong in (0, -1):
            with pytest.raises(subprocess.TimeoutExpired):
                wait_for(process, wrong)
        assert wait_for(process, 1e9) == 0
        assert wait_for(process, 0) == 0
