-- The outputs as DuckDB views, from the project's folder. Nothing is read before a query needs it.
-- In Python: duckdb.sql(open("sql/views.sql").read()). Of other folders, or several: dataselect sql.

-- The files, each with the name of its run. Where a file is missing, leave its view out.
CREATE OR REPLACE VIEW pool AS
SELECT 'out' AS run, * FROM read_parquet('out/pool.parquet');
CREATE OR REPLACE VIEW dropped AS
SELECT 'out' AS run, * FROM read_parquet('out/dropped.parquet');
CREATE OR REPLACE VIEW contamination AS
SELECT 'out' AS run, * FROM read_parquet('out/contamination.parquet');
CREATE OR REPLACE VIEW selected_contamination AS
SELECT 'out' AS run, * FROM read_parquet('out/selected_contamination.parquet');
CREATE OR REPLACE VIEW queries AS
SELECT 'out' AS run, * FROM read_parquet('out/queries.parquet');
CREATE OR REPLACE VIEW tests AS
SELECT 'out' AS run, * FROM read_parquet('out/tests.parquet');
CREATE OR REPLACE VIEW stored_groups AS
SELECT 'out' AS run, * FROM read_parquet('out/groups.parquet');
CREATE OR REPLACE VIEW stored_scores AS
SELECT 'out' AS run, * FROM read_parquet('out/scores.parquet');
CREATE OR REPLACE VIEW stored_selection AS
SELECT 'out' AS run, * FROM read_parquet('out/selection.parquet');
-- With can_have_nan DuckDB does not skip blocks by their bounds, which leave out NaN losses.
CREATE OR REPLACE VIEW baseline AS
SELECT 'out' AS run, * FROM read_parquet('out/baseline.parquet', can_have_nan = true);
CREATE OR REPLACE VIEW evaluation AS
SELECT 'out' AS run, * FROM read_parquet('out/evaluation.parquet', can_have_nan = true);

-- "group" is a reserved word, and a number: `group_name` names it.
CREATE OR REPLACE VIEW groups AS SELECT *, name AS group_name FROM stored_groups;
CREATE OR REPLACE VIEW selection AS
SELECT s.*, g.group_name FROM stored_selection s
LEFT JOIN groups g ON s.run = g.run AND s."group" = g."group";

-- One row per pool row and group; −∞ is "not a candidate". Where every row is in a single group, the
-- column `group` names it. Otherwise a product with the groups: it streams, and a filter on the group
-- skips the others, which `unnest` would not.
CREATE OR REPLACE VIEW scores AS
SELECT s.run, s.row, s.id, g."group", g.group_name, g.task, s.score[1] AS score
FROM stored_scores s JOIN groups g ON s.run = g.run AND s."group" = g."group"
WHERE s.score[1] > '-inf'::FLOAT
UNION ALL
SELECT s.run, s.row, s.id, g."group", g.group_name, g.task, s.score[g."group" + 1] AS score
FROM stored_scores s JOIN groups g ON s.run = g.run
WHERE s."group" IS NULL AND s.score[g."group" + 1] > '-inf'::FLOAT;

-- Rows per source, and their share of the pool and of the selection.
CREATE OR REPLACE VIEW sources AS
SELECT run, source, p.rows AS pool, coalesce(s.rows, 0) AS selected,
       p.rows / sum(p.rows) OVER (PARTITION BY run) AS pool_share,
       coalesce(s.rows, 0) / nullif(sum(coalesce(s.rows, 0)) OVER (PARTITION BY run), 0)
       AS selected_share
FROM (SELECT run, source, count(*) AS rows FROM pool GROUP BY ALL) p
LEFT JOIN (SELECT run, source, count(*) AS rows FROM stored_selection GROUP BY ALL) s
USING (run, source);

-- A row of the pool (its id or number): its score and rank in every group, and which chose it, as
-- number `chosen` from 0. FROM why('almanac-0012') ORDER BY rank.
CREATE OR REPLACE MACRO why(wanted) AS TABLE
WITH own AS (
    FROM scores WHERE id = wanted::VARCHAR OR row = try_cast(wanted AS BIGINT)
), ranks AS (
    SELECT own.run, own.row, own.id, own."group", own.group_name, own.task, own.score,
           1 + count(*) FILTER (s.score > own.score OR s.score = own.score AND s.row < own.row)
           AS rank
    FROM own JOIN scores s ON s.run = own.run AND s."group" = own."group"
    GROUP BY ALL
)
SELECT ranks.run, ranks.row, ranks.id, group_name, ranks.task, ranks.score, ranks.rank,
       s.rank AS chosen
FROM ranks LEFT JOIN stored_selection s
ON s.run = ranks.run AND s.row = ranks.row AND s."group" = ranks."group";

-- The first turn of a role (the last with −1); a text on one line, cut to `letters` characters.
CREATE OR REPLACE MACRO turn(messages, wanted_role, number) AS
    list_filter(messages, lambda m: m.role = wanted_role)[number].content;
CREATE OR REPLACE MACRO short(text, letters) AS list_transform(
    [trim(regexp_replace(coalesce(text, ''), '\s+', ' ', 'g'))],
    lambda t: CASE WHEN length(t) <= letters THEN t ELSE rtrim(left(t, letters - 1)) || '…' END)[1];
CREATE OR REPLACE MACRO percent(share) AS printf('%.1f%%', 100 * share);

-- A name that must be in a list; otherwise an error names the nearest.
CREATE OR REPLACE MACRO one_of(what, wanted, names) AS
    CASE WHEN list_contains(names, wanted) THEN wanted ELSE error(
        what || ': there is no `' || wanted || '`. Did you mean `' || list_reverse_sort(
            list_transform(names, lambda n: {'near': jaro_winkler_similarity(n, wanted), 'name': n})
        )[1].name || '`?') END;
