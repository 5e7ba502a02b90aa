"""From records to what people read. Never imports torch."""
