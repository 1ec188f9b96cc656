"""The guards and fixtures that every Python test runs under."""

pytest_plugins = (
    "tests.support.strict_ci",
    "tests.support.loops",
    "tests.support.time_limit",
    "tests.support.leak_guard",
    "tests.support.backends",
)
