"""Hugging Face folders: ``config.json``, ``model.safetensors`` and tokenizer files."""

from keras_bert.checkpoints.huggingface.folder import HuggingFaceCheckpoint

__all__ = ["HuggingFaceCheckpoint"]
