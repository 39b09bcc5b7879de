"""What README.md and docs/ say, tried."""
