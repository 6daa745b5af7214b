"""The lab: disposable hosts in QEMU with systemd, Docker, CRIU and ssh.

`recipe` says what is on a host, `build` makes and caches its disk, `machine` runs QEMU, `host`
talks to what runs in it, `install` puts drainer on it. `python -m tests.lab.shell` keeps one up.
"""
