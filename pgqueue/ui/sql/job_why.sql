-- What holds a job back right now.
select w.gate, w.detail from pgqueue.why(%(id)s::bigint) w
