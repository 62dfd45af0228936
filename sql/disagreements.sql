-- Which rows did one run choose and the other not, the first chosen first?
-- Change `most`, `width`; name two runs: --run RUN --run RUN.
SET VARIABLE most = 5;    -- rows of each run
SET VARIABLE width = 76;  -- letters of the first user turn, and of the first response (after →)

WITH runs AS (
    SELECT DISTINCT run FROM selection
    WHERE (SELECT count(DISTINCT run) FROM selection) = 2 OR error(
        'expected two runs that have chosen rows. Add --run RUN twice to the command.')
), alone AS (  -- by id: row numbers may differ where the pools do
    FROM selection WHERE run IN (FROM runs)
    QUALIFY count(*) OVER (PARTITION BY id) = 1
), first AS (
    FROM alone QUALIFY row_number() OVER (PARTITION BY run ORDER BY rank) <= getvariable('most')
)
SELECT short(turn(messages, 'user', 1), getvariable('width')) || chr(10) || '→ '
       || short(turn(messages, 'assistant', 1), getvariable('width')) AS text,
       first.run AS only_in, rank, group_name AS chosen_by, id,
       EXISTS (FROM pool o WHERE o.run <> first.run AND o.id = first.id) AS in_both_pools
FROM first JOIN pool USING (run, row, id)
ORDER BY only_in, rank;
