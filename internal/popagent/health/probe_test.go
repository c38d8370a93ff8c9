package health

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"testing"
	"time"

	"causeway/internal/ipsec"
	"causeway/internal/snapshot"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// target is a machine on loopback that is asked at the port.
func target(probe snapshot.Probe, port uint16) Target {
	return Target{Endpoint: loopback, Source: loopback, Check: snapshot.HealthCheck{Probe: probe, Port: port}.WithDefaults()}
}

// askOnce asks with the given patience.
func askOnce(t Target, patience time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return probeOf(t)(ctx, t)
}

// responder answers each datagram as it is told; nil is silence. It hands on
// what it was asked.
func responder(t *testing.T, answer func(request []byte) []byte) (port uint16, asked <-chan []byte) {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	requests := make(chan []byte, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			request := append([]byte(nil), buf[:n]...)
			requests <- request
			if a := answer(request); a != nil {
				_, _ = c.WriteToUDPAddrPort(a, from)
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), requests
}

// notify is an IKE_SA_INIT response that carries one notification, as a
// responder of RFC 7296 sends it. The requests of these tests come with the
// non-ESP marker, as their port is not 500.
func notify(request []byte, kind ipsec.Notify, data []byte) []byte {
	b := make([]byte, 4+28, 100)
	copy(b[4:], request[4:12])
	b[4+16], b[4+17], b[4+18], b[4+19] = 41, 0x20, 34, 0x20
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	binary.BigEndian.PutUint16(b[32+2:], uint16(8+len(data)))
	binary.BigEndian.PutUint16(b[32+6:], uint16(kind))
	b = append(b, data...)
	binary.BigEndian.PutUint32(b[4+24:], uint32(len(b)-4))
	return b
}

func TestAnyAnswerToIKEIsLife(t *testing.T) {
	for name, c := range map[string]struct {
		answer func([]byte) []byte
		alive  bool
	}{
		"a cookie":                     {func(r []byte) []byte { return notify(r, ipsec.NotifyCookie, make([]byte, 20)) }, true},
		"another group, please":        {func(r []byte) []byte { return notify(r, ipsec.NotifyInvalidKE, []byte{0, 14}) }, true},
		"no proposal chosen":           {func(r []byte) []byte { return notify(r, ipsec.NotifyNoProposalChosen, nil) }, true},
		"an IKEv1 device's refusal":    {func(r []byte) []byte { a := notify(r, 5, nil); a[4+17], a[4+18], a[4+19] = 0x10, 5, 0; return a }, true},
		"silence":                      {func([]byte) []byte { return nil }, false},
		"our own words":                {func(r []byte) []byte { return r }, false},
		"an answer to somebody else":   {func(r []byte) []byte { a := notify(r, ipsec.NotifyCookie, nil); a[5]++; return a }, false},
		"an answer without the marker": {func(r []byte) []byte { return notify(r, ipsec.NotifyCookie, nil)[4:] }, false},
		"half an answer":               {func(r []byte) []byte { return notify(r, ipsec.NotifyCookie, nil)[:20] }, false},
		"ESP":                          {func(r []byte) []byte { return make([]byte, 64)[:1] }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, asked := responder(t, c.answer)
			patience := 200 * time.Millisecond
			if c.alive {
				patience = 10 * time.Second
			}
			rtt, err := askOnce(target(snapshot.ProbeIKE, port), patience)
			if (err == nil) != c.alive || c.alive && rtt <= 0 {
				t.Errorf("%v, %v", rtt, err)
			}
			<-asked
			select {
			case <-asked:
				t.Error("one probe asked twice")
			default:
			}
		})
	}
}

