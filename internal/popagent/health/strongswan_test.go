package health

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"causeway/internal/lab/gateway"
	"causeway/internal/lab/netns"
	"causeway/internal/lab/process"
	"causeway/internal/snapshot"
)

// strongSwan is a real responder: it answers, and keeps nothing of it. One that
// knows the PoP as its peer refuses the group of the key exchange; one that does
// not refuses the proposal.
func TestStrongSwanAnswersAndKeepsNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: network namespaces cannot be made")
	}
	if gateway.Charon() == "" {
		t.Skip("charon-systemd of strongSwan is not installed")
	}
	if err := netns.Check(); err != nil {
		t.Skip(err)
	}
	ns, err := netns.Create(netns.Name(fmt.Sprintf("h%d", os.Getpid()), "vpn"))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Delete()
	here, stranger, vpn := netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("198.18.0.3"), netip.MustParseAddr("198.18.0.2")
	for _, a := range []netip.Addr{here, stranger, vpn} {
		if err := ns.AddAddr("lo", netip.PrefixFrom(a, 32)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	var charon process.Record
	_, err = gateway.Start(ctx, gateway.Config{
		Name: "vpn", Dir: dir, Backend: gateway.Kernel, In: ns.Do,
		Connections: []gateway.Connection{{
			Name: "peer", Local: vpn, Remote: here, LocalID: "vpn", RemoteID: "pop", PSK: "not used",
			LocalNets: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/24")}, RemoteNets: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24")},
		}},
	}, func(r process.Record) error { charon = r; return nil })
	defer func() {
		if charon.PID != 0 {
			if err := charon.Stop(5 * time.Second); err != nil {
				t.Error(err)
			}
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 20
	for _, source := range []netip.Addr{here, stranger} {
		for _, port := range []uint16{500, 4500} {
			at := Target{Endpoint: vpn, Source: source, Check: snapshot.HealthCheck{Probe: snapshot.ProbeIKE, Port: port}.WithDefaults()}
			for range rounds {
				err := ns.Do(func() error {
					_, err := askOnce(at, 10*time.Second)
					return err
				})
				if err != nil {
					t.Fatalf("from %v to port %d: %v", source, port, err)
				}
			}
		}
	}
	stats := exec.CommandContext(ctx, "swanctl", "--stats")
	stats.Env = append(os.Environ(), "STRONGSWAN_CONF="+dir+"/strongswan.conf", "SWANCTL_DIR="+dir)
	out, err := stats.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !regexp.MustCompile(`IKE_SAs: 0 total, 0 half-open`).Match(out) {
		t.Errorf("after %d probes strongSwan holds: %s", 4*rounds, out)
	}
	log, err := os.ReadFile(dir + "/charon.log")
	if err != nil {
		t.Fatal(err)
	}
	invalidKE, noProposal := strings.Count(string(log), "N(INVAL_KE)"), strings.Count(string(log), "N(NO_PROP)")
	if invalidKE != 2*rounds || noProposal != 2*rounds {
		t.Errorf("strongSwan refused %d times for the group and %d times for the proposal, want %d each", invalidKE, noProposal, 2*rounds)
		t.Logf("%s", log)
	}
}
