"""A finished run as a folder to hand on: a Hugging Face data set, and trainers' settings."""
