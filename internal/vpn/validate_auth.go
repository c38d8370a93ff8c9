package vpn

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"strings"

	"causeway/internal/problem"
)

// MaxPSK is how long a pre-shared key may be, in characters.
const MaxPSK = 100

func (a Auth) validate(t Tunnel) problem.List {
	var l list
	l.oneOf("method", string(a.Method), string(PSK), string(Certificate))
	switch a.Method {
	case PSK:
		validatePSK(&l, a.PSK)
		for _, other := range []struct{ field, value string }{{"certificate", a.Certificate}, {"private_key", a.PrivateKey.Reveal()}, {"ca", a.CA}} {
			if other.value != "" {
				l.add(other.field, "a value", "nothing with method: psk", "take it away, or set method: certificate")
			}
		}
	case Certificate:
		if a.PSK != "" {
			l.add("psk", "a value", "nothing with method: certificate", "take it away, or set method: psk")
		}
		a.validateCertificates(&l, t.Local.ID)
	}
	return problem.List(l)
}

func validatePSK(l *list, key Secret) {
	const allowed = "1–100 printable ASCII characters, no space at either end"
	s := key.Reveal()
	switch {
	case s == "":
		l.missing("psk", allowed, "both ends need the same key; `openssl rand -hex 24` makes one that every device takes")
	case s == Mask:
		l.add("psk", "the mask that is shown instead of a key", allowed, "write the key itself, or leave the field away to keep the one that is set")
	case len(s) > MaxPSK:
		l.add("psk", fmt.Sprintf("a key of %d bytes", len(s)), allowed, "make it shorter; 32 random characters are plenty")
	case !printable(s):
		l.add("psk", "a key with characters outside printable ASCII", allowed, "devices disagree on how to write these: choose letters and digits")
	case strings.TrimSpace(s) != s:
		l.add("psk", "a key with a space at its beginning or end", allowed, "devices lose such spaces: take them away at both ends")
	}
}

func (a Auth) validateCertificates(l *list, id string) {
	own := certificateIn(l, "certificate", a.Certificate, "this end's certificate")
	ca := certificateIn(l, "ca", a.CA, "the authority that the other end's certificate comes from")
	if ca != nil && !ca.IsCA {
		l.add("ca", "the certificate of "+ca.Subject.String(), "a certificate that may sign others (basic constraints CA: true)", "take the authority's, not the other end's")
	}
	key := keyIn(l, a.PrivateKey)
	if own == nil {
		return
	}
	if key != nil && !own.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
		l.add("private_key", "the key of another certificate", "the private key that belongs to certificate", "")
	}
	if !certifies(own, id) {
		l.add("certificate", "a certificate for "+strings.Join(namesOf(own), ", "), "one that has local.id "+id+" among its subject alternative names",
			"set local.id to one of its names, or have it issued anew")
	}
}

func certificateIn(l *list, field, text, what string) *x509.Certificate {
	allowed := "PEM of " + what
	if text == "" {
		l.missing(field, allowed, "")
		return nil
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		l.add(field, "no certificate", allowed+", beginning with -----BEGIN CERTIFICATE-----", "")
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		l.add(field, "a certificate that cannot be read: "+err.Error(), allowed, "")
		return nil
	}
	return cert
}

func keyIn(l *list, key Secret) crypto.Signer {
	const allowed = "PEM of the private key, not encrypted, beginning with -----BEGIN PRIVATE KEY-----"
	if key == "" {
		l.missing("private_key", allowed, "")
		return nil
	}
	block, _ := pem.Decode([]byte(key.Reveal()))
	if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") || strings.Contains(block.Type, "ENCRYPTED") {
		l.add("private_key", "no private key, or an encrypted one", allowed, "take a passphrase away with `openssl pkey`")
		return nil
	}
	if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if s, ok := k.(crypto.Signer); ok {
			return s
		}
	}
	if k, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return k
	}
	if k, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return k
	}
	l.add("private_key", "a private key that cannot be read", allowed, "")
	return nil
}

// certifies says whether id is one of c's names. Distinguished names are not
// compared: there are many ways to write one.
func certifies(c *x509.Certificate, id string) bool {
	switch IDKindOf(id) {
	case IDAddress:
		want := netip.MustParseAddr(id).Unmap()
		for _, ip := range c.IPAddresses {
			if a, ok := netip.AddrFromSlice(ip); ok && a.Unmap() == want {
				return true
			}
		}
		return false
	case IDDomain, IDMail:
		for _, n := range append(c.DNSNames, c.EmailAddresses...) {
			if strings.EqualFold(n, id) {
				return true
			}
		}
		return false
	}
	return true
}

func namesOf(c *x509.Certificate) []string {
	names := append(append([]string{}, c.DNSNames...), c.EmailAddresses...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return append(names, `"`+c.Subject.String()+`"`)
}
