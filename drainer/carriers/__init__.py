"""One carrier for each route: how checkpoints are made, restored and deleted on it."""
