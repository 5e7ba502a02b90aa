# my_package/system.py: all tokens at once, from the mean of the source's embeddings
from torch import nn
from baselines.token_diffusion.system import TokenDiffusionSystem
from baselines.token_diffusion.mdlm import MDLMSystem
from cosmos.runtime.capture import Capturable


def loss(network, batch, seeds):  # its sum over tokens, and their number
    logits, targets = network(batch["source"]), batch["sequence"]  # [texts, length, tokens], [texts, length]
    return nn.functional.cross_entropy(logits.mT, targets, reduction="sum"), logits.new_full((), targets.numel())


class OneShot(TokenDiffusionSystem):
    name, presets, settings = "one_shot", MDLMSystem.presets, {"argmax": Capturable()}
    takes_time = None  # whether its trunk has a time input or not

    @staticmethod
    def external_weights(recipe):
        return ()  # all it has is trained from scratch

    def losses(self):
        return loss, loss  # of training and of validation

    def build(self, shape):
        tokens, length, width = shape["vocabulary"], shape["length"], self.recipe.trunk.width
        spread = nn.Sequential(nn.Linear(width, length * width), nn.GELU(), nn.Unflatten(1, (length, width)))
        return nn.Sequential(nn.EmbeddingBag(tokens, width, padding_idx=0), spread, nn.Linear(width, tokens))

    def sample(self, setting, seeds, source):
        return self.model(source).argmax(-1)
