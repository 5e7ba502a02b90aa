"""Files that appear whole or not at all, safetensors with checked headers, and the error for users."""
