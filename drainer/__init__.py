"""Carry running Docker containers across a host reboot."""

__version__ = "0.1.0"
