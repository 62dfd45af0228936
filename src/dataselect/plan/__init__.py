"""Checks params.yaml and methods.yaml, and says what every stage will do."""
