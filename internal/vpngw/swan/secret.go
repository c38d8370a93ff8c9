package swan

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"causeway/internal/vpn"
)

// Credentials are the secrets and certificates that tunnels prove themselves with.
type Credentials struct {
	Shared       []SharedKey
	Certificates []string     // PEM, any number in each
	Keys         []vpn.Secret // PEM
}

// SharedKey is a pre-shared key and whose it is.
type SharedKey struct {
	ID     string // by which it is replaced and unloaded
	Key    vpn.Secret
	Owners []string // identities, of both ends
}

// CredentialsOf gathers what tunnels need. IKEv1 in main mode finds a pre-shared
// key by addresses, so these own it there as well.
func CredentialsOf(tunnels []Tunnel) Credentials {
	var c Credentials
	for _, t := range tunnels {
		if t.Auth.Method == vpn.Certificate {
			c.Certificates = append(c.Certificates, t.Auth.Certificate, t.Auth.CA)
			c.Keys = append(c.Keys, t.Auth.PrivateKey)
			continue
		}
		k := SharedKey{ID: t.Name, Key: t.Auth.PSK, Owners: []string{t.Local.ID, t.Remote.ID}}
		if t.IKE.Version == 1 {
			k.Owners = append(k.Owners, address(t.Remote))
		}
		c.Shared = append(c.Shared, k)
	}
	return c
}

// Digest changes when anything in c does. It gives no secret away.
func (c Credentials) Digest() string {
	h := sha256.New()
	for _, k := range c.Shared {
		fmt.Fprintf(h, "shared %q %q %q\n", k.ID, k.Key.Reveal(), k.Owners)
	}
	h.Write([]byte(c.publicKeys()))
	return hex.EncodeToString(h.Sum(nil))
}

func (c Credentials) publicKeys() string {
	var b strings.Builder
	for _, s := range c.Certificates {
		fmt.Fprintf(&b, "certificate %q\n", s)
	}
	for _, k := range c.Keys {
		fmt.Fprintf(&b, "key %q\n", k.Reveal())
	}
	return b.String()
}

// LoadCredentials makes charon know exactly c. Associations that are up stay as
// they are. Where certificates or private keys changed against before, all is
// forgotten and loaded anew, since charon cannot forget a single certificate.
func (c Client) LoadCredentials(ctx context.Context, before, now Credentials) error {
	if before.publicKeys() != now.publicKeys() {
		if _, err := c.call(ctx, "clear-creds", nil); err != nil {
			return err
		}
	}
	for _, text := range now.Certificates {
		for _, der := range certificates(text) {
			flag := "NONE"
			if cert, err := x509.ParseCertificate([]byte(der)); err == nil && cert.IsCA {
				flag = "CA"
			}
			if _, err := c.call(ctx, "load-cert", message("type", "X509", "flag", flag, "data", der)); err != nil {
				return fmt.Errorf("load a certificate: %w", err)
			}
		}
	}
	for _, key := range now.Keys {
		if _, err := c.call(ctx, "load-key", message("type", "any", "data", key.Reveal())); err != nil {
			return fmt.Errorf("load a private key: %w", err)
		}
	}
	for _, k := range now.Shared {
		if _, err := c.call(ctx, "load-shared", message("id", k.ID, "type", "IKE", "data", k.Key.Reveal(), "owners", k.Owners)); err != nil {
			return fmt.Errorf("load the pre-shared key of %s: %w", k.ID, err)
		}
	}
	return c.unloadShared(ctx, now)
}

// unloadShared removes keys that are no more wanted, whoever loaded them.
func (c Client) unloadShared(ctx context.Context, now Credentials) error {
	m, err := c.call(ctx, "get-shared", nil)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range texts(m, "keys") {
		if !slices.ContainsFunc(now.Shared, func(k SharedKey) bool { return k.ID == id }) {
			_, err := c.call(ctx, "unload-shared", message("id", id))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// certificates returns the certificates in a PEM text, in DER, as charon takes them.
func certificates(text string) []string {
	var all []string
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		if block.Type == "CERTIFICATE" {
			all = append(all, string(block.Bytes))
		}
	}
}

func firstCertificate(text string) []string {
	all := certificates(text)
	return all[:min(1, len(all))]
}
