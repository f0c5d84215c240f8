"""The peer: transformers.Trainer. Conversations of unequal length are padded to the longest of their batch."""

import tempfile

import numpy as np
import torch
import transformers
from contestant import Contestant
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

from engine.data import shard


def padded(examples: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """A batch of conversations."""
    longest = max(len(example["input_ids"]) for example in examples)

    def stacked(key: str, filler: int) -> torch.Tensor:
        return torch.tensor([list(each[key]) + [filler] * (longest - len(each[key])) for each in examples])

    ids, labels = stacked("input_ids", 0), stacked("labels", -100)
    mask = torch.tensor([[at < len(each["input_ids"]) for at in range(longest)] for each in examples])
    return {"input_ids": ids, "labels": labels, "attention_mask": mask.long()}


def examples() -> list[dict[str, list[int]]]:
    if contestant.data == "packed":
        rows = np.load(contestant.folder / "packed.npy")
        return [{"input_ids": row, "labels": row} for row in rows.tolist()]
    documents = shard.read(contestant.folder / "ragged")
    spans = zip(documents.starts[:-1].tolist(), documents.starts[1:].tolist(), strict=True)
    found = []
    for start, end in spans:
        ids = documents.ids[start:end]
        labels = np.where(documents.supervised[start:end], ids, -100)
        found.append({"input_ids": ids.tolist(), "labels": labels.tolist()})
    return found


class Noting(Trainer):
    """Keeps the last loss, and how many targets it was the mean of."""

    loss = torch.zeros(())
    supervised = 0

    def compute_loss(self, model, inputs, *args, **kwargs):
        self.supervised = int((inputs["labels"][:, 1:] != -100).sum())
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        self.loss = loss.detach()
        return loss


class Turns(TrainerCallback):
    """Lets the contestant stop the trainer."""

    def on_step_end(self, args, state, control, **kwargs) -> None:
        control.should_training_stop = not contestant.stepped(trainer.loss, trainer.supervised)


contestant = Contestant()
transformers.utils.logging.set_verbosity_error()
settings = contestant.settings
model = AutoModelForCausalLM.from_pretrained(contestant.folder / "model", dtype=torch.float32)
model.loss_type = "ForCausalLM"  # of GPT-2 it is unknown, and the mean would be taken over the first tokens of rows too
with tempfile.TemporaryDirectory() as folder:
    trainer = Noting(
        model,
        TrainingArguments(
            folder,
            per_device_train_batch_size=settings.batch_size,
            max_steps=contestant.steps,
            bf16=not contestant.float32,
            use_cpu=contestant.device.type == "cpu",
            learning_rate=settings.learning_rate,
            lr_scheduler_type="constant",
            weight_decay=settings.weight_decay,
            adam_beta1=settings.beta1,
            adam_beta2=settings.beta2,
            max_grad_norm=settings.max_grad_norm,
            train_sampling_strategy="sequential",
            torch_compile=contestant.compiled,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        data_collator=None if contestant.data == "packed" else padded,
        train_dataset=examples(),
        callbacks=[Turns()],
    )
    trainer.train()
contestant.finished()
