-- Which sources does the selection prefer?
-- Change nothing. `times` is the selection's share over the pool's; above 1 it is preferred.
SELECT source, pool, selected, percent(pool_share) AS pool_share,
       percent(selected_share) AS selected_share,
       printf('%.2f', selected_share / pool_share) AS times, run
FROM sources
ORDER BY run, sources.selected DESC, sources.pool DESC, source;
