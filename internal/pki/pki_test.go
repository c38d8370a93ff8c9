package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func authority(t *testing.T) *Authority {
	t.Helper()
	a, err := LoadAuthority(filepath.Join(t.TempDir(), "authority.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// shake has a client and a server shake hands, and returns what each made of it.
func shake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			done <- err
			return
		}
		defer conn.Close()
		s := tls.Server(conn, server)
		err = s.Handshake()
		state = s.ConnectionState()
		if err == nil {
			_, err = s.Write([]byte("!"))
		}
		done <- err
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := tls.Client(conn, client)
	if clientErr = c.Handshake(); clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1)) // in TLS 1.3 a refused certificate shows here
	} else {
		conn.Close()
	}
	return state, <-done, clientErr
}

// agent is a certificate for an agent.
func agent(t *testing.T, a *Authority, notAfter time.Time) *tls.Certificate {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := a.Agent("seoul", key.Public(), big.NewInt(77), notAfter)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := LoadPair(append(EncodeKey(key), EncodeCertificate(der)...))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestBothEndsKnowOneAnother(t *testing.T) {
	a := authority(t)
	pair := agent(t, a, time.Now().Add(time.Hour))
	state, serverErr, clientErr := shake(t, a.ServerConfig(), ClientConfig(a.Fingerprint(), func() *tls.Certificate { return pair }))
	if serverErr != nil || clientErr != nil {
		t.Fatal(serverErr, clientErr)
	}
	if len(state.VerifiedChains) != 1 || state.PeerCertificates[0].Subject.CommonName != "seoul" {
		t.Errorf("the server sees %v", state.PeerCertificates)
	}
	state, serverErr, clientErr = shake(t, a.ServerConfig(), ClientConfig(a.Fingerprint(), nil))
	if serverErr != nil || clientErr != nil || len(state.VerifiedChains) != 0 {
		t.Errorf("without a certificate: %v, %v, %d chains", serverErr, clientErr, len(state.VerifiedChains))
	}
}

func TestCertificatesThatAreNotAnAgentsAreRefused(t *testing.T) {
	a := authority(t)
	fromServer := &serverCertificate{authority: a}
	server, err := fromServer.get(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string]*tls.Certificate{
		"another authority's": agent(t, authority(t), time.Now().Add(time.Hour)),
		"one that is over":    agent(t, a, time.Now().Add(-time.Minute)),
		"a controller's":      server,
	} {
		if _, serverErr, _ := shake(t, a.ServerConfig(), ClientConfig(a.Fingerprint(), func() *tls.Certificate { return pair })); serverErr == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestControllersThatAreNoneAreRefused(t *testing.T) {
	a, other := authority(t), authority(t)
	if _, _, err := shake(t, other.ServerConfig(), ClientConfig(a.Fingerprint(), nil)); !errors.Is(err, ErrOtherAuthority) {
		t.Errorf("another controller gives %v", err)
	}
	// An agent that pretends to be a controller, with its authority beside it.
	pair := agent(t, a, time.Now().Add(time.Hour))
	pair.Certificate = append(pair.Certificate, a.Certificate.Raw)
	if _, _, err := shake(t, &tls.Config{Certificates: []tls.Certificate{*pair}}, ClientConfig(a.Fingerprint(), nil)); err == nil {
		t.Error("an agent is taken for a controller")
	}
	// Somebody else's certificate, with our authority, which is public, beside it.
	stranger := &serverCertificate{authority: other}
	forged, err := stranger.get(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	forged.Certificate[1] = a.Certificate.Raw
	if _, _, err := shake(t, &tls.Config{Certificates: []tls.Certificate{*forged}}, ClientConfig(a.Fingerprint(), nil)); err == nil {
		t.Error("a certificate is accepted that the authority beside it did not sign")
	}
}

func TestTheServersCertificateIsRenewedAfterHalfItsLife(t *testing.T) {
	s := &serverCertificate{authority: authority(t)}
	now := time.Now()
	first, err := s.get(now)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := s.get(now.Add(serverLife/2 - time.Second)); again != first {
		t.Error("it is renewed too early")
	}
	later, err := s.get(now.Add(serverLife/2 + time.Second))
	if err != nil || later == first {
		t.Errorf("it is not renewed: %v", err)
	}
}

func TestOfSeveralProcessesThatMakeAnAuthorityAllHaveTheSame(t *testing.T) {
	file := filepath.Join(t.TempDir(), "authority.pem")
	prints := make(chan string, 8)
	var all sync.WaitGroup
	for range cap(prints) {
		all.Go(func() {
			a, err := LoadAuthority(file)
			if err != nil {
				t.Error(err)
				prints <- ""
				return
			}
			prints <- a.Fingerprint()
		})
	}
	all.Wait()
	first := <-prints
	for range cap(prints) - 1 {
		if other := <-prints; other != first {
			t.Errorf("fingerprints %s and %s", first, other)
		}
	}
}

func TestAnAuthorityThatOthersMayReadOrThatIsNoneIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "authority.pem")
	if _, err := LoadAuthority(file); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAuthority(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("with mode 0644: %v", err)
	}
	pair := agent(t, authority(t), time.Now().Add(time.Hour))
	for name, text := range map[string][]byte{
		"empty":               nil,
		"a certificate alone": whole[strings.Index(string(whole), "-----BEGIN CERTIFICATE"):],
		"an agent's":          append(EncodeKey(mustKey(t)), EncodeCertificate(pair.Certificate[0])...),
	} {
		if _, err := parseAuthority(text); err == nil {
			t.Errorf("%s is taken for an authority", name)
		}
	}
}

func TestARequestProvesItsKey(t *testing.T) {
	key := mustKey(t)
	der, err := Request(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ReadRequest(der)
	if err != nil || !key.PublicKey.Equal(public) {
		t.Errorf("got %v, %v", public, err)
	}
	der[len(der)-1] ^= 1
	if _, err := ReadRequest(der); err == nil {
		t.Error("a request with a wrong signature is accepted")
	}
}

func FuzzReadRequest(f *testing.F) {
	key, _ := NewKey()
	der, _ := Request(key)
	f.Add(der)
	f.Fuzz(func(_ *testing.T, der []byte) { _, _ = ReadRequest(der) })
}

func FuzzParsePEM(f *testing.F) {
	key, _ := NewKey()
	f.Add(EncodeKey(key))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = LoadPair(text) })
}

func mustKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
