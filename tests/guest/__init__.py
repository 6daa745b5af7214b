"""Tests that need a disposable host."""
