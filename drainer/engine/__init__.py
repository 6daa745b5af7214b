"""Docker's API: what drainer asks of it (`base`), the real one, and a fake one."""
