"""The commands of thorctl, one room a subject; `control.cli.table` lists them."""
