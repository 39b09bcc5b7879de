-- A moment in the past, by the database's clock.
select clock_timestamp() - %(age)s::interval as moment
