"""Evaluation: what a model scores on the tests, and what a run cost."""
