"""The faults that the queue has to survive, each with its bar. docs/faults.md is the table, with the measured outcomes.

What takes many rounds does as many as the time of a test run allows, and more when the environment asks for them:
PGQ_FAULTS_<NAME>=number, as the table says.
"""
