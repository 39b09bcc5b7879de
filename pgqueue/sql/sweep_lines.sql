-- Lets go who stands in a line that nobody serves any more; how many.
select pgqueue.sweep_lines()
