"""The networks of the distillation literature for small images, registered with timm: `cifar_...` for 32 pixels, and
the multilayer perceptrons `mlp_...` for the 28 of MNIST.

Importing this package registers them: `timm.create_model("cifar_resnet20", num_classes=100)`, and
`timm.list_models(module="small_image_network")` lists them. They have their publications' parameters, initialisation
(random draws aside) and feature maps, which come before any activation where the published code taps them there.
Each family's file names its sources.
"""

from benchmark.ground.libraries import timm
from benchmark.models.small_images import mhgd, mlp, mobilenet, resnet, shufflenet, vgg, wide_resnet
