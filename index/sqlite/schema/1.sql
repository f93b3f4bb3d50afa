-- One row a message. seq sorts as id does, to the millisecond. Times are in milliseconds
-- since 1970, lists are JSON, and an empty list is NULL.
CREATE TABLE messages (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  received_at INTEGER NOT NULL,
  client_address TEXT NOT NULL,
  client_port INTEGER NOT NULL,
  client_name TEXT NOT NULL,
  helo TEXT NOT NULL,
  protocol TEXT NOT NULL,
  tls_version TEXT NOT NULL,
  tls_cipher TEXT NOT NULL,
  role TEXT NOT NULL,
  identity TEXT NOT NULL,
  gateway TEXT NOT NULL,
  mail_from TEXT NOT NULL,
  rcpt_to TEXT,
  size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  blob_store TEXT NOT NULL,
  blob_bucket TEXT NOT NULL,
  blob_key TEXT NOT NULL,
  blob_offset INTEGER NOT NULL,
  blob_length INTEGER NOT NULL,
  blob_added INTEGER NOT NULL,
  message_id TEXT NOT NULL,
  message_references TEXT,
  header_from TEXT,
  header_to TEXT,
  header_cc TEXT,
  header_reply_to TEXT,
  subject TEXT NOT NULL,
  subject_raw TEXT NOT NULL,
  date INTEGER,
  parts TEXT,
  defects TEXT,
  verdicts TEXT
) STRICT;

-- The terms of each message by its seq, each one token. Only MATCH can ask for them.
CREATE VIRTUAL TABLE terms USING fts5(
  term, content='', contentless_delete=1, detail=none,
  tokenize="ascii tokenchars '!#$%&()*+,-./:;<=>?@[]^_{|}~'"
);

CREATE VIEW recipients AS
  SELECT m.id AS id, j.value AS address FROM messages m, json_each(m.rcpt_to) j;

CREATE VIEW parts AS
  SELECT m.id AS id, j.value ->> 'number' AS number, j.value ->> 'type' AS type,
    j.value ->> 'charset' AS charset, j.value ->> 'disposition' AS disposition,
    j.value ->> '$.name.text' AS name, j.value ->> 'size' AS size, j.value ->> 'sha256' AS sha256
  FROM messages m, json_each(m.parts) j;
