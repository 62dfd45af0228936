"""How features become scores: one file a scorer.

A scorer is a function of the pool (and of the queries, if it compares with them) and its settings
that returns `Scores`. Its file says by `needs` what it looks at; and, if a row's scores rest on no
other row, by `APART = True`: it then gives a block of scores for every block of rows, before it
takes the next, and a cluster's machines can each score a part of the pool.
"""
