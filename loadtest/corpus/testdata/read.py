"""Reads the mails of a folder by Python's email package and prints what it finds as JSON."""
import datetime
import email
import email.policy
import email.utils
import hashlib
import json
import os
import re
import sys


def mailboxes(message, name):
    field = message[name]
    if field is None:
        return None
    # It keeps the space between encoded words of a name (RFC 2047 §6.2 drops it).
    return [{"name": {"text": a.display_name.replace(" ", "")}, "address": a.addr_spec} for a in field.addresses]


def part(message, number):
    content = b"" if message.get_content_type() == "message/rfc822" else payload(message)
    known = {
        "number": number, "type": message.get_content_type(),
        "charset": (message.get_param("charset") or "").lower(),
        "disposition": message.get_content_disposition() or "",
        "name": {"text": message.get_filename() or ""},
    }
    if message.get_content_type() != "message/rfc822":
        known.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    return known


def payload(message):
    if message.get_content_type() == "message/delivery-status":
        # It was parsed into blocks of fields.
        blocks = [b.as_bytes(policy=email.policy.compat32.clone(linesep="\r\n")) for b in message.get_payload()]
        return b"".join(blocks)
    content = message.get_payload(decode=True)
    return b"" if content is None else content


def parts(message, number):
    below = number + "." if number else ""
    if message.get_content_maintype() == "multipart":
        for i, child in enumerate(message.get_payload() if message.is_multipart() else []):
            yield from parts(child, below + str(i + 1))
        return
    number = number or "1"
    yield part(message, number)
    if message.get_content_type() == "message/rfc822":
        inner = message.get_payload(0)
        if inner.get_content_maintype() == "multipart":
            yield from parts(inner, number)
        else:
            yield from parts(inner, number + ".1")


def date(message):
    try:
        at = email.utils.parsedate_to_datetime(str(message["Date"]))
        if at.tzinfo is None:
            at = at.replace(tzinfo=datetime.timezone.utc)
        return at.isoformat()
    except (TypeError, ValueError):
        return "0001-01-01T00:00:00Z"


def ids(message):
    found = re.findall(r"<([^>]*)>", str(message["References"] or "") + str(message["In-Reply-To"] or ""))
    return list(dict.fromkeys(found))


found = {}
for name in os.listdir(sys.argv[1]):
    with open(os.path.join(sys.argv[1], name), "rb") as f:
        message = email.message_from_bytes(f.read(), policy=email.policy.default)
    found[name] = {
        "header": {
            "message_id": re.sub(r"^<|>$", "", str(message["Message-ID"] or "").strip()),
            "references": ids(message),
            "from": mailboxes(message, "From"), "to": mailboxes(message, "To"),
            "cc": mailboxes(message, "Cc"), "reply_to": mailboxes(message, "Reply-To"),
            "subject": {"text": str(message["Subject"] or "")}, "date": date(message),
        },
        "parts": list(parts(message, "")),
    }
json.dump(found, sys.stdout)
