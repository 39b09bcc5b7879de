# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Everything that the database knows about a schema, as sorted lines of text that two schemas can be compared by."""

import psycopg
from psycopg import sql

from pgqueue.schema import DEFAULT, identifier, literal

# An access list with the roles of any schema under the names that those of the default schema have.
_ACL = """(
  select string_agg(who.name || '=' || a.privilege_type || case when a.is_grantable then '*' else '' end, ' ' order by who.name, a.privilege_type)
  from aclexplode({acl}) a left join pg_roles r on r.oid = a.grantee,
  lateral (select coalesce(regexp_replace(r.rolname, '^.*_(producer|worker|viewer|admin)$', 'pgqueue_\\1'), 'public')) who (name))"""
QUERIES = {
    "schema": f"select obj_description(oid, 'pg_namespace'), {_ACL.format(acl='nspacl')} from pg_namespace where oid = %(oid)s",
    "relations": f"""
        select c.relname, c.relkind, c.relpersistence, c.reloptions, {_ACL.format(acl="c.relacl")}, c.relrowsecurity, c.relreplident,
               pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid), obj_description(c.oid, 'pg_class'),
               coalesce(a.amname, ''), pg_get_userbyid(c.relowner)
        from pg_class c left join pg_am a on a.oid = c.relam where c.relnamespace = %(oid)s""",
    "columns": """
        select c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
               a.attgenerated, a.attstorage, a.attcompression, a.attstattarget, a.attoptions, a.attacl,
               pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum), a.attcollation::regcollation
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum where c.relnamespace = %(oid)s""",
    "constraints": """
        select conrelid::regclass, conname, contype, convalidated, pg_get_constraintdef(oid),
               obj_description(oid, 'pg_constraint') from pg_constraint where connamespace = %(oid)s""",
    "indexes": """
        select pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered, i.indisreplident
        from pg_index i join pg_class c on c.oid = i.indexrelid where c.relnamespace = %(oid)s""",
    "sequences": """
        select s.seqrelid::regclass, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle
        from pg_sequence s join pg_class c on c.oid = s.seqrelid where c.relnamespace = %(oid)s""",
    "functions": f"""
        select pg_get_functiondef(oid), {_ACL.format(acl="proacl")}, obj_description(oid, 'pg_proc'), pg_get_userbyid(proowner)
        from pg_proc where pronamespace = %(oid)s and prokind in ('f', 'p')""",
    "views": """
        select relname, pg_get_viewdef(oid) from pg_class where relnamespace = %(oid)s and relkind in ('v', 'm')""",
    "triggers": """
        select pg_get_triggerdef(t.oid), t.tgenabled from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where c.relnamespace = %(oid)s and not t.tgisinternal""",
    "types": """
        select t.typname, t.typtype, format_type(t.typbasetype, t.typtypmod),
               (select array_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid)
        from pg_type t where t.typnamespace = %(oid)s and t.typtype in ('d', 'e', 'c')""",
    "statistics": "select pg_get_statisticsobjdef(oid) from pg_statistic_ext where stxnamespace = %(oid)s",
}


def snapshot(dsn: str, schema: str = DEFAULT) -> list[str]:
    """Return the schema's catalogue and rows. Names are shown as those of the default schema."""
    with psycopg.connect(dsn) as conn:
        found = conn.execute("select oid from pg_namespace where nspname = %s", [schema]).fetchone()
        if found is None:
            return []
        lines = []
        conn.execute("set local search_path = pg_catalog")
        for what, query in QUERIES.items():
            rows = conn.execute(query, {"oid": found[0]}).fetchall()
            lines += [f"{what}: {' | '.join(map(str, row))}" for row in rows]
        tables = conn.execute(
            "select relname from pg_class where relnamespace = %s and relkind = 'r' and not relispartition", found
        ).fetchall()
        for (table,) in tables:
            rows = conn.execute(sql.SQL("select t::text from {} t").format(sql.Identifier(schema, table))).fetchall()
            lines += [f"rows: {table} {row}" for (row,) in rows]
    return sorted(_as_default(line, schema) for line in lines)


def _as_default(line: str, schema: str) -> str:
    if schema == DEFAULT:
        return line
    plain_literal = "'" + schema.replace("'", "''") + "'"
    for spelling in (literal(schema), plain_literal):
        line = line.replace(spelling, f"'{DEFAULT}'")
    for spelling in (identifier(schema).replace("'", "''"), identifier(schema)):
        line = line.replace(spelling, DEFAULT)
    return line.replace(f"{schema}.", f"{DEFAULT}.")
