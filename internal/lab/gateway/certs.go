package gateway

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// keyBits makes certificates of the usual kind, of which IKE_AUTH does not fit
// into one packet.
const keyBits = 3072

// Authority signs the certificates of one lab's gateways.
type Authority struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

// NewAuthority makes one that is good for a day.
func NewAuthority() (*Authority, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("make a certificate authority: %w", err)
	}
	a := &Authority{key: key}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"Causeway lab"}, CommonName: "Causeway lab authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		return nil, fmt.Errorf("make a certificate authority: %w", err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a, nil
}

// PEM is the authority's own certificate.
func (a *Authority) PEM() []byte { return a.pem }

// Issue makes a key and a certificate for an identity, PEM both. until is when the
// certificate ends; zero: in a day.
func (a *Authority) Issue(id string, until time.Time) (cert, key []byte, err error) {
	if until.IsZero() {
		until = a.cert.NotAfter
	}
	secret, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate for %s: %w", id, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Organization: []string{"Causeway lab"}, CommonName: id}, DNSNames: []string{id},
		NotBefore: a.cert.NotBefore.Add(-time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, secret.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate for %s: %w", id, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(secret)}), nil
}

// write puts what a gateway needs to be id into its directory, where swanctl
// looks for it.
func (a *Authority) write(dir, id string) error {
	cert, key, err := a.Issue(id, time.Time{})
	if err != nil {
		return err
	}
	return WriteFiles(dir, map[string][]byte{"x509ca/authority.pem": a.pem, "x509/" + id + ".pem": cert, "rsa/" + id + ".pem": key})
}

// WriteFiles puts files below a gateway's directory, for nobody else to read.
func WriteFiles(dir string, files map[string][]byte) error {
	for file, content := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
