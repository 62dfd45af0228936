-- What is the score where a program's answer counts, and the chain of thought's where there is none?
-- Change `task` (a name in `evaluation` that has another with `_pot` behind it, or all).
SET VARIABLE task = 'all';

SELECT error('no task of `evaluation` has another with `_pot` behind its name. Evaluate one as both.')
WHERE NOT EXISTS (FROM evaluation WHERE task LIKE '%\_pot' ESCAPE '\');

WITH programs AS (
    SELECT run, left(task, -4) AS task, id, value,
           [m.value FOR m IN other_metrics IF m.metric = 'answered'][1] = 1 AS answered
    FROM evaluation WHERE task LIKE '%\_pot' ESCAPE '\'
)
SELECT task,
       avg(CASE WHEN answered THEN programs.value ELSE chains.value END) AS hybrid,
       avg(chains.value) AS chain, avg(programs.value) AS program,
       avg(answered::INT) AS answered, count(*) AS tests, run
FROM programs JOIN evaluation chains USING (run, task, id)
WHERE getvariable('task') = 'all'
   OR task = one_of('task', getvariable('task'), (SELECT list(DISTINCT task) FROM programs))
GROUP BY task, run ORDER BY task, run;
