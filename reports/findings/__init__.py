"""What a panel says in sentences: the answer on the first screen, and everything else below it."""
