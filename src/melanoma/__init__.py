"""From a folder of skin-lesion photographs to a cross-validated score and a submission."""

__version__ = "0.1.0"
