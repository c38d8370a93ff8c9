// Package pki is the controller's own certificate authority and what both ends
// of its connections need of it. The authority is one key pair in a file.
// Whoever connects to a controller knows the authority by its fingerprint, so
// no names, addresses or public authorities are needed: the controller proves
// that it has a certificate of that authority, wherever it is reached.
//
// Who may have a certificate, and which ones are good no more, is left to others.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

const (
	// ServerName is what every controller's certificate says.
	ServerName = "controller.causeway.internal"

	authorityLife = 20 * 365 * 24 * time.Hour
	skew          = 10 * time.Minute // that clocks may be apart
)

// Authority signs certificates.
type Authority struct {
	key         *ecdsa.PrivateKey
	Certificate *x509.Certificate
}

// LoadAuthority reads the authority in file, or makes one when there is none.
// The file is readable by its owner only; several controllers on one store need
// copies of the same one.
func LoadAuthority(file string) (*Authority, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		text, err = makeAuthority(file)
	}
	if err != nil {
		return nil, fmt.Errorf("load the certificate authority: %w", err)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("load the certificate authority: others may read %s (mode %04o); run: chmod 600 %s", file, info.Mode().Perm(), file)
	}
	a, err := parseAuthority(text)
	if err != nil {
		return nil, fmt.Errorf("load the certificate authority from %s: %w", file, err)
	}
	return a, nil
}

func parseAuthority(text []byte) (*Authority, error) {
	key, certificates, err := parsePEM(text)
	switch {
	case err != nil:
		return nil, err
	case key == nil || len(certificates) != 1:
		return nil, errors.New("it must hold one private key and one certificate")
	case !certificates[0].IsCA:
		return nil, errors.New("its certificate is not an authority's")
	case !key.PublicKey.Equal(certificates[0].PublicKey):
		return nil, errors.New("its certificate belongs to another key")
	}
	return &Authority{key: key, Certificate: certificates[0]}, nil
}

// makeAuthority writes a new authority so that of several processes doing so at
// once all end up with the same one.
func makeAuthority(file string) ([]byte, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Causeway"},
		NotBefore: time.Now().Add(-skew), NotAfter: time.Now().Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	text := append(EncodeKey(key), EncodeCertificate(der)...)
	temporary, err := os.CreateTemp(filepath.Dir(file), ".ca-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(text)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(temporary.Name(), file); errors.Is(err, os.ErrExist) {
		return os.ReadFile(file)
	} else if err != nil {
		return nil, err
	}
	return text, nil
}

// Agent returns, in DER, a certificate for the agent of the PoP of that name
// with that public key.
func (a *Authority) Agent(pop string, public crypto.PublicKey, serial *big.Int, notAfter time.Time) ([]byte, error) {
	return a.sign(&x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: pop, OrganizationalUnit: []string{"pop"}}, NotAfter: notAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, public)
}

// server returns a certificate for a controller.
func (a *Authority) server(public crypto.PublicKey, notAfter time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return a.sign(&x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: ServerName}, DNSNames: []string{ServerName}, NotAfter: notAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, public)
}

func (a *Authority) sign(template *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	template.NotBefore = time.Now().Add(-skew)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return der, nil
}

// NewKey makes a private key of the one kind that is used here: ECDSA P-256.
func NewKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// Request returns a certificate request, PKCS #10 in DER, that proves possession of key.
func Request(key *ecdsa.PrivateKey) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
}

// ReadRequest returns the public key of a certificate request whose signature holds.
func ReadRequest(der []byte) (crypto.PublicKey, error) {
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, errors.New("the certificate request cannot be read")
	}
	if request.CheckSignature() != nil {
		return nil, errors.New("the certificate request is not signed by its own key")
	}
	if _, ok := request.PublicKey.(*ecdsa.PublicKey); !ok {
		return nil, errors.New("the certificate request's key is not an ECDSA one")
	}
	return request.PublicKey, nil
}

// EncodeKey returns key as PEM.
func EncodeKey(key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err) // of a key that we made
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// EncodeCertificate returns a certificate as PEM.
func EncodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// parsePEM reads a private key and certificates, in any order.
func parsePEM(text []byte) (key *ecdsa.PrivateKey, certificates []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return key, certificates, nil
		}
		switch block.Type {
		case "PRIVATE KEY":
			parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			ec, ok := parsed.(*ecdsa.PrivateKey)
			if !ok {
				return nil, nil, fmt.Errorf("its key is a %T, not an ECDSA one", parsed)
			}
			key = ec
		case "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			certificates = append(certificates, c)
		}
	}
}

// controllerUnit is what stands in the certificates that controllers show one another.
const controllerUnit = "controller"

// Peer returns a certificate, with its key, by which a controller is known to
// the others that have the same authority. It holds for a day.
func (a *Authority) Peer() (*tls.Certificate, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	der, err := a.sign(&x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: controllerUnit, OrganizationalUnit: []string{controllerUnit}}, NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key.Public())
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// IsPeer reports whether a connection to a controller comes from another one:
// it showed what Peer makes.
func IsPeer(s *tls.ConnectionState) bool {
	if s == nil || len(s.VerifiedChains) == 0 {
		return false
	}
	unit := s.PeerCertificates[0].Subject.OrganizationalUnit
	return len(unit) == 1 && unit[0] == controllerUnit
}
