"""Answers to questions about the outputs: recipes in SQL, and why a row was chosen or not."""
