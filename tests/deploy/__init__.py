"""What is in deploy/: alert rules and the dashboard."""
