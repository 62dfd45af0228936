-- How many rows were left out, and why?
-- Change nothing. `example` is the place of one such row.
SELECT reason, source, count(*) AS rows, min(place) AS example, run
FROM dropped GROUP BY run, reason, source ORDER BY run, rows DESC, reason, source;
