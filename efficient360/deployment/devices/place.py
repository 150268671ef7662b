"""A device that runs Python workers, opened: a folder on it with the kit, artefacts and images, and workers started there."""

from abc import ABC, abstractmethod
from pathlib import Path

from efficient360.deployment.devices.link import Link
from efficient360.deployment.runtimes import kit

KIT = Path(kit.__file__).parent


class Place(ABC):
    """A folder on a device for the time of a measurement. Paths on it are relative to that folder, which is every worker's working directory."""

    @property
    @abstractmethod
    def cores(self) -> int:
        """CPU cores a worker may use."""

    @abstractmethod
    def put(self, path: Path, name: str) -> None:
        """Bring a file or folder of this machine there under a name. Bringing it twice costs nothing."""

    @abstractmethod
    def get(self, name: str, path: Path) -> None:
        """Bring a file from there."""

    @abstractmethod
    def start(self) -> Link:
        """Start a worker."""
