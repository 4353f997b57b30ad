"""The pages of other indexes, understood: listings in HTML and JSON, links, files as they are stated."""
