package pki

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"
)

// serverLife is how long a controller's own certificate holds; a new one is made
// after half of it.
const serverLife = 30 * 24 * time.Hour

// Fingerprint is what an authority is known by: SHA-256 of its public key, in
// base64 without padding, 43 characters that are safe in file names and URLs.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Fingerprint is a's.
func (a *Authority) Fingerprint() string { return Fingerprint(a.Certificate) }

// ServerConfig returns the TLS settings of a controller. Clients may show a
// certificate; one that is shown must be a's.
func (a *Authority) ServerConfig() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate)
	own := &serverCertificate{authority: a}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"},
		ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.get(time.Now()) },
	}
}

// serverCertificate is a controller's certificate, renewed in time.
type serverCertificate struct {
	authority *Authority

	mu      sync.Mutex
	current *tls.Certificate
	renew   time.Time
}

func (s *serverCertificate) get(now time.Time) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && now.Before(s.renew) {
		return s.current, nil
	}
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	der, err := s.authority.server(key.Public(), now.Add(serverLife))
	if err != nil {
		return nil, err
	}
	// The authority goes along, for those who know it by its fingerprint only.
	s.current = &tls.Certificate{Certificate: [][]byte{der, s.authority.Certificate.Raw}, PrivateKey: key}
	s.renew = now.Add(serverLife / 2)
	return s.current, nil
}

// ClientConfig returns the TLS settings of who connects to a controller whose
// authority has the given fingerprint. Own, which may be nil, returns the
// certificate to show.
func ClientConfig(fingerprint string, own func() *tls.Certificate) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: ServerName,
		// The usual check knows no fingerprints; VerifyConnection does all of it.
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { return verify(s.PeerCertificates, fingerprint) },
	}
	if own != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if shown := own(); shown != nil {
				return shown, nil
			}
			return &tls.Certificate{}, nil
		}
	}
	return c
}

// ErrOtherAuthority is a controller of somebody else.
var ErrOtherAuthority = errors.New("this is not the controller whose fingerprint was given")

// verify judges a chain: its first certificate must be a controller's, signed by
// an authority with that fingerprint.
func verify(chain []*x509.Certificate, fingerprint string) error {
	for _, c := range chain {
		if subtle.ConstantTimeCompare([]byte(Fingerprint(c)), []byte(fingerprint)) == 0 || !c.IsCA {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(c)
		if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: ServerName}); err != nil {
			return fmt.Errorf("judge the controller's certificate: %w", err)
		}
		return nil
	}
	return ErrOtherAuthority
}

// LoadPair reads a private key and its certificate from one PEM text.
func LoadPair(text []byte) (*tls.Certificate, error) {
	key, certificates, err := parsePEM(text)
	switch {
	case err != nil:
		return nil, err
	case key == nil || len(certificates) == 0:
		return nil, errors.New("it must hold a private key and a certificate")
	case !key.PublicKey.Equal(certificates[0].PublicKey):
		return nil, errors.New("its certificate belongs to another key")
	}
	return &tls.Certificate{Certificate: [][]byte{certificates[0].Raw}, PrivateKey: key, Leaf: certificates[0]}, nil
}

// ParseKey reads a private key from PEM.
func ParseKey(text []byte) (*ecdsa.PrivateKey, error) {
	key, _, err := parsePEM(text)
	if err == nil && key == nil {
		err = errors.New("it must hold a private key")
	}
	return key, err
}
