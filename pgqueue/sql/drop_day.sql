-- Drops a day of history that retention does not keep, with its owner's rights; whether it did.
select pgqueue.drop_day(%(partition)s::text)
