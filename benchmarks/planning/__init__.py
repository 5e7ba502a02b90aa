"""From flags to cells: everything is decided and checked here, before any weight is loaded."""
