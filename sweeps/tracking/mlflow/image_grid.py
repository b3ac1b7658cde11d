"""Images for MLflow's image grid, which shows the runs of an experiment side by side, and any step of them.

The grid finds the files in the artifact folder `images` by their names, as `MlflowClient.log_image` writes them: the
image under its key and step, and a second file for the grid itself. `log_image` names them by the clock and a random
id, so a repeated delivery would show an image twice; these names depend only on the run, the key and the step.
"""

import io
from uuid import NAMESPACE_URL, uuid5

# The page of a run and the grid look for images only in runs with this tag.
LOGGED_IMAGES_TAG = "mlflow.loggedImages"
# More than a screen shows of one image in the grid; WebP itself allows 16,383 pixels.
_GRID_PIXELS = 1024


def image_files(run_id: str, key: str, step: int, time_ms: int, png: bytes) -> dict[str, bytes]:
    """Return the artifacts that show an image in the grid, by name: `png` itself, and the same picture as WebP.

    MLflow's client shrinks the second file to 256 pixels, which blurs the tiles. Without loss and at full size, up to
    1,024 pixels, it is smaller than the PNG and than the blurred picture. `time_ms` is the image's time, so a repeated
    delivery must pass the same.
    """
    from PIL import Image

    name = f"images/{key}+step+{step}+timestamp+{time_ms}+{uuid5(NAMESPACE_URL, f'{run_id}/{key}/{step}')}"
    webp, picture = io.BytesIO(), Image.open(io.BytesIO(png))
    picture.thumbnail((_GRID_PIXELS, _GRID_PIXELS))
    picture.save(webp, "WEBP", lossless=True)
    return {f"{name}.png": png, f"{name}+compressed.webp": webp.getvalue()}