// What is sent must be IKE that others can read, with nothing in it that could
// be accepted.
func TestTheIKERequestIsWholeAndCannotBeAccepted(t *testing.T) {
	for _, natt := range []bool{false, true} {
		b := appendInit(nil, natt, [8 + ikeKE + ikeNonce]byte{1, 2, 3}, nil)
		p := ipsec.Peek(b, natt)
		if p.Kind != ipsec.IKE || !p.Init.HasSA || p.Init.Damaged {
			t.Fatalf("natt %v: reads as %+v", natt, p)
		}
		if len(b) > 576-28 {
			t.Errorf("%d bytes: more than passes everywhere in one piece", len(b))
		}
	}
	for _, p := range ikeProposals {
		kinds := map[byte]int{}
		for _, tr := range p {
			kinds[tr.kind]++
			if tr.kind == transformDH && tr.id == ikeForeignGroup {
				t.Error("the foreign group is proposed: a device could accept")
			}
		}
		if kinds[transformENCR] == 0 || kinds[transformPRF] == 0 || kinds[transformDH] == 0 {
			t.Errorf("a proposal lacks a kind of transform: %v", kinds)
		}
	}
}

func FuzzAnswersInit(f *testing.F) {
	request := appendInit(nil, true, [8 + ikeKE + ikeNonce]byte{1}, nil)
	f.Add(notify(request, ipsec.NotifyCookie, nil), true)
	f.Add(request, true)
	f.Fuzz(func(t *testing.T, b []byte, natt bool) {
		if answersInit(b, natt, [8]byte{1}) && len(b) < ikeHeaderLen {
			t.Error("less than a header answers")
		}
	})
}

func TestNobodyAtThePortIsNoLifeAndSeenAtOnce(t *testing.T) {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	port := c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	c.Close()
	for _, kind := range []snapshot.Probe{snapshot.ProbeIKE, snapshot.ProbeTCP, snapshot.ProbeHTTP, snapshot.ProbeHTTPS} {
		var barred *BarredError
		if _, err := askOnce(target(kind, port), 10*time.Second); err == nil || errors.Is(err, errSilent) || errors.As(err, &barred) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestWhatThisMachineRefusesSaysNothingOfTheEndpoint(t *testing.T) {
	for _, kind := range []snapshot.Probe{snapshot.ProbeIKE, snapshot.ProbeTCP, snapshot.ProbeHTTP, snapshot.ProbeICMP} {
		at := target(kind, 9)
		at.Source = netip.MustParseAddr("192.0.2.1") // not an address of this machine
		var barred *BarredError
		if _, err := askOnce(at, 10*time.Second); !errors.As(err, &barred) {
			t.Errorf("%s: %v is taken for the endpoint's silence", kind, err)
		}
	}
}

func TestWebServersAreJudgedByTheirStatus(t *testing.T) {
	for status, alive := range map[int]bool{200: true, 204: true, 302: true, 404: false, 500: false, 503: false} {
		answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/healthz" || r.Host != "vpn.example.com" {
				t.Errorf("asked for %s of %s", r.URL.Path, r.Host)
			}
			w.Header().Set("Location", "http://192.0.2.1/")
			w.WriteHeader(status)
		})
		for kind, server := range map[snapshot.Probe]*httptest.Server{
			snapshot.ProbeHTTP: httptest.NewServer(answer), snapshot.ProbeHTTPS: httptest.NewTLSServer(answer),
		} {
			at := target(kind, netip.MustParseAddrPort(server.Listener.Addr().String()).Port())
			at.Check.Path, at.Domain = "/healthz", "vpn.example.com"
			if _, err := askOnce(at, 10*time.Second); (err == nil) != alive {
				t.Errorf("%s %d: %v", kind, status, err)
			}
			server.Close()
		}
	}
}

func TestPingAnswersOnLoopback(t *testing.T) {
	rtt, err := askOnce(target(snapshot.ProbeICMP, 0), 10*time.Second)
	var barred *BarredError
	if errors.As(err, &barred) && os.Geteuid() != 0 {
		t.Skip("neither root nor in net.ipv4.ping_group_range: no ICMP sockets")
	}
	if err != nil || rtt <= 0 {
		t.Errorf("%v, %v", rtt, err)
	}
}

func TestProbesFromAnEgressIPComeFromThere(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	from := make(chan string, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			from <- c.RemoteAddr().(*net.TCPAddr).IP.String()
			c.Close()
		}
	}()
	at := target(snapshot.ProbeTCP, netip.MustParseAddrPort(l.Addr().String()).Port())
	at.Source = netip.MustParseAddr("127.0.0.9")
	if _, err := askOnce(at, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if got := <-from; got != "127.0.0.9" {
		t.Errorf("asked from %s", got)
	}
}
