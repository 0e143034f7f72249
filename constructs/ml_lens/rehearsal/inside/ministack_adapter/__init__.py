"""The one place that touches MiniStack's private names.

Written against the pinned version; ``tests/rehearsal/test_sandbox_contract.py`` and its neighbours hold
every hook to what it is for. Each hook is thin: what it decides is in the plain modules beside this package.
"""
