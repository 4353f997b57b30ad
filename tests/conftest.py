"""What holds for every test: none of them asserts on a clock, so neither does hypothesis."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile(
    "simpleindex", settings.get_profile(settings.get_current_profile_name()), deadline=None
)
settings.load_profile("simpleindex")
