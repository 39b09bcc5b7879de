-- The name of the schema that this installation lives in.
create function pgqueue.schema_name() returns text
language sql immutable parallel safe
return 'pgqueue';
