"""Says what Python's email package finds in messages: JSON in (name -> base64), JSON out."""
import base64
import email
import email.policy
import hashlib
import json
import sys


def parts(message, prefix, whole):
    """Yields the parts as IMAP counts them (RFC 9051, section 6.4.5.1)."""
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for n, part in enumerate(message.get_payload(), 1):
            yield from parts(part, prefix + [n], False)
        return
    number = prefix + [1] if whole else prefix
    part = {"number": ".".join(map(str, number)), "type": message.get_content_type(), "name": message.get_filename() or ""}
    if message.is_multipart():
        yield part
        if message.get_content_type() in ("message/rfc822", "message/global"):
            yield from parts(message.get_payload(0), number, True)
        return
    content = message.get_payload(decode=True)
    if message.get_content_maintype() == "multipart":
        content = message.get_payload().encode("ascii", "surrogateescape")
    part["size"], part["sha256"] = len(content), hashlib.sha256(content).hexdigest()
    yield part


def addresses(message, field):
    value = message[field]
    if value is None:
        return []
    return [[a.display_name, a.addr_spec] for a in value.addresses]


def read(octets):
    message = email.message_from_bytes(octets, policy=email.policy.default)
    return {
        "parts": list(parts(message, [], True)),
        "subject": " ".join(str(message["subject"] or "").split()),
        "from": addresses(message, "from"), "to": addresses(message, "to"),
        "cc": addresses(message, "cc"), "reply": addresses(message, "reply-to"),
    }


found = {}
for name, encoded in json.load(sys.stdin).items():
    try:
        found[name] = read(base64.b64decode(encoded))
    except Exception as e:  # it has its own bugs with what is broken
        found[name] = {"error": repr(e)}
json.dump(found, sys.stdout)
