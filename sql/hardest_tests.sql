-- Which tests is the model worst at, and what did it say?
-- Change `task` (a name in `tests`, or all), `most`, `width`.
SET VARIABLE task = 'all';
SET VARIABLE most = 10;   -- tests shown, the highest loss of the right answer first
SET VARIABLE width = 76;  -- letters of the last user turn, the right answer (=), the output (→)

WITH hardest AS (
    FROM evaluation
    WHERE answer_nll_nats IS NOT NULL AND NOT isnan(answer_nll_nats)
      AND (getvariable('task') = 'all' OR
           task = one_of('task', getvariable('task'), (SELECT list(DISTINCT task) FROM tests)))
    ORDER BY answer_nll_nats DESC, task, id, run LIMIT getvariable('most')
)
SELECT short(turn(messages, 'user', -1), getvariable('width')) || chr(10)
       || '= ' || short(answer, getvariable('width')) || chr(10)
       || '→ ' || short(output, getvariable('width')) AS text,
       answer_nll_nats AS nll_nats, value, id, run
FROM hardest JOIN tests USING (run, task, id)
ORDER BY nll_nats DESC, task, id, run;
