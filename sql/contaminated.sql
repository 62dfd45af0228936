-- Which rows of the pool, or which chosen rows, overlap tests, and in what?
-- Change `chosen` (true: only chosen rows), `task` (a name in `tests`, or all), `most`, `width`.
SET VARIABLE chosen = false;
SET VARIABLE task = 'all';
SET VARIABLE most = 10;   -- pairs shown, the most similar first
SET VARIABLE width = 76;  -- letters of the test's question, and of what matches in the row (→)

WITH pairs AS (
    FROM contamination
    WHERE (getvariable('task') = 'all' OR
           task = one_of('task', getvariable('task'), (SELECT list(DISTINCT task) FROM tests)))
      AND (NOT getvariable('chosen') OR (run, row) IN (SELECT (run, row) FROM selection))
    ORDER BY share DESC, row NULLS LAST, id, task, test, run LIMIT getvariable('most')
)
SELECT short(turn(tests.messages, 'user', -1), getvariable('width')) || chr(10) || '→ '
       || short(pairs.text, getvariable('width')) AS text,
       share, answer_found, pairs.task AS task, test, pairs.id AS row_id, pairs.run AS run
FROM pairs JOIN tests ON tests.run = pairs.run AND tests.task = pairs.task AND tests.id = pairs.test
ORDER BY share DESC, row NULLS LAST, pairs.id, pairs.task, test, pairs.run;
