"""The code that each stage executes, listed in data/code: a change of it reruns the stage."""
