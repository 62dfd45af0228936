"""Comparison: of a run with the model before training, with other runs, with published costs."""
