"""Whether a run is whole, and whether two runs are the same; without torch."""
