"""A service that asks PAM: pam_radius_auth, and pamtester in the place of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.freeradius import recipe
from tests.peers.dialogue import Dialogue
from tests.support.radius import SECRET

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.freeradius import Radiusd

# PAM reads services from /etc/pam.d only: in a mount namespace of its own, that is our folder.
ENTER = 'mount --bind "$0" /etc/pam.d && exec "$@"'


class Pam:
    """
    One PAM service, set up as a page says.

    Args:
        name: Of the service; of its file in ``pam.d`` of the section, too.
        options: Of ``pam_radius_auth.so``, in the place of ``prompt=PIN``.
        timeout: Seconds after which pam_radius gives a server up.
    """

    def __init__(
        self,
        folder: Path,
        servers: Sequence[Radiusd],
        options: str = "prompt=PIN",
        timeout: int = 10,
        section: str = "SSH and sudo",
        name: str = "sshd",
    ) -> None:
        self.name = name
        self.services = folder / "pam.d"
        self.services.mkdir(parents=True)
        line = recipe.files("SSH and sudo")["pam_radius_auth.conf"].splitlines()[0]
        path = folder / "pam_radius_auth.conf"
        path.write_text(
            "".join(
                recipe.fill_in(
                    f"{line}\n",
                    {
                        "192.0.2.10:1812": f"127.0.0.1:{server.port}",
                        "not-my-secret": SECRET,
                        " 10\n": f" {timeout}\n",
                    },
                )
                for server in servers
            )
        )
        path.chmod(0o600)
        said = recipe.files(section)[f"pam.d/{name}"]
        replacements = {"/etc/pam_radius_auth.conf": str(path), "prompt=PIN": options}
        (self.services / name).write_text(recipe.fill_in(said, replacements))

    def authenticate(self, user: str = "alice") -> Dialogue:
        """Ask for ``authenticate``, as every service does first."""
        return Dialogue(
            in_service_folder(self.services, "pamtester", self.name, user, "authenticate")
        )


def in_service_folder(services: Path, *words: str) -> list[str]:
    """A command whose PAM services are those of a folder."""
    return ["unshare", "--mount", "sh", "-euc", ENTER, str(services), *words]
