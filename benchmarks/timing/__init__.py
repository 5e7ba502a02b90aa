"""How long generating takes: clock, protocol, probes, verdict. Imports no metric, no pandas."""
