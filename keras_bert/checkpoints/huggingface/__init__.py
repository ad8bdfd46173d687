"""Hugging Face folders: ``config.json``, weights and tokenizer files."""

from keras_bert.checkpoints.huggingface.folder import HuggingFaceCheckpoint

__all__ = ["HuggingFaceCheckpoint"]
