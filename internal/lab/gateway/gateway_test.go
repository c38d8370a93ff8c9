package gateway

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A rekeyed tunnel, as strongSwan 5.9 lists it.
const listed = `list-sa event {accelerated {uniqueid=2 version=2 state=ESTABLISHED local-host=198.18.1.3 local-port=4500 remote-host=198.18.1.2 remote-port=4500 remote-id=sh initiator-spi=b27f responder-spi=9058 encr-alg=AES_GCM_16 child-sas {accelerated-1 {name=accelerated state=DELETED spi-in=43dcc006 spi-out=8e8e4d6b packets-in=7 packets-out=9 local-ts=[10.2.0.0/24 10.2.1.0/24] remote-ts=[10.1.0.0/24]} accelerated-2 {name=accelerated state=INSTALLED spi-in=7419432f spi-out=25c88e4d packets-in=1 packets-out=2 local-ts=[10.2.0.0/24]}}}}
list-sas reply {}
`

func TestSAsAreReadFromTheRawListing(t *testing.T) {
	sas, err := parseSAs(listed)
	if err != nil {
		t.Fatal(err)
	}
	want := []SA{{
		Connection: "accelerated", State: "ESTABLISHED", InitiatorSPI: "b27f", ResponderSPI: "9058",
		Local: "198.18.1.3[4500]", Remote: "198.18.1.2[4500]",
		Children: []Child{
			{State: "DELETED", SPIIn: "43dcc006", SPIOut: "8e8e4d6b", PacketsIn: 7, PacketsOut: 9},
			{State: "INSTALLED", SPIIn: "7419432f", SPIOut: "25c88e4d", PacketsIn: 1, PacketsOut: 2},
		},
	}}
	if !reflect.DeepEqual(sas, want) {
		t.Errorf("got  %+v\nwant %+v", sas, want)
	}
	if c, ok := sas[0].Installed(); !ok || c.SPIIn != "7419432f" {
		t.Errorf("the child that carries traffic: %+v %v", c, ok)
	}
	if sas, err := parseSAs("list-sas reply {}\n"); err != nil || len(sas) != 0 {
		t.Errorf("no SAs: got %v, %v", sas, err)
	}
}

func FuzzParseRaw(f *testing.F) {
	body, _, _ := strings.Cut(strings.TrimPrefix(listed, "list-sa event "), "\n")
	f.Add(body)
	f.Add("{a {b=[x")
	f.Fuzz(func(t *testing.T, s string) {
		if root, err := parseRaw(s); err == nil {
			_ = root.String()
		}
	})
}

func TestCertificatesTakeThePlaceOfThePSK(t *testing.T) {
	a, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	c := Connection{Name: "x", LocalID: "sh.x.lab", RemoteID: "se.x.lab", PSK: "secret-word", Authority: a, NoIKEFragments: true}
	conf := swanctlConf([]Connection{c})
	for _, want := range []string{"auth = pubkey", "certs = sh.x.lab.pem", "fragmentation = no"} {
		if !strings.Contains(conf, want) {
			t.Errorf("swanctl.conf lacks %q:\n%s", want, conf)
		}
	}
	if strings.Contains(conf, "psk") || strings.Contains(conf, "secret-word") {
		t.Errorf("swanctl.conf has a PSK:\n%s", conf)
	}
	dir := t.TempDir()
	if err := a.write(dir, c.LocalID); err != nil {
		t.Fatal(err)
	}
	read := func(file string) *pem.Block {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		return block
	}
	cert, err := x509.ParseCertificate(read("x509/sh.x.lab.pem").Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: "sh.x.lab"}); err != nil {
		t.Error(err)
	}
	if key, err := x509.ParsePKCS1PrivateKey(read("rsa/sh.x.lab.pem").Bytes); err != nil || !key.PublicKey.Equal(cert.PublicKey) {
		t.Errorf("the key is not the certificate's: %v", err)
	}
}

func TestTheTwoTunnelsDifferByPeerAndNetsOnly(t *testing.T) {
	connection := func(name, peer, local, remote string) Connection {
		return Connection{
			Name: name, Local: netip.MustParseAddr("198.18.1.2"), Remote: netip.MustParseAddr(peer),
			LocalID: "sh." + name, RemoteID: "se." + name, PSK: `quo"te`,
			LocalNets: []netip.Prefix{netip.MustParsePrefix(local)}, RemoteNets: []netip.Prefix{netip.MustParsePrefix(remote)},
			Timers: Timers{ChildRekey: 8 * time.Second},
		}
	}
	direct := swanctlConf([]Connection{connection("x", "198.19.1.2", "10.1.0.0/24", "10.2.0.0/24")})
	other := swanctlConf([]Connection{connection("x", "203.0.113.10", "10.1.1.0/24", "10.2.1.0/24")})
	undone := strings.NewReplacer("203.0.113.10", "198.19.1.2", "10.1.1.0", "10.1.0.0", "10.2.1.0", "10.2.0.0").Replace(other)
	if undone != direct {
		t.Errorf("more than the peer and the nets differs:\n%s\n%s", direct, other)
	}
	for _, want := range []string{"rekey_time = 8s", "dpd_delay = 10s", `secret = "quo\"te"`, "mobike = no", "encap = yes"} {
		if !strings.Contains(direct, want) {
			t.Errorf("swanctl.conf lacks %q", want)
		}
	}
}
