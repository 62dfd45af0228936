-- Which rows are best for a group (a query, a task, …), chosen or not?
-- Change `group` (a name in `groups`; as it stands, the first), `most`, `width`.
SET VARIABLE "group" = (SELECT any_value(name) FROM groups WHERE "group" = 0);
SET VARIABLE most = 10;   -- rows shown, the best first
SET VARIABLE width = 76;  -- letters of the first user turn, and of the first response (after →)

WITH best AS (  -- keeps `most` rows as the scores stream; of equals, the first row
    SELECT run, unnest(max({'score': score, 'back': -row}, getvariable('most'))) AS candidate
    FROM scores
    WHERE group_name = one_of('group', getvariable('group'), (SELECT list(name) FROM groups))
    GROUP BY run
)
SELECT short(turn(messages, 'user', 1), getvariable('width')) || chr(10) || '→ '
       || short(turn(messages, 'assistant', 1), getvariable('width')) AS text,
       candidate.score AS score, coalesce(group_name, '–') AS chosen_by, pool.id AS id,
       best.run AS run
FROM best JOIN pool ON pool.run = best.run AND pool.row = -candidate.back
LEFT JOIN selection ON selection.run = best.run AND selection.row = pool.row
ORDER BY best.run, candidate.score DESC, pool.row;
