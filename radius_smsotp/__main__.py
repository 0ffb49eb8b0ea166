"""``python -m radius_smsotp``: the command line, where `smsotp` itself is not on the PATH."""

from radius_smsotp.cli import main

main()
