-- Makes the roles that are missing and gives them their rights.
select role, state from pgqueue.grant_roles()
