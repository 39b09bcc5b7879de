-- What holds a job back right now: a row for each gate.
select gate, detail from pgqueue.why(%(id)s::bigint)
