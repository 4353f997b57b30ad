"""Downloads: counted after each answer, and shown to those who may see them."""
