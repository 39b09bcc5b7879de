-- Carries out cancel requests whose job is not running any more.
select pgqueue.sweep_cancel_requests()
