"""One run on several processes, on one host or more: what `engine.training` does, by ranks that stay in step.

`world` is what the loop knows of it; nothing else is imported where a run has one process. `meeting` brings the ranks
that torchrun started together; `replicated` (DDP) and `sharded` (FSDP2) are two ways to spread a model over them.
"""
