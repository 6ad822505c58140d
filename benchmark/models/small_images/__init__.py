"""The networks of the distillation literature for images of 32 pixels, registered with timm under `cifar_...`.

Importing this package registers them: `timm.create_model("cifar_resnet20", num_classes=100)`, and
`timm.list_models(module="small_image_network")` lists them. They have their publications' parameters, initialisation
(random draws aside) and feature maps, which come before any activation where the published code taps them there.
Each family's file names its sources.
"""

from benchmark.libraries import torchvision

torchvision()  # timm, which the networks are made with, imports it

from benchmark.models.small_images import mhgd, mobilenet, resnet, shufflenet, vgg, wide_resnet  # noqa: E402, F401
