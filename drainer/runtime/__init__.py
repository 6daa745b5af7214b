"""The route through runc: dump with it, and stand in for it while a container is restored."""
