package service

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"causeway/internal/resource"
	"causeway/internal/vpn"
)

// authority signs certificates of a test.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	return authority{key, must(x509.ParseCertificate(der))(t), asPEM("CERTIFICATE", der)}
}

// issue returns a certificate for a domain and its key, both PEM.
func (a authority) issue(t *testing.T, domain string) (certificate string, private vpn.Secret) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: domain}, DNSNames: []string{domain}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	der := must(x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key))(t)
	return asPEM("CERTIFICATE", der), vpn.Secret(asPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))(t)))
}

func asPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestCertificatesInPlaceOfKeys(t *testing.T) {
	b := newBench(t).vpn()
	b.enrolGateway()
	ca := newAuthority(t)
	certificate, key := ca.issue(t, "sha.example.com")
	c := connection("c", "10.3.0.0/16")
	c.Tunnels = []resource.IPsecTunnel{{LocalID: "sha.example.com", RemoteID: "sel.example.com", Auth: vpn.Auth{Method: vpn.Certificate, Certificate: certificate, PrivateKey: key, CA: ca.pem}}}
	made := must(b.CreateIPsecConnection(ctx, operator, c))(t)
	if !resource.IsSealed(made.Tunnels[0].Auth.PrivateKey) || made.Tunnels[0].Auth.PSK != "" {
		t.Errorf("it was made with %+v", made.Tunnels[0].Auth)
	}
	if told := b.told("c").Tunnels[0].Auth; told.PrivateKey != key || told.Certificate != certificate {
		t.Error("the gateway is told another key")
	}
	c.Title, c.Tunnels[0].Auth.PrivateKey = "renamed", vpn.Mask
	must(b.Apply(ctx, operator, []resource.Object{&c}, nil))(t)
	if b.told("c").Tunnels[0].Auth.PrivateKey != key {
		t.Error("a mask does not keep the private key")
	}
	_, other := ca.issue(t, "sha.example.com")
	for name, change := range map[string]func(*vpn.Auth){
		"another certificate's key": func(a *vpn.Auth) { a.PrivateKey = other },
		"no authority":              func(a *vpn.Auth) { a.CA = "" },
		"no PEM at all":             func(a *vpn.Auth) { a.PrivateKey = "canary" },
	} {
		_, err := b.UpdateIPsecConnection(ctx, operator, "c", func(c *resource.IPsecConnection) error {
			c.Tunnels = append([]resource.IPsecTunnel(nil), c.Tunnels...)
			change(&c.Tunnels[0].Auth)
			return nil
		})
		e := wantCode(t, err, resource.CodeInvalidField)
		if !strings.HasPrefix(e.Field, "tunnels[0].auth.") || strings.Contains(e.Error(), "canary") || strings.Contains(e.Error(), "PRIVATE KEY-----\n") {
			t.Errorf("%s: %v", name, e)
		}
	}
	_, err := b.UpdateIPsecConnection(ctx, operator, "c", func(c *resource.IPsecConnection) error {
		c.Tunnels = append([]resource.IPsecTunnel(nil), c.Tunnels...)
		c.Tunnels[0].LocalID = "other.example.com"
		return nil
	})
	wantCode(t, err, resource.CodeInvalidField)
}
