-- What is known of each message. The partitions are days of the ids' own time (UUIDv7).
create table messages (
	id            uuid        not null primary key,
	received_at   timestamptz not null,
	gateway       text        not null,
	client        inet,                 -- null if it is not kept
	client_port   integer     not null,
	client_name   text        not null, -- that the address confirms or a proxy gave
	helo          text        not null,
	protocol      text        not null,
	tls_version   text        not null, -- empty for plain text
	tls_cipher    text        not null,
	role          text        not null, -- mx or submission
	identity      text        not null, -- who the client has proven to be
	mail_from     text        not null,
	rcpt_to       text[]      not null,
	size          bigint      not null,
	sha256        text        not null, -- in hexadecimal
	blob_store    text        not null,
	blob_bucket   text        not null,
	blob_key      text        not null,
	blob_offset   bigint      not null,
	blob_length   bigint      not null,
	blob_added    bigint      not null,
	message_id    text        not null,
	refs          text[]      not null, -- of References and In-Reply-To
	header_from   jsonb       not null, -- [{"name": {"text": …, "raw": …}, "address": …}]
	header_to     jsonb       not null,
	header_cc     jsonb       not null,
	reply_to      jsonb       not null,
	subject       text        not null,
	subject_raw   text        not null, -- as it came, empty if it is equal
	date          timestamptz,
	parts         jsonb       not null, -- see message_parts
	defects       jsonb       not null, -- [{"kind": …, "part": …}]
	verdicts      jsonb                 -- null where verification is off
) partition by range (id);

-- By what messages are found. Narrow, so that what a frequent term matches is sorted
-- without reading the messages.
create table message_terms (
	id          uuid        not null,
	received_at timestamptz not null,
	client      inet,
	terms       bigint[]    not null -- message_term of each
) partition by range (id);

-- Hashes do not compress, and no plan needs their statistics, which would read them all.
alter table message_terms alter column terms set storage external;

create index message_terms_terms on message_terms using gin (terms)
	with (fastupdate = on, gin_pending_list_limit = 4096);
-- For the newest. Of an expression, so that a search by terms, which names days by their
-- ids, does not read the ids of whole days from it.
create index message_terms_newest on message_terms (uuid_send(id));
create index message_terms_client on message_terms (client);

-- message_term returns what stands for a term, such as s:invoice for a word of a subject:
-- select id from message_terms where terms @> array[message_term('s:invoice')]
create function message_term(term text) returns bigint
	language sql immutable strict parallel safe
	return ('x' || encode(substring(sha256(convert_to(term, 'UTF8')) for 8), 'hex'))::bit(64)::bigint;

create view message_parts as
	select m.id, m.received_at, p->>'number' as number, p->>'type' as type,
		p->>'charset' as charset, p->>'disposition' as disposition,
		p->'name'->>'text' as name, p->'name'->>'raw' as name_raw,
		(p->>'size')::bigint as size, p->>'sha256' as sha256
	from messages m, jsonb_array_elements(m.parts) p;
