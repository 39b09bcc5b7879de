-- Forgets flows that ended longer ago than history is kept; how many, at most 100 flows a turn.
select pgqueue.sweep_flows()
