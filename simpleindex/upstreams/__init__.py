"""Other indexes: reading their pages, keeping what they gave, and downloading from them."""
