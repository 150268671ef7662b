"""Devices by the address that a user types."""

from efficient360.deployment.devices.adb import adb
from efficient360.deployment.devices.device import Device
from efficient360.deployment.devices.limited import limited
from efficient360.deployment.devices.local import Local
from efficient360.deployment.devices.ssh import ssh
from efficient360.errors import SettingsError

FORMS = "local, limited:2core-4gb, ssh://user@host, adb://serial"


def device_from_address(address: str) -> Device:
    """The device of an address.

    Raises:
        SettingsError: No device has such an address.
        DeviceError: This machine can't be such a device.
    """
    kind, colon, rest = address.partition(":")
    if address == "local":
        return Local()
    if kind == "limited" and colon:
        return limited(rest)
    if kind == "ssh" and colon:
        return ssh(address)
    if kind == "adb" and colon:
        return adb(address)
    raise SettingsError("unknown-device", f"{address!r} names no device", f"write one of the forms {FORMS}")
