from pathlib import Path

from drainer.host.criu_log import dump_error, first_error

LOG = """\
(00.000051) Version: 4.1.1 (gitid 0)
(00.900001) Warn  (criu/sockets.c:100): something odd
(00.904173) Error (criu/sk-inet.c:191): inet: Connected TCP socket, consider using the option.
(00.904440) Error (criu/cr-dump.c:1681): Dump files (pid: 6216) failed with -1
(02.709482) Error (criu/cr-dump.c:2111): Dumping FAILED.
"""


def test_the_first_error_is_the_cause() -> None:
    assert first_error(LOG) == "inet: Connected TCP socket, consider using the option."


def test_an_error_of_a_restored_process_carries_its_pid() -> None:
    log = "(00.1)      1: Error (criu/files-reg.c:2): File bin/x has bad size 1 (expect 2)"
    assert first_error(log) == "File bin/x has bad size 1 (expect 2)"


def test_no_log_or_no_error_tells_nothing(tmp_path: Path) -> None:
    assert dump_error("abc", 0, [tmp_path]) == ""
    assert first_error("(00.1) Dumping finished successfully") == ""


def test_the_log_is_read_from_the_bundle_and_no_link_is_followed(tmp_path: Path) -> None:
    bundle = tmp_path / "abc"
    bundle.mkdir()
    (bundle / "criu-dump.log").write_text(LOG)
    assert dump_error("abc", 0, [tmp_path / "none", tmp_path]).startswith("inet: Connected")
    assert dump_error("abc", 1e12, [tmp_path]) == ""
    other = tmp_path / "link"
    other.mkdir()
    (other / "criu-dump.log").symlink_to(bundle / "criu-dump.log")
    assert dump_error("link", 0, [tmp_path]) == ""
