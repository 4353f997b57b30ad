"""Rules about what is offered: by age, name, kind or advisory, and the source that applies them."""
