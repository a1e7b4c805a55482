"""The certificates of simulated agents, and the authority of a lab that issues them."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID = timedelta(days=3650)
_BEFORE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its chain and its private key, as PEM."""

    chain: bytes
    key: bytes

    @property
    def fingerprint(self) -> str:
        """Return its SHA-256 fingerprint, as OpenSSL prints it: 32 bytes in hex digits, with colons."""
        return x509.load_pem_x509_certificate(self.chain).fingerprint(hashes.SHA256()).hex(":").upper()

    @property
    def ends(self) -> datetime:
        """Return when it expires."""
        return x509.load_pem_x509_certificate(self.chain).not_valid_after_utc


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new private key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Authority:
    """Issues certificates. Its key is made at the first use, and is never written anywhere."""

    @cached_property
    def agents_key(self) -> ec.EllipticCurvePrivateKey:
        """The private key of all agents that have its certificates: to make one costs more than to make a host."""
        return new_key()

    @cached_property
    def agents_key_pem(self) -> bytes:
        """The same as PEM."""
        return key_pem(self.agents_key)

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return new_key()

    @cached_property
    def _certificate(self) -> x509.Certificate:
        # Valid at any time that a lab's clock may show.
        name = _name("imagestore-sim lab authority")
        unsigned = _unsigned(name, name, self._key, datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
        return unsigned.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(
            self._key, hashes.SHA256()
        )

    @cached_property
    def pem(self) -> bytes:
        """The certificate of the authority, by which clients verify those that it issues."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, host: str, until: float) -> Certificate:
        """Return a new certificate for the name of a host, valid until a time (epoch seconds)."""
        end = datetime.fromtimestamp(until, UTC)
        unsigned = _unsigned(_name(host), self._certificate.subject, self.agents_key, end - VALID - _BEFORE, end)
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        signed = unsigned.add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        return Certificate(signed.public_bytes(serialization.Encoding.PEM) + self.pem, self.agents_key_pem)


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """Return what a TLS server shows this certificate with. Raise OSError when no temporary file can be made."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(prefix="imagestore-sim-") as file:  # OpenSSL reads no keys from memory
        file.write(certificate.key + certificate.chain)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _unsigned(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
