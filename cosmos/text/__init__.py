"""Between texts and tensors: the frozen encoder, tokenizers, the compact vocabulary."""
