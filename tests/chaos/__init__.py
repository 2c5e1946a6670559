"""The chaos suite: requests whose end is known beforehand, while everything that serves them dies.

    make chaos MINUTES=10 SEED=7        or: python -m tests.chaos --minutes 10 --seed 7

`plan` and `mix` say what is asked for, `model` what must come of it, `house` runs the services,
`saboteur` kills them, `outsider` is the client that talks to them meanwhile, `judge` compares what
it saw with the model. `storm` is the whole run in order.
"""
