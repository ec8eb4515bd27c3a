"""Test predictions: one pass over the photographs for all folds and views of a run."""
