#!/usr/bin/env python3
"""Signs the mails of this folder with three foreign signers, and writes their keys.

Needs dkimpy and pynacl (PyPI), libmail-dkim-perl (Debian), openssl, and opendkim.c of this
folder as a program, whose path is the argument. Run it here; it replaces *.eml and keys.txt.
Mail::DKIM of Debian 12 signs by RSA alone.
"""

import base64
import glob
import itertools
import os
import subprocess
import sys
import tempfile

import dkim
import nacl.signing

DOMAIN = b"example.com"

PLAIN = (b"From: Alice <alice@example.com>\r\nTo: bob@example.net\r\n"
         b"Subject: A plain mail\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
         b"Message-ID: <1@example.com>\r\n\r\nHello,\r\n\r\nhow are you?\r\n")
ODD = (b"Received: from a (b [192.0.2.1])\r\n\tby c;\r\n \tFri, 27 Nov 2026 12:00:00 +0000\r\n"
       b"X-Empty:\r\nX-Blank: \t \r\n"
       b"fRoM:  \"Alice, \r\n \\\"A\\\"\"  \t<alice@example.com>  \r\n"
       b"to:bob@example.net,\r\n\tcarol@example.net,\r\n   dave@example.net\r\n"
       b"SUBJECT:   folded \r\n\t \r\n   and \t  odd \t\r\n"
       b"Date: Fri, 27 Nov 2026 12:00:00 +0000\r\n"
       b"Message-ID:\r\n <2@example.com>\r\nCC: x@example.net\r\nCc: y@example.net\r\n"
       b"\r\n\r\n  leading \t and   trailing \t \r\n \t \r\n\t\r\n"
       b"8-bit: \xc3\xa4\xff, a lone dot:\r\n.\r\n..\r\n"
       b"no line  end \t\r\n\r\n \r\n\r\n\r\n")
SPACED = ODD.replace(b"fRoM:", b"fRoM \t:")  # which Perl alone reads
EMPTY = (b"From: alice@example.com\r\nTo: bob@example.net\r\nSubject: nothing\r\n"
         b"Date: Fri, 27 Nov 2026 12:00:00 +0000\r\n\r\n")
BLANK = EMPTY + b"\r\n\r\n\r\n"
MAILS = {"plain": PLAIN, "odd": ODD, "spaced": SPACED, "empty": EMPTY, "blank": BLANK}
CANONS = list(itertools.product(("simple", "relaxed"), repeat=2))

PERL = r"""
use Mail::DKIM::Signer; use Mail::DKIM::PrivateKey;
my ($canon, $file) = @ARGV;
my $d = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => $canon,
    Domain => 'example.com', Selector => 'rsa',
    Key => Mail::DKIM::PrivateKey->load(File => $file));
binmode STDIN; binmode STDOUT; local $/; my $m = <STDIN>;
$d->PRINT($m); $d->CLOSE;
my $s = $d->signature->as_string; $s =~ s/\r?\n/\r\n/g;
print $s, "\r\n", $m;
"""


def run(*args, stdin=b""):
    return subprocess.run(args, input=stdin, stdout=subprocess.PIPE, check=True).stdout


def main():
    for old in glob.glob("*.eml"):
        os.remove(old)
    tmp = tempfile.mkdtemp()
    rsa, small, ed = (os.path.join(tmp, n) for n in ("rsa", "small", "ed"))
    keys = []
    for path, bits, name in ((rsa, "2048", "rsa"), (small, "768", "small")):
        run("openssl", "genrsa", "-traditional", "-out", path, bits)
        der = run("openssl", "rsa", "-in", path, "-pubout", "-outform", "DER")
        keys.append(f"{name} v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}")
    seed = nacl.signing.SigningKey.generate()
    edb64 = base64.b64encode(bytes(seed))
    # PKCS #8 of RFC 8410, for OpenSSL.
    der = bytes.fromhex("302e020100300506032b657004220420") + bytes(seed)
    with open(ed, "w") as f:
        f.write("-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(der).decode() +
                "\n-----END PRIVATE KEY-----\n")
    pub = base64.b64encode(bytes(seed.verify_key)).decode()
    keys.append(f"ed25519 v=DKIM1; k=ed25519; p={pub}")
    with open("keys.txt", "w") as f:
        f.write("\n".join(keys) + "\n")
    pem = {"rsa": open(rsa, "rb").read(), "ed25519": edb64,
           "small": open(small, "rb").read()}

    def write(name, mail):
        with open(name + ".eml", "wb") as f:
            f.write(mail)

    def dkimpy(mail, kind, h, b, **more):
        alg = b"ed25519-sha256" if kind == "ed25519" else b"rsa-sha256"
        opts = {"signature_algorithm": alg, **more}
        sig = dkim.sign(mail, kind.encode(), DOMAIN, pem[kind],
                        canonicalize=(h.encode(), b.encode()), **opts)
        return sig + mail

    for (h, b), (title, mail) in itertools.product(CANONS, MAILS.items()):
        for kind in ("rsa", "ed25519"):
            if title != "spaced":
                write(f"dkimpy-{kind}-{h}-{b}-{title}",
                      dkimpy(mail, kind, h, b))
                key = rsa if kind == "rsa" else ed
                # By Ed25519 and c=simple, opendkim 2.11.0 beta 2 signs another field than
                # it prints: dkimpy refuses it too.
                if kind == "rsa" or h == "relaxed":
                    write(f"opendkim-{kind}-{h}-{b}-{title}",
                          run(sys.argv[1], f"{h}/{b}", kind, key, stdin=mail))
        write(f"perl-rsa-{h}-{b}-{title}",
              run("perl", "-e", PERL, f"{h}/{b}", rsa, stdin=mail))
    write("policy-sha1", dkimpy(PLAIN, "rsa", "relaxed", "relaxed",
                                signature_algorithm=b"rsa-sha1"))
    write("policy-small", dkimpy(PLAIN, "small", "relaxed", "relaxed"))
    write("policy-length", dkimpy(PLAIN, "rsa", "relaxed", "relaxed", length=True) + b"more\r\n")


main()
