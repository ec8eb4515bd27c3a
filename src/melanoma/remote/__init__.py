"""Competition folders that are not on this machine: an address instead of a path."""
