"""Packaging of radius_smsotp.  Tool settings live in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

setup(
    name="radius-smsotp",
    version="0.1.0",
    description="SMS one-time codes as second factor for the FreeRADIUS you already run",
    long_description=(ROOT / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    author="The radius_smsotp authors",
    license="MIT",
    license_files=["LICENSE"],
    keywords=["freeradius", "radius", "otp", "one-time password", "sms", "2fa", "mfa"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Environment :: No Input/Output (Daemon)",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 15)),
        "Topic :: Security",
        "Topic :: System :: Systems Administration :: Authentication/Directory",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["radius_smsotp", "radius_smsotp.*"]),
        "radius_smsotp.freeradius",
    ],
    # The files under freeradius/ travel in the wheel, so that `smsotp raddb` finds them.
    package_dir={"radius_smsotp.freeradius": "freeradius"},
    package_data={
        "radius_smsotp": ["py.typed"],
        "radius_smsotp.cli": ["*.html"],
        "radius_smsotp.cli.user": ["*.html"],
        "radius_smsotp.cli.statistics": ["*.css", "*.html"],
        "radius_smsotp.cli.statistics.words": ["*.yaml"],
        "radius_smsotp.freeradius": ["*", "*/*", "*/*/*", "*/*/*/*"],
        "radius_smsotp.settings.languages": ["*.yaml"],
        "radius_smsotp.providers.modem": ["*.txt"],
        "radius_smsotp.providers.presets": ["*.yaml"],
    },
    # What comes next may break us; packaging/constraints.txt names the very versions of the tests.
    install_requires=[
        "pyotp>=2.8,<3",  # HOTP (RFC 4226), the derivation of the code
        "requests>=2.32.2,<3",  # the http provider: TLS, proxies, authentication
        "urllib3>=2,<3",  # what requests stands on; the http provider bounds its time with it
        "PyYAML>=6,<7",  # the settings file
        "pydantic>=2.6,<3",  # settings with types, all errors at once
        "phonenumbers>=8.12.57,<10",  # numbers in any writing to E.164
        "click>=8.1,<9",  # the command line
        "pyrad>=2.5,<3",  # `smsotp login` and `smsotp demo`: a RADIUS client
        "prometheus_client>=0.19,<1",  # `smsotp exporter` writes its format, never inside radiusd
        "uvicorn>=0.30,<1",  # what `smsotp receiver` and `exporter` answer HTTP with
        "rich>=13,<16",  # progress, and how wide letters are, never inside radiusd
        "pyserial>=3.5,<4",  # the modem provider: serial lines and socket://
    ],
    extras_require={
        "postgres": ["psycopg[binary,pool]>=3.2,<4"],  # the PostgreSQL store; 3.2 cancels in time
        "smpp": [
            "smpplib>=2.2,<3",  # the smpp provider
            'async-timeout>=4,<6; python_version < "3.11"',  # what asyncio has of itself since
        ],
        "docs": [
            "sphinx>=8,<10",  # makes a site and pages for man of docs/
            "furo>=2024.8,<2026",  # what the site looks like
            "sphinx-copybutton>=0.5,<1",  # copies commands without their prompts
            "sphinx-design>=0.6,<1",  # cards and tabs
        ],
        "fuzz": ["atheris>=2.3"],  # looks for octets that reach new code: tests/fuzz.sh
        "test": [
            "pytest>=8",  # the test runner
            "aiosmtpd",  # a mail server that the smtp provider speaks to
            "docutils",  # reads README.rst as package indexes do
            'radius-smsotp[docs]; python_version >= "3.11"',  # the site is built, too
            "smspdudecoder",  # reads what the modem provider sends, written by others
            "bitstring<5",  # smspdudecoder 2.2 imports a name that bitstring 5 dropped
            "pycryptodome",  # MD4 and DES, of which MS-CHAP is made, for a client of it
            "setuptools>=66",  # builds the wheel that is tested, without a download
            "wheel",  # what setuptools before 70 builds it with
            "hypothesis>=6",  # properties of the pairs codec
            "ruff>=0.6",  # lint and format
            "mypy>=1.11",  # types, strict
            "types-PyYAML",  # types of PyYAML for mypy
            "types-requests",  # types of requests for mypy
            "types-pyserial",  # types of pyserial for mypy
        ],
    },
    entry_points={"console_scripts": ["smsotp = radius_smsotp.cli:main"]},
)
