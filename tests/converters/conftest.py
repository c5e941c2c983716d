"""One compute thread: small tensors gain nothing from more, and busy machines lose a lot."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
