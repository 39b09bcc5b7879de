-- Which of these jobs have ended, with what they left behind; unknown ones have no state.
select id, state, attempt, result, error from pgqueue.ended(%(ids)s::bigint[])
