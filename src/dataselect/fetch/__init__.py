"""Data sets of a hub, or in a bucket, as files here."""
