-- How many rows do two selections share?
-- Give `other`: another run's, from `dvc get . out/selection.parquet --rev REV -o other.parquet`.
SET VARIABLE other = '';  -- none: a selection compared with itself would always agree

WITH either AS (  -- by id: row numbers may differ where the pools do
    SELECT coalesce(a.source, b.source) AS source, a.id AS a, b.id AS b
    FROM selection a FULL JOIN read_parquet(needed('other', getvariable('other'),
         'the file of another selection')) b USING (id)
)
SELECT CASE WHEN grouping(source) = 1 THEN 'all sources' ELSE source END AS source,
       count(a) AS this, count(b) AS other,
       count(*) FILTER (a IS NOT NULL AND b IS NOT NULL) AS shared,
       shared / count(*) AS jaccard
FROM either
GROUP BY GROUPING SETS ((), (either.source))
ORDER BY grouping(either.source) DESC, count(*) DESC, either.source;
