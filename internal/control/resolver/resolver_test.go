package resolver

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// zone is a name server on loopback that knows a few names.
func zone(t *testing.T, records ...string) Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if strings.HasPrefix(q.Question[0].Name, "broken.") {
			m.Rcode = dns.RcodeServerFailure
		}
		for _, text := range records {
			record, err := dns.NewRR(text)
			if err != nil {
				panic(err)
			}
			if record.Header().Rrtype == q.Question[0].Qtype || record.Header().Rrtype == dns.TypeCNAME {
				m.Answer = append(m.Answer, record)
			}
		}
		_ = w.WriteMsg(m)
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = server.Shutdown(); <-ended })
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver 127.0.0.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Resolver{file, fmt.Sprint(conn.LocalAddr().(*net.UDPAddr).Port)}
}

func TestAddressesOfBothFamiliesAreFoundAndKeptAsLongAsTheShortestRecord(t *testing.T) {
	r := zone(t, "vpn.example.com. 300 IN A 192.0.2.7", "vpn.example.com. 120 IN A 192.0.2.5", "vpn.example.com. 600 IN AAAA 2001:db8::7", "other.example.com. 1 IN A 192.0.2.99")
	addresses, ttl, err := r.Resolve(context.Background(), "vpn.example.com")
	if err != nil || fmt.Sprint(addresses) != "[192.0.2.5 192.0.2.7 2001:db8::7]" || ttl != 120*time.Second {
		t.Errorf("got %v for %v, error %v", addresses, ttl, err)
	}
}

func TestAliasesAreFollowed(t *testing.T) {
	r := zone(t, "vpn.example.com. 30 IN CNAME gw.example.net.", "gw.example.net. 300 IN A 192.0.2.7")
	addresses, ttl, err := r.Resolve(context.Background(), "vpn.example.com")
	if err != nil || fmt.Sprint(addresses) != "[192.0.2.7]" || ttl != 30*time.Second {
		t.Errorf("got %v for %v, error %v", addresses, ttl, err)
	}
}

func TestAliasesInACircleEnd(t *testing.T) {
	r := zone(t, "a.example.com. 30 IN CNAME b.example.com.", "b.example.com. 30 IN CNAME a.example.com.")
	if addresses, _, err := r.Resolve(context.Background(), "a.example.com"); err != nil || len(addresses) != 0 {
		t.Errorf("got %v, error %v", addresses, err)
	}
}

func TestNothingFoundIsAnAnswerAndNoAnswerIsAnError(t *testing.T) {
	r := zone(t)
	if addresses, ttl, err := r.Resolve(context.Background(), "nobody.example.com"); err != nil || len(addresses) != 0 || ttl != time.Minute {
		t.Errorf("got %v for %v, error %v", addresses, ttl, err)
	}
	if _, _, err := r.Resolve(context.Background(), "broken.example.com"); err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
		t.Errorf("got the error %v", err)
	}
}
