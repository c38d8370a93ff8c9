package wan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causeway/internal/lab/netns"
	"causeway/internal/weather"
)

// These tests run the whole emulator on real devices.

// arrive sends n numbered packets and returns which came: all, or those before a
// second of silence.
func arrive(t *testing.T, from, to *net.UDPConn, dst string, n int) []bool {
	t.Helper()
	for i := range n {
		send(t, from, dst, []byte{byte(i >> 8), byte(i)})
	}
	came := make([]bool, n)
	b := make([]byte, 100)
	for count1(came) < n {
		to.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := to.ReadFromUDPAddrPort(b); errors.Is(err, os.ErrDeadlineExceeded) {
			to.SetReadDeadline(time.Time{})
			return came
		} else if err != nil {
			t.Fatal(err)
		}
		came[int(b[0])<<8|int(b[1])] = true
	}
	return came
}

func count1(came []bool) (n int) {
	for _, ok := range came {
		if ok {
			n++
		}
	}
	return n
}

func TestTheSameSeedLosesTheSamePackets(t *testing.T) {
	nodes, ns := hosts(t, pair)
	loss := weather.Profile{Loss: weather.Loss{Random: 0.3}}
	client := emulate(t, Config{Seed: 4, Nodes: nodes, Links: both("sh", "se", loss)})
	sh, se := socket(t, ns["sh"], sh4), socket(t, ns["se"], se4)
	twin := weather.NewNamed(loss, 4, "sh>se")
	var want []bool
	for range 300 {
		want = append(want, twin.Offer(0, 30).N > 0)
	}
	for range 2 {
		_, err := client.Start(context.Background())
		must(t, err)
		if got := arrive(t, sh, se, se4, 300); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("came\n%v\nwant\n%v", got, want)
		}
	}
}

func TestLinksChangeWhileTheyRun(t *testing.T) {
	nodes, ns := hosts(t, pair)
	client := emulate(t, Config{Seed: 4, Nodes: nodes, Links: both("sh", "se", weather.Profile{})})
	sh, se := socket(t, ns["sh"], sh4), socket(t, ns["se"], se4)
	ctx := context.Background()
	down, up := true, false
	if n := count1(arrive(t, sh, se, se4, 20)); n != 20 {
		t.Errorf("%d of 20 came", n)
	}
	must(t, client.Change(ctx, "sh", "se", weather.Step{Down: &down}))
	if n := count1(arrive(t, sh, se, se4, 20)); n != 0 {
		t.Errorf("%d came through an outage", n)
	}
	if n := count1(arrive(t, se, sh, sh4, 20)); n != 20 {
		t.Errorf("%d of 20 came the other way", n)
	}
	must(t, client.Change(ctx, "*", "*", weather.Step{Down: &up}))
	if n := count1(arrive(t, sh, se, se4, 20)); n != 20 {
		t.Errorf("%d of 20 came after the outage", n)
	}
	must(t, client.Set(ctx, "sh", "*", weather.Profile{Loss: weather.Loss{Random: 1}}, &weather.Schedule{}))
	if n := count1(arrive(t, sh, se, se4, 20)); n != 0 {
		t.Errorf("%d came through full loss", n)
	}
	must(t, client.Change(ctx, "sh", "se", weather.Step{Profile: &weather.Profile{}, Outage: 3 * time.Second}))
	if n := count1(arrive(t, sh, se, se4, 20)); n != 0 {
		t.Errorf("%d came through an outage", n)
	}
	until(t, "the outage is over", func() bool { return count1(arrive(t, sh, se, se4, 1)) == 1 })
	s := stats(t, client, true)
	if d := s.Links[0].Dropped; d["outage"] < 40 || d["random"] != 20 || s.Links[0].Delivered != 41 {
		t.Errorf("counted %+v", s.Links[0])
	}
	must(t, client.Change(ctx, "*", "*", weather.Step{Down: &down}))
	_, err := client.Start(ctx)
	must(t, err)
	if n := count1(arrive(t, se, sh, sh4, 20)); n != 20 {
		t.Errorf("%d of 20 came after a new start, which ends changes", n)
	}
	if n := count1(arrive(t, sh, se, se4, 20)); n != 0 {
		t.Errorf("%d came after a new start, which goes back to what was set", n)
	}
}

