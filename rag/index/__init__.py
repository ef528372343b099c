"""Dense and lexical passage indexes, both derived from the catalog and rebuilt from it at will."""
