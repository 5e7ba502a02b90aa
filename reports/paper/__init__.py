"""Tables for papers: columns, rows, digits and captions of one's own choice, and the layouts of the Cosmos paper."""