func TestAClientIsToldWhatIsWrong(t *testing.T) {
	nodes, _ := hosts(t, pair)
	client := emulate(t, Config{Seed: 4, Nodes: nodes, Links: both("sh", "se", weather.Profile{})})
	ctx := context.Background()
	for want, err := range map[string]error{
		`link from "sh" to "us": there is none`: client.Set(ctx, "sh", "us", weather.Profile{}, nil),
		"delay: found -1ns":                     client.Set(ctx, "sh", "se", weather.Profile{Delay: -1}, nil),
		"steps[0].loss: found 2":                client.Change(ctx, "sh", "se", weather.Step{Loss: ptr(2.0)}),
		"at least one change":                   client.Change(ctx, "sh", "se", weather.Step{}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := client.ask(ctx, request{Do: "dance"}); err == nil || !strings.Contains(err.Error(), `request "dance"`) {
		t.Errorf("%v", err)
	}
	client.conn.Write([]byte("not JSON\n"))
	if line, err := client.in.ReadString('\n'); err != nil || !strings.Contains(line, "error") {
		t.Errorf("answered %q, %v", line, err)
	}
	stats(t, client, false) // it still talks
	gone, cancel := context.WithCancel(ctx)
	cancel()
	other, err := Dial(ctx, client.conn.RemoteAddr().String())
	must(t, err)
	if _, err := other.Stats(gone, false); !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancelled context: %v", err)
	}
	other.Close()
}

func ptr[T any](v T) *T { return &v }

func TestTheKernelLearnsTheMTU(t *testing.T) {
	nodes, ns := hosts(t, pair)
	emulate(t, Config{Seed: 4, Nodes: nodes, Links: both("sh", "se", weather.Profile{MTU: 1380})})
	for _, ends := range [][2]string{{sh4, se4}, {sh6, se6}} {
		c := socket(t, ns["sh"], ends[0])
		raw, err := c.SyscallConn()
		must(t, err)
		raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO)
		})
		until(t, "the kernel refuses a packet larger than the path's MTU", func() bool {
			_, err := c.WriteToUDPAddrPort(make([]byte, 1400), netip.AddrPortFrom(netip.MustParseAddr(ends[1]), 7000))
			return errors.Is(err, unix.EMSGSIZE)
		})
		peer := socket(t, ns["se"], ends[1])
		send(t, c, ends[1], make([]byte, 1300))
		if b, _ := receive(t, peer); len(b) != 1300 {
			t.Errorf("%d bytes came", len(b))
		}
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for this: %s", what)
		}
	}
}

func TestTheKernelHearsFromRoutersOnTheWay(t *testing.T) {
	nodes, ns := hosts(t, pair)
	hops := []string{"100.64.0.1", "100.64.0.2"}
	emulate(t, Config{Seed: 4, Nodes: nodes, Links: both("sh", "se", weather.Profile{Delay: ms}, hops...)})
	c := socket(t, ns["sh"], sh4)
	raw, err := c.SyscallConn()
	must(t, err)
	for ttl, hop := range hops {
		raw.Control(func(fd uintptr) {
			must(t, unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR, 1), unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, ttl+1))
		})
		send(t, c, se4, []byte("who is there"))
		var oob [512]byte
		var n int
		until(t, "an ICMP error", func() bool {
			raw.Control(func(fd uintptr) { _, n, _, _, err = unix.Recvmsg(int(fd), nil, oob[:], unix.MSG_ERRQUEUE) })
			return err == nil
		})
		messages, err := unix.ParseSocketControlMessage(oob[:n])
		must(t, err)
		// struct sock_extended_err, 16 bytes, then the offender's sockaddr_in.
		i := slices.IndexFunc(messages, func(m unix.SocketControlMessage) bool { return m.Header.Type == unix.IP_RECVERR })
		if d := messages[i].Data; d[5] != 11 || netip.AddrFrom4([4]byte(d[20:])).String() != hop {
			t.Errorf("TTL %d: ICMP type %d from %v, want 11 from %s", ttl+1, d[5], d[20:24], hop)
		}
	}
}

func TestFragmentsOfLargeDatagramsCross(t *testing.T) {
	nodes, ns := hosts(t, pair)
	client := emulate(t, Config{Seed: 4, Nodes: nodes, Links: both("sh", "se", weather.Profile{MTU: 1000, Delay: ms})})
	sh, se := socket(t, ns["sh"], sh4), socket(t, ns["se"], se4)
	raw, err := sh.SyscallConn()
	must(t, err)
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
	})
	payload := make([]byte, 3900)
	for i := range payload {
		payload[i] = byte(i % 251)
	}
	send(t, sh, se4, payload)
	if b, _ := receive(t, se); string(b) != string(payload) {
		t.Errorf("%d bytes came, not the 3900 sent", len(b))
	}
	if l := stats(t, client, false).Links[0]; l.Fragmented != 2 || l.Offered != 5 {
		t.Errorf("%+v, want the kernel's two full fragments cut into two each, and its third whole", l)
	}
}

func TestOneControlSocketHasOneEmulator(t *testing.T) {
	nodes, _ := hosts(t, pair)
	client := emulate(t, Config{Seed: 4, Nodes: nodes[:1]})
	err := Run(context.Background(), Config{Nodes: nodes[1:], Control: client.conn.RemoteAddr().String()})
	if err == nil || !strings.Contains(err.Error(), "another emulator answers there") {
		t.Errorf("%v", err)
	}
}

func TestRunEndsWithItsContextAndGivesEverythingBack(t *testing.T) {
	nodes, ns := hosts(t, pair)
	files := openFiles(t)
	path := filepath.Join(t.TempDir(), "wan.sock")
	must(t, os.WriteFile(path, nil, 0o600)) // a dead emulator's
	for range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- Run(ctx, Config{Nodes: nodes, Control: path}) }()
		until(t, "the control socket answers", func() bool {
			c, err := net.Dial("unix", path)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
		cancel()
		must(t, <-ended)
	}
	if now := openFiles(t); now > files {
		t.Errorf("%d files open, %d before", now, files)
	}
	if err := ns["sh"].Up("wan0"); err == nil {
		t.Error("the device is still there")
	}
}

func TestRunNamesANamespaceThatIsMissing(t *testing.T) {
	needRoot(t)
	err := Run(context.Background(), Config{Nodes: []Node{{Name: "sh", Namespace: netns.Name("gone", "sh"), Addrs: []netip.Addr{addr(sh4)}}}})
	if err == nil || !strings.Contains(err.Error(), "attach node sh: open network namespace cw-gone-sh: there is none") {
		t.Errorf("%v", err)
	}
}
