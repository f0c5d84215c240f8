"""The commands of thorctl, one module a group; each imports what it needs when it runs."""
