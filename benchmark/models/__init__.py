"""Networks: made by timm, seen through one tap."""

from benchmark.models import small_images
from benchmark.models.creation import create, is_model, model_names
from benchmark.models.network import Network
from benchmark.models.trial import check
