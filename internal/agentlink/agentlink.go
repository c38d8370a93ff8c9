// Package agentlink is both ends of the connection between a controller and its
// agents: enrolment by a one-time token, certificates and their renewal,
// snapshots down, reports up. It moves them and knows who is at the other end;
// what is in a snapshot, who may enrol and which certificates are good is the
// controller's to say (interface Controller), and what to do with a snapshot
// the agent's (interface Agent).
//
// The link is made for bad paths: TCP at 50 % ping loss still gets everything
// through, but a kilobyte may take seconds. So nothing is given up before half
// a minute of silence, and everything can be asked for again: a snapshot is
// whole and has a digest, a report replaces the one before, an enrolment that is
// repeated with the same key gets the same answer.
package agentlink

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"time"
)

// Times of the link. Every one of them bears several lost packets in a row.
const (
	beat        = 15 * time.Second // between signs of life on a stream
	silence     = 60 * time.Second // without any, the stream is given up
	callTimeout = 60 * time.Second // of one request
	pingAfter   = 20 * time.Second // of silence on a connection
	pingTimeout = 30 * time.Second // for the answer
	maxRetry    = 10 * time.Second // between attempts to get through
	maxMessage  = 32 << 20         // bytes of one message
	maxEnrol    = 64 << 10         // bytes of what a machine that nobody knows may send
)

// CertificateLife is how long an agent's certificate holds. It is renewed when a
// third of it is over.
const CertificateLife = 30 * 24 * time.Hour

// Machine is one that wants to become a PoP.
type Machine struct {
	Token     string           // the one-time token's secret
	PublicKey string           // the overlay key, base64
	Key       crypto.PublicKey // which it has proved to have
}

// Have is what an agent has of its snapshot.
type Have struct {
	Version uint64
	Digest  string
}

// Update is a snapshot for an agent.
type Update struct {
	Version  uint64
	Digest   string
	Snapshot []byte // in its file form
}

// Report is what an agent tells.
type Report struct {
	Applied  Have   // what runs
	Refused  Have   // the newest, when it was refused; zero: it was not
	Reason   string // why
	JSON     []byte // all of it, as `causeway pop status -o json`; may be empty
	Build    string
	Sessions int
}

// Controller is what the server end works for. Errors it returns are told to
// the agent as they are.
type Controller interface {
	// Enrol uses the token up and returns the machine's PoP and its certificate
	// in DER. The same machine asking again with the same token gets an answer again.
	Enrol(ctx context.Context, m Machine) (pop string, certificate []byte, err error)
	// Good returns nil while a PoP's certificate, by its serial number in
	// hexadecimal, may be used.
	Good(ctx context.Context, pop, serial string) error
	// Follow calls each for the agent's snapshot, at first unless it is what the
	// agent has, and then each time it changes, until ctx ends, each fails, or
	// the certificate is good no more, and returns why.
	Follow(ctx context.Context, pop, serial string, have Have, each func(Update) error) error
	// Report takes an agent's report.
	Report(ctx context.Context, pop string, r Report) error
	// Renew returns a certificate, in DER, that lasts longer. It keeps key and
	// serial number, so that an answer that gets lost locks nobody out.
	Renew(ctx context.Context, pop string, serial *big.Int, key crypto.PublicKey) (certificate []byte, err error)
}

// Agent is what the client end works for.
type Agent interface {
	// Deliver takes a snapshot. It returns when the snapshot runs or is refused,
	// which of them Report tells. An error says that the agent has nothing of it
	// that would outlive its process: it must be sent again.
	Deliver(ctx context.Context, u Update) error
	// Report says how the agent is now.
	Report(ctx context.Context) Report
	// Changed can be received from whenever a report should be sent at once.
	Changed() <-chan struct{}
}

// JoinToken returns the text that a machine is given: the token's secret, and
// the fingerprint by which it knows the controller.
func JoinToken(secret, fingerprint string) string { return secret + "." + fingerprint }

// SplitToken takes such a text apart.
func SplitToken(text string) (secret, fingerprint string, err error) {
	text = strings.TrimSpace(text)
	at := strings.LastIndexByte(text, '.')
	if at <= 0 || len(text)-at-1 != 43 {
		return "", "", errors.New("this is no token: it must be the line that 'causeway token create' printed, a secret, a dot and 43 more characters")
	}
	return text[:at], text[at+1:], nil
}

// TokenMark tells tokens apart without giving them away.
func TokenMark(secret string) string {
	sum := sha256.Sum256([]byte("causeway enrolment " + secret))
	return hex.EncodeToString(sum[:8])
}
