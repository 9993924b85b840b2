"""Tells living from dead cells in bright-field images, with no stain."""

__version__ = "0.1.0"
