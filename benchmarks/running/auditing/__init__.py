"""What an audit, and every run, checks of a system in memory."""
