"""Cutting a competition into folds that can be trusted, and judging any cut."""
