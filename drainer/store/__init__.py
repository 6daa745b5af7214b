"""The disk: the state directory, its lock, and the manifest in it."""
