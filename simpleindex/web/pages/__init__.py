"""The pages: simple listings in HTML and JSON, explanations, and their style."""
