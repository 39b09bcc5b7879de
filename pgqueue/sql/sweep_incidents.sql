-- Forgets what was seen of workers more than 7 days ago, and all but the last 2000 of it.
delete from pgqueue.incident_log where id in
  (select i.id from pgqueue.incident_log i
   where i.at < clock_timestamp() - interval '7 days' or i.id < (select o.id from pgqueue.incident_log o order by o.id desc offset 1999 limit 1)
   order by i.id limit 10000 for update skip locked)
returning id
