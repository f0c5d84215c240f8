"""How much a run weighs beside other people's programs: raised while they starve it."""
