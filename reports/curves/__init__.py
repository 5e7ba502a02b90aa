"""Speed at equal quality and quality at equal time, of systems that ran at several values of one knob."""
