"""Models and data sets in forms that other tools read."""
