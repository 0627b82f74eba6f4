"""The bridge: what a row is, and the tables that hold rows. Neither torch nor pandas."""
