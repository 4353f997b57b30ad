"""The vocabulary: names, the model, the three questions, errors, and text. Pure: no Twisted, no files, no clock, no network."""
