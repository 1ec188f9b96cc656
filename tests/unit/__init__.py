"""Tests of one part at a time: values, rules, pumps on bare pipes."""
