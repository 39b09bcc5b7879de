-- What is wrong with the limits of a new job, null when nothing is; see job_gates for the forms.
create function pgqueue.limits_error(limits jsonb) returns text
language plpgsql immutable as $$
declare
  _name text;
  _value jsonb;
begin
  if jsonb_typeof(limits) = 'string' then
    limits := jsonb_build_array(limits);
  end if;
  if jsonb_typeof(limits) = 'array' then
    if exists (select from jsonb_array_elements(limits) n where jsonb_typeof(n) <> 'string') then
      return format('must be names, or an object {name: key}, got %s', left(limits::text, 200));
    end if;
    limits := (select coalesce(jsonb_object_agg(n, ''), '{}') from jsonb_array_elements_text(limits) n);
  elsif jsonb_typeof(limits) <> 'object' then
    return format('must be names, or an object {name: key}, got %s', left(limits::text, 200));
  end if;
  for _name, _value in select * from jsonb_each(limits) loop
    if octet_length(_name) not between 1 and 200 then
      return format('a name must have 1 to 200 bytes, got %s', octet_length(_name));
    elsif jsonb_typeof(_value) = 'object' then
      if _value - array['key', 'weight'] <> '{}' then
        return format('%L: unknown name in %s; the names are key, weight', _name, left(_value::text, 200));
      elsif jsonb_typeof(_value -> 'key') not in ('string', 'null') then
        return format('%L: key must be a string, got %s', _name, left((_value -> 'key')::text, 200));
      elsif _value ? 'weight' and (jsonb_typeof(_value -> 'weight') <> 'number' or (_value ->> 'weight')::numeric not between 1 and 1000000
            or (_value ->> 'weight')::numeric % 1 <> 0) then
        return format('%L: weight must be a whole number from 1 to 1000000, got %s', _name, left((_value -> 'weight')::text, 200));
      end if;
      _value := _value -> 'key';
    elsif jsonb_typeof(_value) not in ('string', 'null') then
      return format('%L: the key must be a string, got %s', _name, left(_value::text, 200));
    end if;
    if octet_length(_value #>> '{}') > 1000 then
      return format('%L: a key may have 1000 bytes, got %s; use a hash of it', _name, octet_length(_value #>> '{}'));
    end if;
  end loop;
  return null;
end $$;
