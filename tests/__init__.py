"""Tests of drainer."""
