"""A small LDAP directory for the tests of the OMERO stand-in: `python omero_directory.py CERTIFICATE KEY`.

It speaks TLS on a free port of the loopback address, which it prints. People have their own names, backwards,
as passwords.
"""

import io
import sys

from ldaptor.inmemory import fromLDIFFile
from ldaptor.interfaces import IConnectedLDAPEntry
from ldaptor.protocols.ldap.ldapserver import LDAPServer
from twisted.internet import reactor, ssl
from twisted.internet.protocol import ServerFactory
from twisted.python.components import registerAdapter

BASE = "dc=example,dc=org"
SEARCHER = f"cn=searcher,{BASE}"
PEOPLE = ("marie", "rosalind", "marco")
_ORGANISATION = f"dn: {BASE}\nobjectClass: dcObject\ndc: example\n\n"
_PERSON = """\
dn: cn={name},{base}
objectClass: person
cn: {name}
givenName: {given}
sn: Example
mail: {name}@example.org
userPassword: {password}

"""
_GROUP = f"dn: cn=imagers,{BASE}\nobjectClass: groupOfNames\ncn: imagers\nmember: cn=rosalind,{BASE}\n\n"


class _Factory(ServerFactory):
    def __init__(self, root):
        self.root = root

    def buildProtocol(self, _address):
        made = LDAPServer()
        made.factory = self
        return made


def _serve(root, certificate, key):
    registerAdapter(lambda factory: factory.root, _Factory, IConnectedLDAPEntry)
    context = ssl.DefaultOpenSSLContextFactory(key, certificate)
    port = reactor.listenSSL(0, _Factory(root), context, interface="127.0.0.1")
    print(port.getHost().port, flush=True)


def main(certificate, key):
    people = "".join(
        _PERSON.format(name=name, base=BASE, given=name.title(), password=name[::-1])
        for name in ("searcher", *PEOPLE)
    )
    read = fromLDIFFile(io.BytesIO((_ORGANISATION + people + _GROUP).encode()))
    read.addCallback(_serve, certificate, key)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
