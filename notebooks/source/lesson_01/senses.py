"""Words with two senses; lesson 04 asks for them too."""

from utils.senses import SENSES

__all__ = ["SENSES"]
