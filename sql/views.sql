-- The outputs as DuckDB views, from the repository's root. Nothing is read before a query needs it.
-- In Python: duckdb.sql(open("sql/views.sql").read()). Else: dataselect sql FILE.

CREATE OR REPLACE VIEW pool AS FROM read_parquet('out/pool.parquet');
CREATE OR REPLACE VIEW dropped AS FROM read_parquet('out/dropped.parquet');
CREATE OR REPLACE VIEW contamination AS FROM read_parquet('out/contamination.parquet');
CREATE OR REPLACE VIEW selected_contamination AS
FROM read_parquet('out/selected_contamination.parquet');
CREATE OR REPLACE VIEW queries AS FROM read_parquet('out/queries.parquet');
CREATE OR REPLACE VIEW tests AS FROM read_parquet('out/tests.parquet');
CREATE OR REPLACE VIEW groups AS FROM read_parquet('out/groups.parquet');
CREATE OR REPLACE VIEW selection AS FROM read_parquet('out/selection.parquet');
-- With can_have_nan DuckDB does not skip blocks by their bounds, which leave out NaN losses.
CREATE OR REPLACE VIEW evaluation AS
FROM read_parquet('out/evaluation.parquet', can_have_nan = true);

-- One row per pool row and group; −∞ is "not a candidate". Where every row is in a single group, the
-- column `group` names it. Otherwise a product with the groups: it streams, and a filter on the group
-- skips the others, which `unnest` would not.
CREATE OR REPLACE VIEW scores AS
SELECT s.row, s.id, g."group", g.name, g.task, s.score[1] AS score
FROM read_parquet('out/scores.parquet') s JOIN groups g ON s."group" = g."group"
WHERE s.score[1] > '-inf'::FLOAT
UNION ALL
SELECT s.row, s.id, g."group", g.name, g.task, s.score[g."group" + 1] AS score
FROM read_parquet('out/scores.parquet') s, groups g
WHERE s."group" IS NULL AND s.score[g."group" + 1] > '-inf'::FLOAT;

-- Rows per source, and their share of the pool and of the selection.
CREATE OR REPLACE VIEW sources AS
SELECT source, p.rows AS pool, coalesce(s.rows, 0) AS selected,
       p.rows / sum(p.rows) OVER () AS pool_share,
       coalesce(s.rows, 0) / (SELECT count(*) FROM selection) AS selected_share
FROM (SELECT source, count(*) AS rows FROM pool GROUP BY source) p
LEFT JOIN (SELECT source, count(*) AS rows FROM selection GROUP BY source) s USING (source);

-- The first turn of a role (the last with −1); a text on one line, cut to `letters` characters.
CREATE OR REPLACE MACRO turn(messages, wanted_role, number) AS
    list_filter(messages, lambda m: m.role = wanted_role)[number].content;
CREATE OR REPLACE MACRO short(text, letters) AS list_transform(
    [trim(regexp_replace(coalesce(text, ''), '\s+', ' ', 'g'))],
    lambda t: CASE WHEN length(t) <= letters THEN t ELSE rtrim(left(t, letters - 1)) || '…' END)[1];
CREATE OR REPLACE MACRO percent(share) AS printf('%.1f%%', 100 * share);

-- A variable that has no default.
CREATE OR REPLACE MACRO needed(variable, value, what) AS
    CASE WHEN value <> '' THEN value ELSE error(
        variable || ': expected ' || what || ', found none. Add ' || variable || '=… to the command.'
    ) END;

-- A name that must be in a list; otherwise an error names the nearest.
CREATE OR REPLACE MACRO one_of(what, wanted, names) AS
    CASE WHEN list_contains(names, wanted) THEN wanted ELSE error(
        what || ': there is no `' || wanted || '`. Did you mean `' || list_reverse_sort(
            list_transform(names, lambda n: {'near': jaro_winkler_similarity(n, wanted), 'name': n})
        )[1].name || '`?') END;
