-- Hands on turns and permits that nobody has though somebody is in line.
select pgqueue.hand_on_idle()
