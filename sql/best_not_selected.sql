-- Which rows came nearest to being chosen, group by group?
-- Change `group` (a name in `groups`, or all), `most`, `width`.
SET VARIABLE "group" = 'all';
SET VARIABLE most = 2;    -- rows of each group
SET VARIABLE width = 76;  -- letters of the first user turn, and of the first response (after →)

WITH best AS (  -- keeps `most` rows per group as the scores stream; of equals, the first row
    SELECT run, "group", group_name,
           unnest(max({'score': score, 'back': -row}, getvariable('most'))) AS candidate
    FROM scores
    WHERE (run, row) NOT IN (SELECT (run, row) FROM selection)
      AND (getvariable('group') = 'all' OR
           group_name = one_of('group', getvariable('group'), (SELECT list(name) FROM groups)))
    GROUP BY run, "group", group_name
)
SELECT short(turn(messages, 'user', 1), getvariable('width')) || chr(10) || '→ '
       || short(turn(messages, 'assistant', 1), getvariable('width')) AS text,
       group_name, candidate.score AS score, id, best.run AS run
FROM best JOIN pool ON pool.run = best.run AND pool.row = -candidate.back
ORDER BY best.run, best."group", candidate.score DESC, pool.row;
