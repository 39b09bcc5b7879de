-- Notes in the audit log what is done in this transaction.
select pgqueue.note_action(%(actor)s, %(role)s, %(action)s, %(target)s, %(detail)s)
