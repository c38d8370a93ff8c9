package etcdstore

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"

	"causeway/internal/control/store"
)

// authority signs certificates of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (a *authority) sign(name string, isCA bool) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: isCA, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := a.cert, a.key
	if isCA {
		parent, signer = template, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return raw, key
}

// files writes a certificate and its key as PEM files.
func (a *authority) files(dir, name string) (cert, key string) {
	a.t.Helper()
	raw, private := a.sign(name, false)
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	writePEM(a.t, cert, "CERTIFICATE", raw)
	writePEM(a.t, key, "EC PRIVATE KEY", encoded)
	return cert, key
}

func writePEM(t *testing.T, file, kind string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAClusterBehindTLSTakesThoseItKnows(t *testing.T) {
	dir := t.TempDir()
	ca := &authority{t: t}
	raw, key := ca.sign("ca", true)
	ca.key = key
	var err error
	if ca.cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	caFile := filepath.Join(dir, "ca.pem")
	writePEM(t, caFile, "CERTIFICATE", raw)
	serverCert, serverKey := ca.files(dir, "server")
	clientCert, clientKey := ca.files(dir, "client")

	endpoint := strings.Replace(freeURL(t), "http:", "https:", 1)
	client, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := url.Parse(freeURL(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialCluster = "m", filepath.Join(dir, "m"), "m="+peer.String()
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(quiet(nil, nil))
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	cfg.ClientTLSInfo = transport.TLSInfo{CertFile: serverCert, KeyFile: serverKey, TrustedCAFile: caFile, ClientCertAuth: true}
	cfg.EnableGRPCGateway = false
	member, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(member.Close)
	<-member.Server.ReadyNotify()

	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	own, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	known := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}
	s, err := Dial(ctx, External{Endpoints: []string{endpoint}, TLS: known, Prefix: "/shared/"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Commit(ctx, store.Txn{Do: []store.Write{{Key: "a"}}}); err != nil {
		t.Error(err)
	}
	for name, config := range map[string]*tls.Config{
		"a client without a certificate":       {RootCAs: roots, MinVersion: tls.VersionTLS12},
		"a server that the client cannot know": {RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12},
	} {
		within, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if s, err := Dial(within, External{Endpoints: []string{endpoint}, TLS: config}); err == nil {
			t.Errorf("%s is let in", name)
			s.Close()
		} else if !strings.Contains(err.Error(), endpoint) {
			t.Errorf("%s: the error does not say where: %v", name, err)
		}
	}
	if _, err := Dial(ctx, External{}); err == nil {
		t.Error("no endpoint is enough")
	}
}
