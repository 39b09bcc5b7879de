-- An operator has seen to what failovers lost.
update pgqueue.failovers f set dismissed_at = clock_timestamp() where f.dismissed_at is null returning f.timeline
