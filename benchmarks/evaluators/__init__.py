"""Models that judge: which there are, where they lie, how they are brought, and that they are what they say.

Standard library only until something is fetched.
"""

from benchmarks.evaluators.carrying import pack, unpack
from benchmarks.evaluators.catalogue import MODELS, ROLES, Model, Role
from benchmarks.evaluators.fetching import fetch
from benchmarks.evaluators.locate import Located, check, command, find, locate_model, model_for
from benchmarks.evaluators.status import Standing, status
from cosmos.io.files import cache_folder

__all__ = [
    "MODELS",
    "ROLES",
    "Located",
    "Model",
    "Role",
    "Standing",
    "cache_folder",
    "check",
    "command",
    "fetch",
    "find",
    "locate_model",
    "model_for",
    "pack",
    "status",
    "unpack",
]
