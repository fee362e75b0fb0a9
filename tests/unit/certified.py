"""A certificate for 127.0.0.1 that nobody vouches for but itself, for servers of tests."""

import ssl
import subprocess
from pathlib import Path

import pytest


def certified_in(folder: Path) -> tuple[ssl.SSLContext, str]:
    """Return what a server needs for TLS, and the file of the authority that vouches for it; skip without openssl."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    made += ["-keyout", key, "-out", certificate, "-subj", "/CN=r", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(made, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl here to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, str(certificate)
