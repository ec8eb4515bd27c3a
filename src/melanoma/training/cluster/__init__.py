"""Folds over the machines of a Ray cluster; Ray itself is imported where it is asked for alone."""
