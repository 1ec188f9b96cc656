"""The Python test-suite."""
