"""A CLIP of a few thousand random weights with a tokenizer of letters, saved in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers


def tiny_clip(place: Path) -> Path:
    """Save one there; the folder again."""
    place.mkdir(parents=True, exist_ok=True)
    letters = [chr(i) for i in range(ord("a"), ord("z") + 1)]
    vocabulary = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    (place / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(vocabulary)}))
    (place / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(place / "vocab.json"), str(place / "merges.txt"))
    tokenizer.save_pretrained(str(place))
    tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    end = len(vocabulary) - 1
    config = transformers.CLIPConfig(
        text_config={
            **tiny, "num_attention_heads": 2, "vocab_size": len(vocabulary),
            "eos_token_id": end, "bos_token_id": end - 1, "pad_token_id": end,
        },
        vision_config={**tiny, "num_attention_heads": 2, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.CLIPModel(config).save_pretrained(str(place))
    return place
