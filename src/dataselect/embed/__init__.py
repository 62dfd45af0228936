"""What is measured of every row: one file a kind of feature.

A feature is a function of its settings that loads what it needs and returns a `Compute`. What it
takes before the settings says what it looks with: `model` (the plan's section of the model that
looks), and `checkpoints`, if it looks with all that the reference stage fitted (`references`).
"""
