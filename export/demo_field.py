"""Makes the demo's field from PyPI's iris-sample-data: python -m export.demo_field (needs iris-sample-data and h5py).

Source: A1B_north_america.nc, annual mean air temperature of a climate projection under the A1B scenario; British Crown
copyright, Open Government Licence. The values are stored as they are, losslessly, with axes t (year), y, x.
"""

from importlib.resources import files
from pathlib import Path

import h5py
import numpy as np

import aecodec

TARGET = Path(__file__).parent.parent / "aecodec" / "demo" / "air_temperature.aecz"


def main() -> None:
    """Write the field."""
    source = Path(str(files("iris_sample_data"))) / "sample_data" / "A1B_north_america.nc"
    with h5py.File(source) as dataset:
        temperature = np.ascontiguousarray(dataset["air_temperature"][...], dtype=np.float32)
    metadata = {"title": "annual mean air temperature, K", "source": "iris-sample-data 2.5.2, A1B_north_america.nc"}
    TARGET.write_bytes(aecodec.compress(temperature, axes="tyx", level=9, metadata=metadata))
    print(f"{TARGET.name}: {temperature.shape} {temperature.dtype}, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
