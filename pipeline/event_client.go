package pipeline

import (
	"math"
	"net/netip"

	"sluice/codec"
)

func (o *eventObject) client(name string) Client {
	c := o.object(name)
	port := c.integer("port", math.MaxUint16)
	client := Client{
		Address:  netip.AddrPortFrom(c.address("address"), uint16(port)),
		Helo:     c.text("helo", 0),
		Protocol: c.text("protocol", 1),
	}
	if c.nullable("tls"); c.holds("tls") {
		client.TLS = c.tls("tls")
	}
	if c.nullable("auth"); c.holds("auth") {
		client.Auth = c.auth("auth")
	}
	if c.has("role") {
		client.Role = c.role("role")
	}
	if c.has("proxy") {
		client.Proxy = c.proxy("proxy")
	}
	return client
}

func (o *eventObject) tls(name string) *TLS {
	t := o.object(name)
	tls := &TLS{
		Version: t.text("version", 1), Cipher: t.text("cipher", 1), Group: t.text("group", 0),
		Resumed: t.bool("resumed"), SNI: t.text("sni", 0),
	}
	if t.holds("certificate") {
		c := t.object("certificate")
		tls.Certificate = &ClientCertificate{Subject: c.text("subject", 0), SHA256: c.hexadecimal("sha256"), Verified: c.bool("verified")}
	}
	return tls
}

func (o *eventObject) auth(name string) *Auth {
	a := o.object(name)
	return &Auth{
		Mechanism: a.text("mechanism", 1), Identity: a.text("identity", 1), Backend: a.text("backend", 1), Issuer: a.text("issuer", 0),
	}
}

func (o *eventObject) role(name string) Role {
	if role := Role(o.text(name, 1)); role != "mx" {
		return role
	}
	return RoleMX
}

func (o *eventObject) proxy(name string) *Proxy {
	p := o.object(name)
	proxy := &Proxy{
		Address:   p.address("address"),
		Name:      p.text("name", 0),
		Authority: p.text("authority", 0),
		UniqueID:  p.hexadecimal("unique_id"),
	}
	if p.holds("tls") {
		t := p.object("tls")
		proxy.TLS = &codec.ProxyTLS{
			Version: t.text("version", 0), Cipher: t.text("cipher", 0),
			CommonName: t.text("common_name", 0), Verified: t.bool("verified"),
		}
	}
	return proxy
}
