"""Files become searchable passages: load in a cage, normalize, cut into passages, embed, publish."""
