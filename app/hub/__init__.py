"""The hub dialect: accounts, tokens, callbacks, shares."""
