"""What languages of the built-in source are made of: grammars, their words and what is meant by them."""
