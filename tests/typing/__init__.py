"""What the public types promise, for pyright to check: nothing here is run.

An ``ignore`` marks what has to be an error. Once it is none, pyright says that the
comment is not needed, which is an error, too.
"""
