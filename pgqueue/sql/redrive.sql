-- Makes dead jobs ready again; returns how many.
select pgqueue.redrive(queue => %(queue)s::text, task => %(task)s::text, "limit" => %(limit)s::integer)
