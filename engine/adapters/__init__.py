"""LoRA adapters: a low-rank change to each linear map of a frozen base (Hu et al., 2106.09685), in PEFT's files."""
