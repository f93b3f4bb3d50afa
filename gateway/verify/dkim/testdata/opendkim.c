/* Signs the mail on standard input by libopendkim: opendkim CANON/CANON rsa|ed25519 KEYFILE.
   cc -o opendkim opendkim.c -lopendkim (Debian: libopendkim-dev). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <stdbool.h>
#include <opendkim/dkim.h>

static dkim_canon_t canon(const char *name, size_t n) {
	return n == 6 && strncmp(name, "simple", n) == 0 ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED;
}

static size_t all(FILE *f, unsigned char *to, size_t room) {
	size_t n = fread(to, 1, room - 1, f);
	to[n] = 0;
	return n;
}

int main(int argc, char **argv) {
	static unsigned char mail[1 << 20], key[1 << 14], sig[1 << 14];
	const char *slash = argc == 4 ? strchr(argv[1], '/') : NULL;
	FILE *f = slash ? fopen(argv[3], "r") : NULL;
	DKIM_STAT s;
	if (!f) return 2;
	size_t keys = all(f, key, sizeof key), n = all(stdin, mail, sizeof mail);
	(void) keys;
	DKIM_LIB *lib = dkim_init(NULL, NULL);
	DKIM *d = dkim_sign(lib, (unsigned char *) "id", NULL, key, (unsigned char *) argv[2],
	    (unsigned char *) "example.com", canon(argv[1], slash - argv[1]),
	    canon(slash + 1, strlen(slash + 1)),
	    strcmp(argv[2], "rsa") == 0 ? DKIM_SIGN_RSASHA256 : DKIM_SIGN_ED25519SHA256, -1, &s);
	if (!d) { fprintf(stderr, "dkim_sign: %d\n", s); return 1; }
	if ((s = dkim_chunk(d, mail, n)) != DKIM_STAT_OK) { fprintf(stderr, "chunk: %d\n", s); return 1; }
	if ((s = dkim_chunk(d, NULL, 0)) != DKIM_STAT_OK) { fprintf(stderr, "end: %d\n", s); return 1; }
	if ((s = dkim_eom(d, NULL)) != DKIM_STAT_OK) { fprintf(stderr, "eom: %d %s\n", s, dkim_geterror(d)); return 1; }
	if ((s = dkim_getsighdr(d, sig, sizeof sig, 16)) != DKIM_STAT_OK) return 1;
	printf("DKIM-Signature: ");
	for (unsigned char *p = sig; *p; p++) {
		if (*p == '\r') continue;
		if (*p == '\n') putchar('\r');
		putchar(*p);
	}
	fputs("\r\n", stdout);
	fwrite(mail, 1, n, stdout);
	return 0;
}
