-- The three numbers of a version of pgqueue, to compare with: 0.2.0 and 0.2.0.dev0 are {0,2,0}. Null, the version that did not say, is
-- {0,1,0}; what is no version is {0,0,0}, older than all.
create function pgqueue.version_parts(version text) returns integer[]
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select (coalesce(string_to_array(substring(coalesce(version, '0.1.0') from '^[0-9]{1,9}(?:[.][0-9]{1,9})*'), '.')::integer[], '{}') || '{0,0,0}')[1:3]
$$;
