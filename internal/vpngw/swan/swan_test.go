package swan

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"causeway/internal/vpn"
	"causeway/internal/vpngw/swan/swantest"
)

func serve(t *testing.T) (*swantest.Server, Client) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "vici")
	s, err := swantest.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, Client{Socket: socket}
}

func good(name string) Tunnel {
	return Tunnel{Tunnel: vpn.Tunnel{
		Name: name, Local: vpn.End{Address: netip.MustParseAddr("198.18.1.2"), ID: "sh.lab"}, Remote: vpn.End{Address: netip.MustParseAddr("203.0.113.10"), ID: "se.lab"},
		Auth: vpn.Auth{PSK: "canary-0123456789"}, NATT: true, Accelerated: true,
	}.WithDefaults(), LocalNets: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24")}, RemoteNets: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/24")}, Reqid: 7}
}

func TestEveryAssociationIsListed(t *testing.T) {
	s, c := serve(t)
	s.Change(func(s *swantest.Server) {
		for i := range 300 {
			s.SAs = append(s.SAs, swantest.SA(fmt.Sprint("t", i), i+1, "ESTABLISHED", "INSTALLED", "REKEYED"))
		}
	})
	for range 20 { // the answer must never overtake an entry
		all, err := c.SAs(t.Context())
		if err != nil || len(all) != 300 {
			t.Fatalf("%d listed, %v", len(all), err)
		}
	}
	all, _ := c.SAs(t.Context())
	want := SA{Tunnel: "t4", ID: 5, Version: 2, State: "ESTABLISHED", Local: netip.MustParseAddrPort("198.18.1.2:4500"), Remote: netip.MustParseAddrPort("203.0.113.10:4500"),
		LocalID: "sh.lab", RemoteID: "se.lab", Initiator: true, InitiatorSPI: "aa", Proposal: "AES_GCM_16-128/PRF_HMAC_SHA2_256/ECP_256", Established: 60, RekeyIn: 3000}
	got := all[4]
	children := got.Children
	got.Children = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if len(children) != 2 || children[0].ID != 50 || !children[0].Up() || children[1].Up() || children[0].PacketsIn != 7 || children[0].IdleIn != -1 || !children[0].Encap {
		t.Errorf("children %+v", children)
	}
}

