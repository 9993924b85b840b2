"""The report of a run, a sweep or a cross-validation, section by section."""
