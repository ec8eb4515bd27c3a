"""The report: one HTML file that says whether a score is real, where it fails, and why."""
