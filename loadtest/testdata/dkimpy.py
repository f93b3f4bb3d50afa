"""Signs a mail, or verifies one, with dkimpy: sign DOMAIN SELECTOR KEYFILE, or verify with
the name and the text of a key record. The mail comes on standard input, in CRLF."""

import sys

import dkim

mail = sys.stdin.buffer.read()
if sys.argv[1] == "sign":
    domain, selector, key = sys.argv[2:]
    with open(key, "rb") as f:
        signature = dkim.sign(mail, selector.encode(), domain.encode(), f.read(),
                              canonicalize=(b"relaxed", b"simple"))
    sys.stdout.buffer.write(signature + mail)
else:
    name, record = sys.argv[2:]

    def answer(asked, timeout=5):
        return record.encode() if asked.decode().rstrip(".") == name else None

    sys.exit(0 if dkim.verify(mail, dnsfunc=answer) else 1)
