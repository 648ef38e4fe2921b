"""Training of promptable segmentation: the task, its prompts and losses, scenes, distillation."""
