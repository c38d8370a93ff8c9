package diagnose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"causeway/internal/vpn/daemontest"
)

// issue gives each host a certificate for its name from an authority of that
// name, and the near host's authority to trust; life is that of the certificates from now.
func issue(t *testing.T, a *daemontest.Host, idA, authorityA string, b *daemontest.Host, idB, authorityB string, life time.Duration) {
	type authority struct {
		cert *x509.Certificate
		key  *ecdsa.PrivateKey
	}
	authorities := map[string]authority{}
	made := func(name string) authority {
		if x, ok := authorities[name]; ok {
			return x
		}
		cert, key := certificate(t, &x509.Certificate{Subject: pkix.Name{CommonName: "authority " + name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, 10*time.Hour, nil, nil)
		authorities[name] = authority{cert, key}
		return authorities[name]
	}
	for _, h := range []struct {
		host          *daemontest.Host
		id, authority string
	}{{a, idA, authorityA}, {b, idB, authorityB}} {
		by := made(h.authority)
		cert, key := certificate(t, &x509.Certificate{Subject: pkix.Name{CommonName: h.id}, DNSNames: []string{h.id}}, life, by.cert, by.key)
		raw, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		h.host.Write("x509/seoul.pem", block("CERTIFICATE", cert.Raw))
		h.host.Write("private/seoul.pem", block("EC PRIVATE KEY", raw))
		h.host.Write("x509ca/seoul-ca.pem", block("CERTIFICATE", by.cert.Raw))
	}
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func certificate(t *testing.T, c *x509.Certificate, life time.Duration, by *x509.Certificate, with *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-24*time.Hour), time.Now().Add(life)
	if by == nil {
		by, with = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, with)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}
