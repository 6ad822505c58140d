"""Images at a recipe's input size and number of channels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.data.images import Encoded, Images, Varied
from benchmark.ground.errors import UsageError
from benchmark.ground.memory import free_memory
from benchmark.spec import Recipe

CHUNK = 1000
"""Images that are resized at a time, in float32."""


def check(images: Images, recipe: Recipe) -> None:
    """Raise UsageError if the images do not fit the recipe: they have more channels, or are augmented otherwise."""
    channels = int(images.shapes[:, 2].max(initial=0))
    if channels > recipe.channels:
        raise UsageError(f"images have {channels} channels, the recipe's mean and std have {recipe.channels}")
    if isinstance(images.pixels, Encoded) and recipe.crop_padding:
        raise UsageError(
            f"crop_padding = {recipe.crop_padding} is for resident images; streamed ones are cropped by crop_scale"
        )


def check_memory(count: int, recipe: Recipe, device: torch.device) -> None:
    """Raise UsageError if that many training images do not fit into the device's free memory."""
    needed = count * (recipe.input_size + 2 * recipe.crop_padding) ** 2 * recipe.channels
    free = free_memory(device)
    if free is not None and needed > free:
        raise UsageError(
            f"{count} images of {recipe.input_size} pixels need {needed / 2**30:.1f} GiB on {device}, where "
            f"{free / 2**30:.1f} are free: fewer (train = N), smaller ones, or storage = 'streamed'"
        )


def resized(pixels: Tensor | Varied, recipe: Recipe) -> Tensor:
    """uint8 [N, S, S, C], S and C the recipe's."""
    if not isinstance(pixels, Tensor):
        size = recipe.input_size
        result = torch.empty(len(pixels), size, size, recipe.channels, dtype=torch.uint8)
        for position in range(len(pixels)):
            result[position] = resized(torch.from_numpy(pixels[position])[None], recipe)[0]
        return result
    if pixels.shape[1:3] != (recipe.input_size, recipe.input_size) or recipe.crop_pct is not None:
        pixels = torch.cat([_resize(chunk, recipe) for chunk in pixels.split(CHUNK)])
    if pixels.shape[3] == recipe.channels:
        return pixels
    return pixels.expand(-1, -1, -1, recipe.channels).contiguous()


def _resize(pixels: Tensor, recipe: Recipe) -> Tensor:
    """uint8 [N, H, W, C] at the recipe's size, bilinear and antialiased: the whole image, its sides changed
    independently, or, with a crop_pct, the shorter side first and then the centre.
    """
    size, (height, width) = recipe.input_size, pixels.shape[1:3]
    target = (size, size)
    if recipe.crop_pct is not None:
        scale = round(size / recipe.crop_pct) / min(height, width)
        target = (max(size, round(height * scale)), max(size, round(width * scale)))
    planes = pixels.permute(0, 3, 1, 2)
    if target != (height, width):
        planes = F.interpolate(planes.float(), target, mode="bilinear", antialias=True, align_corners=False)
        planes = planes.round().clamp(0, 255).to(torch.uint8)
    top, left = (round((side - size) / 2) for side in target)
    return planes[:, :, top : top + size, left : left + size].permute(0, 2, 3, 1).contiguous()
