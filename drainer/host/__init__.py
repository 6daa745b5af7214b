"""The host: CRIU, /proc, systemd, checkpoint images. What drainer asks (`base`), real and fake."""
