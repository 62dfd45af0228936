-- Which rows did a group (a query, a task, …) choose?
-- Change `group` (a name in `groups`; as it stands, the one that chose first), `most`, `width`.
SET VARIABLE "group" = (SELECT any_value(group_name) FROM selection WHERE rank = 0);
SET VARIABLE most = 10;   -- rows shown, the first chosen first
SET VARIABLE width = 76;  -- letters of the first user turn, and of the first response (after →)

WITH chosen AS (
    FROM selection
    WHERE group_name = one_of('group', getvariable('group'), (SELECT list(name) FROM groups))
    ORDER BY rank, run LIMIT getvariable('most')
)
SELECT short(turn(messages, 'user', 1), getvariable('width')) || chr(10) || '→ '
       || short(turn(messages, 'assistant', 1), getvariable('width')) AS text,
       rank, score, id, run
FROM chosen JOIN pool USING (run, row, id)
ORDER BY rank, run;
