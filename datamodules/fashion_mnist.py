"""Fashion-MNIST: 28x28 articles of clothing (Xiao et al. 2017)."""

from sweeps.datamodules.config import FashionMnistConfig
from sweeps.datamodules.published import PublishedDataset, PublishedFile, load_published
from sweeps.datamodules.splits import Source

FASHION_MNIST = PublishedDataset(
    "fashion_mnist",
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    PublishedFile("train-images-idx3-ubyte", (60_000, 28, 28), "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
    PublishedFile("train-labels-idx1-ubyte", (60_000,), "9018921c3c673c538a1fc5bad174d6f9"),
    PublishedFile("t10k-images-idx3-ubyte", (10_000, 28, 28), "8181f5470baa50b63fa0f6fddb340f0a"),
    PublishedFile("t10k-labels-idx1-ubyte", (10_000,), "15d484375f8d13e6eb1aabb0c3f46965"),
)


def load(_section: FashionMnistConfig) -> Source:
    """Return the 60,000 training and 10,000 test images. Raises DatasetError if files are missing or damaged."""
    return load_published(FASHION_MNIST)