func TestACharonThatHangsIsNotWaitedFor(t *testing.T) {
	s, c := serve(t)
	s.Change(func(s *swantest.Server) { s.Silent = true })
	for name, call := range map[string]func(context.Context) error{
		"a command": func(ctx context.Context) error { _, err := c.Version(ctx); return err },
		"a list":    func(ctx context.Context) error { _, err := c.SAs(ctx); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	if _, err := (Client{Socket: "/nonexistent"}).Version(t.Context()); err == nil {
		t.Error("a socket that is not there answered")
	}
}

func TestATunnelIsToldWithEverythingAGatewayNeeds(t *testing.T) {
	s, c := serve(t)
	tunnel := good("seoul")
	tunnel.DPD, tunnel.Shared, tunnel.IfID = time.Second, true, 9
	if err := c.Load(t.Context(), tunnel); err != nil {
		t.Fatal(err)
	}
	s.Change(func(s *swantest.Server) {
		conn := s.Conns["seoul"]
		for path, want := range map[string]string{
			"version": "2", "encap": "yes", "mobike": "no", "fragmentation": "yes", "keyingtries": "0", "unique": "never", "dpd_delay": "1s", "childless": "allow",
			"local id": "sh.lab", "local auth": "psk", "remote id": "se.lab", "rekey_time": "73440s", "over_time": "12960s", "rand_time": "8640s",
			"children seoul reqid": "7", "children seoul replay_window": "1024", "children seoul if_id_in": "9", "children seoul rekey_time": "3060s", "children seoul life_time": "3600s",
			"children seoul dpd_action": "restart", "children seoul close_action": "none", "children seoul start_action": "none", "children seoul mode": "tunnel",
		} {
			if got := conn.Text(strings.Fields(path)...); got != want {
				t.Errorf("%s = %q, want %q", path, got, want)
			}
		}
		for path, want := range map[string]string{"proposals": "[aes256-sha256-modp2048]", "remote_addrs": "[203.0.113.10]", "children seoul esp_proposals": "[aes256-sha256-modp2048]", "children seoul remote_ts": "[10.2.0.0/24]"} {
			if got := fmt.Sprint(conn.Get(strings.Fields(path)...)); got != want {
				t.Errorf("%s = %s, want %s", path, got, want)
			}
		}
		if strings.Contains(fmt.Sprint(conn), "canary") {
			t.Error("the connection carries the key")
		}
	})
}

func TestWhoRenewsFirstKeepsApart(t *testing.T) {
	latest := func(r vpn.Rekeying) (first, last time.Duration) {
		tunnel := good("x")
		tunnel.Rekeying = r
		_, at := tunnel.RekeyTimes()
		return at - advance(r, tunnel.ESP.Lifetime), at
	}
	_, local := latest(vpn.RekeyLocal)
	remote, end := latest(vpn.RekeyRemote)
	if local >= remote || end >= vpn.DefaultESPLifetime {
		t.Errorf("the end that renews first may do so as late as %v, the other as early as %v, and at %v at last", local, remote, end)
	}
}

func TestProposalsAreWrittenAsCharonReadsThem(t *testing.T) {
	ike := vpn.IKE{Proposals: []vpn.Proposal{{Encryption: "aes128gcm16", PRF: "sha384", DH: 19}, {Encryption: "aes128", Integrity: "sha1", PRF: "sha1", DH: 2}, {Encryption: "aes256", Integrity: "sha256", PRF: "sha512", DH: 31}}}
	if got, want := fmt.Sprint(ikeProposals(ike)), "[aes128gcm16-prfsha384-ecp256 aes128-sha1-modp1024 aes256-sha256-prfsha512-curve25519]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	esp := vpn.ESP{Proposals: []vpn.Proposal{{Encryption: "aes256gcm16"}, {Encryption: "aes256", Integrity: "sha256", DH: 14}}}
	if got, want := fmt.Sprint(espProposals(esp)), "[aes256gcm16 aes256-sha256-modp2048]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecretsThatAreGoneAreUnloaded(t *testing.T) {
	s, c := serve(t)
	s.Change(func(s *swantest.Server) { s.Shared["of an agent before"] = "x" })
	two := CredentialsOf([]Tunnel{good("a"), good("b")})
	if err := c.LoadCredentials(t.Context(), Credentials{}, two); err != nil {
		t.Fatal(err)
	}
	one := CredentialsOf([]Tunnel{good("b")})
	if err := c.LoadCredentials(t.Context(), two, one); err != nil {
		t.Fatal(err)
	}
	s.Change(func(s *swantest.Server) {
		if len(s.Shared) != 1 || s.Shared["b"] != "canary-0123456789" {
			t.Errorf("charon has %v", s.Shared)
		}
	})
	if s.Told("clear-creds", "") != 0 {
		t.Error("everything was forgotten, although no certificate changed")
	}
	if two.Digest() == one.Digest() || strings.Contains(two.Digest(), "canary") {
		t.Error("the digest does not tell the two apart, or tells the secret")
	}
}

func TestARefusalSaysWhatWasRefusedAndNoSecret(t *testing.T) {
	s, c := serve(t)
	s.Change(func(s *swantest.Server) { s.Refuse["load-shared"] = "out of memory" })
	err := c.LoadCredentials(t.Context(), Credentials{}, CredentialsOf([]Tunnel{good("a")}))
	if err == nil || !strings.Contains(err.Error(), "out of memory") || !strings.Contains(err.Error(), "load the pre-shared key of a") || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}

func TestEventsAreHeardUntilCharonIsGone(t *testing.T) {
	s, c := serve(t)
	heard := make(chan Event, 16)
	subscribed, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- c.Follow(t.Context(), func() { close(subscribed) }, func(e Event) { heard <- e })
	}()
	<-subscribed
	s.Emit("ike-updown", swantest.Section{{Key: "up", Value: "yes"}, {Key: "seoul", Value: swantest.Section{{Key: "state", Value: "ESTABLISHED"}}}})
	if e := <-heard; e.Kind != "ike-updown" || !e.Up || !reflect.DeepEqual(e.Tunnels, []string{"seoul"}) {
		t.Errorf("heard %+v", e)
	}
	s.Emit("log", swantest.Section{{Key: "group", Value: "IKE"}, {Key: "ikesa-name", Value: "seoul"}, {Key: "ikesa-uniqueid", Value: "3"}, {Key: "msg", Value: "retransmit 1"}})
	if e := <-heard; e.Group != "IKE" || e.Text != "retransmit 1" || e.ID != 3 || e.Tunnels[0] != "seoul" {
		t.Errorf("heard %+v", e)
	}
	s.Close()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("ended with %v", err)
	}
}

func TestOfTwoAssociationsBothEndsKeepTheSame(t *testing.T) {
	old, young := SA{Established: 100, InitiatorSPI: "01"}, SA{Established: 3, InitiatorSPI: "ff"}
	if !old.OlderThan(young) || young.OlderThan(old) {
		t.Error("the one that a peer forgot is kept")
	}
	a, b := SA{Established: 7, InitiatorSPI: "01"}, SA{Established: 8, InitiatorSPI: "02"}
	if a.OlderThan(b) || !b.OlderThan(a) {
		t.Error("of two that crossed, not the one with the smaller SPI is kept")
	}
}
