package agentlink

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"connectrpc.com/connect"

	agentv1 "causeway/api/gen/causeway/agent/v1"
	"causeway/api/gen/causeway/agent/v1/agentv1connect"
	"causeway/internal/pki"
	"causeway/internal/wholefile"
)

// Credentials are what an agent keeps of its enrolment, in a folder of its own:
//
//	agent.pem    its key and certificate
//	agent.json   its PoP's name, the controller's fingerprint, and what it has of its snapshot
type Credentials struct {
	PoP         string
	Fingerprint string

	dir string

	mu   sync.Mutex // guards what is below
	pair *tls.Certificate
	have Have
}

// kept is agent.json.
type kept struct {
	PoP         string `json:"pop"`
	Fingerprint string `json:"controller_fingerprint"`
	Version     uint64 `json:"snapshot_version,omitempty"`
	Digest      string `json:"snapshot_digest,omitempty"`
}

// LoadCredentials reads what an enrolment left in dir. The error is
// fs.ErrNotExist when there was none.
func LoadCredentials(dir string) (*Credentials, error) {
	text, err := os.ReadFile(filepath.Join(dir, "agent.json"))
	if err != nil {
		return nil, fmt.Errorf("read the agent's credentials: %w", err)
	}
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		return nil, fmt.Errorf("read the agent's credentials: %s: %w", filepath.Join(dir, "agent.json"), err)
	}
	text, err = os.ReadFile(filepath.Join(dir, "agent.pem"))
	if err != nil {
		return nil, fmt.Errorf("read the agent's credentials: %w", err)
	}
	pair, err := pki.LoadPair(text)
	if err != nil {
		return nil, fmt.Errorf("read the agent's credentials: %s: %w", filepath.Join(dir, "agent.pem"), err)
	}
	return &Credentials{PoP: k.PoP, Fingerprint: k.Fingerprint, dir: dir, pair: pair, have: Have{k.Version, k.Digest}}, nil
}

// Enrolment is how a machine asks to become a PoP.
type Enrolment struct {
	Controllers []string
	Token       string // the text of 'causeway token create'
	PublicKey   string // the overlay key, base64
	Dir         string // where the credentials are kept; made if it is not there
	Log         *slog.Logger
}

// Enrol makes this machine a PoP. It tries until a controller answers or ctx
// ends; a refusal is an answer. The agent's key is on disk before it is asked
// for a certificate, so an enrolment whose answer got lost can be repeated.
func Enrol(ctx context.Context, e Enrolment) (*Credentials, error) {
	secret, fingerprint, err := SplitToken(e.Token)
	if err != nil {
		return nil, err
	}
	if err := checkAddresses(e.Controllers); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(e.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	key, err := e.key(secret)
	if err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	request, err := pki.Request(key)
	if err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	message := &agentv1.EnrolRequest{Token: secret, CertificateRequest: request, PublicKey: e.PublicKey}
	for attempt := 0; ; attempt++ {
		address := e.Controllers[attempt%len(e.Controllers)]
		answer, err := enrolAt(ctx, address, fingerprint, message)
		switch {
		case err == nil:
			c := &Credentials{PoP: answer.GetPop(), Fingerprint: fingerprint, dir: e.Dir}
			if err := c.replace(key, answer.GetCertificate()); err != nil {
				return nil, fmt.Errorf("enrol: %w", err)
			}
			if err := c.keepHave(Have{}); err != nil {
				return nil, fmt.Errorf("enrol: %w", err)
			}
			_ = os.Remove(filepath.Join(e.Dir, "enrolling.pem"))
			return c, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("enrol: %w", ctx.Err())
		case final(err):
			return nil, fmt.Errorf("enrol at %s: %w", address, err)
		}
		e.Log.Warn("the controller does not answer yet; trying again", "controller", address, "reason", reason(err))
		pause(ctx, attempt)
	}
}

// final reports whether asking again would bring the same answer.
func final(err error) bool {
	if errors.Is(err, pki.ErrOtherAuthority) {
		return true
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnauthenticated, connect.CodeInvalidArgument, connect.CodePermissionDenied, connect.CodeNotFound, connect.CodeFailedPrecondition, connect.CodeUnimplemented:
		return true
	}
	return false
}

func enrolAt(ctx context.Context, address, fingerprint string, m *agentv1.EnrolRequest) (*agentv1.EnrolResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	transport := newTransport(pki.ClientConfig(fingerprint, nil))
	defer transport.CloseIdleConnections()
	answer, err := agentv1connect.NewEnrolmentServiceClient(&http.Client{Transport: transport}, address).Enrol(ctx, connect.NewRequest(m))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}

// key returns the key of this enrolment: that of an attempt before with the same
// token, if there was one.
func (e Enrolment) key(secret string) (*ecdsa.PrivateKey, error) {
	file := filepath.Join(e.Dir, "enrolling.pem")
	mark := []byte("# " + TokenMark(secret) + "\n")
	if text, err := os.ReadFile(file); err == nil && len(text) > len(mark) && string(text[:len(mark)]) == string(mark) {
		if key, err := pki.ParseKey(text); err == nil {
			return key, nil
		}
	}
	key, err := pki.NewKey()
	if err != nil {
		return nil, err
	}
	return key, wholefile.Write(file, append(mark, pki.EncodeKey(key)...), 0o600)
}

// Certificate returns what to show.
func (c *Credentials) Certificate() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair
}

// Have returns what the agent was last given.
func (c *Credentials) Have() Have {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.have
}

// Key returns the agent's private key.
func (c *Credentials) Key() *ecdsa.PrivateKey { return c.Certificate().PrivateKey.(*ecdsa.PrivateKey) }

// Replace keeps another certificate, in DER, for the same key.
func (c *Credentials) Replace(certificate []byte) error { return c.replace(c.Key(), certificate) }

func (c *Credentials) replace(key *ecdsa.PrivateKey, certificate []byte) error {
	text := append(pki.EncodeKey(key), pki.EncodeCertificate(certificate)...)
	pair, err := pki.LoadPair(text)
	if err != nil {
		return fmt.Errorf("the certificate that the controller gave cannot be used: %w", err)
	}
	if err := wholefile.Write(filepath.Join(c.dir, "agent.pem"), text, 0o600); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pair = pair
	return nil
}

func (c *Credentials) keepHave(h Have) error {
	c.mu.Lock()
	c.have = h
	c.mu.Unlock()
	text, err := json.MarshalIndent(kept{c.PoP, c.Fingerprint, h.Version, h.Digest}, "", "  ")
	if err != nil {
		return err
	}
	return wholefile.Write(filepath.Join(c.dir, "agent.json"), append(text, '\n'), 0o600)
}

// IsEnrolled reports whether dir holds credentials.
func IsEnrolled(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "agent.json"))
	return !errors.Is(err, fs.ErrNotExist)
}
