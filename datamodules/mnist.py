"""MNIST: 28x28 handwritten digits (LeCun et al. 1998)."""

from sweeps.datamodules.config import MnistConfig
from sweeps.datamodules.published import PublishedDataset, PublishedFile, load_published
from sweeps.datamodules.splits import Source

MNIST = PublishedDataset(
    "mnist",
    ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    PublishedFile("train-images-idx3-ubyte", (60_000, 28, 28), "6bbc9ace898e44ae57da46a324031adb"),
    PublishedFile("train-labels-idx1-ubyte", (60_000,), "a25bea736e30d166cdddb491f175f624"),
    PublishedFile("t10k-images-idx3-ubyte", (10_000, 28, 28), "2646ac647ad5339dbf082846283269ea"),
    PublishedFile("t10k-labels-idx1-ubyte", (10_000,), "27ae3e4e09519cfbb04c329615203637"),
)


def load(_section: MnistConfig) -> Source:
    """Return the 60,000 training and 10,000 test images. Raises DatasetError if files are missing or damaged."""
    return load_published(MNIST)
