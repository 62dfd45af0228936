-- How many rows do the selections of two runs share?
-- Change nothing; name the runs: --run RUN --run RUN. Of several, each pair is compared.

WITH runs AS (
    SELECT DISTINCT run FROM selection
    WHERE (SELECT count(DISTINCT run) FROM selection) > 1 OR error(
        'expected two runs or more that have chosen rows. Add --run RUN twice to the command.')
), pairs AS (
    SELECT a.run AS first, b.run AS other FROM runs a JOIN runs b ON a.run < b.run
), either AS (  -- by id: row numbers may differ where the pools do
    SELECT first, other, id, any_value(source) AS source,
           bool_or(run = first) AS a, bool_or(run = other) AS b
    FROM pairs JOIN selection ON run IN (first, other)
    GROUP BY first, other, id
)
SELECT CASE WHEN grouping(source) = 1 THEN 'all sources' ELSE source END AS source,
       first AS one, other, count(*) FILTER (a) AS in_one, count(*) FILTER (b) AS in_other,
       count(*) FILTER (a AND b) AS shared, shared / count(*) AS jaccard
FROM either
GROUP BY GROUPING SETS ((first, other), (first, other, either.source))
ORDER BY first, other, grouping(either.source) DESC, count(*) DESC, either.source;
