"""What the CPU can do that programs ask for once, at their start."""

import re

_INSTRUCTIONS = re.compile(
    r"pni|s?sse|avx|amx|fma|f16c|v?aes|v?pclmulqdq|sha|sm[34]|gfni|bmi|adx|movbe|popcnt"
    r"|abm|rdrand|rdseed|rtm|hle|fsgsbase|xsave(opt|c)?$|xgetbv1|clflushopt|clwb|cldemote|movdir|rdpid"
    r"|serialize|waitpkg|pku|rdtscp|cx16|lahf_lm|xop|tbm|3dnow"
)
"""Beginnings of the names of instruction sets, among x86's flags (kernel cpufeatures.h).

The other flags tell of the kernel, of defects and of what only a kernel can use: they change with
every kernel and mean nothing to a program.
"""


def features(cpuinfo: str) -> tuple[str, ...]:
    """Return the names of a CPU's instruction sets from /proc/cpuinfo; empty where it is silent.

    All CPUs of a host are taken to be alike, as Linux does.
    """
    for line in cpuinfo.split("\n"):
        key, _, words = line.partition(":")
        match key.strip():
            case "flags":
                return tuple(sorted(filter(_INSTRUCTIONS.match, words.split())))
            case "Features":  # Arm: what programs are told by AT_HWCAP
                return tuple(sorted(words.split()))
    return ()
