// Package certtest issues throw-away certificates for tests.
package certtest

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
)

// CA issues certificates.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Authority makes a CA of that name.
func Authority(t testing.TB, name string) *CA {
	c := &CA{}
	c.cert, c.key = make509(t, &x509.Certificate{Subject: pkix.Name{CommonName: "authority " + name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, 10*time.Hour, nil)
	return c
}

// PEM is the CA's own certificate.
func (c *CA) PEM() string { return encode("CERTIFICATE", c.cert.Raw) }

// Issue makes a certificate for a domain name that is valid from a day ago for
// life from now; a negative life is one that has ended.
func (c *CA) Issue(t testing.TB, name string, life time.Duration) (cert, key string) {
	x, k := make509(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}, life, c)
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return encode("CERTIFICATE", x.Raw), encode("EC PRIVATE KEY", der)
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func make509(t testing.TB, c *x509.Certificate, life time.Duration, by *CA) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-24*time.Hour), time.Now().Add(life)
	if by == nil {
		by = &CA{c, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}
