"""What the tests share: guards against leaks and hangs, backends, stages."""
