"""Tests of whole commands and pipelines, with real processes."""
