"""Model families: what each is, as data, in a file each. Torch is not imported here, so that settings know it too."""
