package attack

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"causeway/internal/ipsec"
)

func TestAFirstMessageIsReadAsOne(t *testing.T) {
	m, err := message()
	if err != nil {
		t.Fatal(err)
	}
	if n := binary.BigEndian.Uint32(m[24:]); int(n) != len(m) {
		t.Errorf("its length field says %d, it has %d", n, len(m))
	}
	for _, b := range [][]byte{m, withCookie(m, []byte("cookie-cookie-cookie"))} {
		p := ipsec.Peek(b, false)
		if p.Kind != ipsec.IKE || p.Exchange != exchange || p.InitiatorSPI == 0 || p.ResponderSPI != 0 {
			t.Errorf("read as %+v", p)
		}
	}
	o, _ := message()
	if bytes.Equal(m[:8], o[:8]) {
		t.Error("two with one SPI")
	}
}

// gateway asks for a cookie first and answers who brings it.
func gateway(t *testing.T, ask bool) *net.UDPConn {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			r := append([]byte(nil), buf[:headerLen]...)
			r[19] = 0x20
			if ask && buf[16] != payloadNote {
				r[16] = payloadNote
				r = payload(r, 0, append([]byte{0, 0, noteCookie >> 8, noteCookie & 0xff}, "a cookie"...))
			} else {
				if ask && !bytes.Contains(buf[:n], []byte("a cookie")) {
					continue
				}
				r[16] = payloadSA
				r = payload(r, 0, make([]byte, 20))
			}
			conn.WriteTo(r, from)
		}
	}()
	return conn
}

func TestAnAttackCountsWhatItDid(t *testing.T) {
	for _, c := range []struct{ ask, cookies bool }{{false, false}, {true, false}, {true, true}} {
		conn := gateway(t, c.ask)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		var got Count
		// Until something has come back; loopback on a busy machine may be slow.
		for try := 0; try < 50 && ctx.Err() == nil; try++ {
			var err error
			got, err = Run(ctx, Config{
				Target: conn.LocalAddr().(*net.UDPAddr).AddrPort(), Rate: 200, For: 300 * time.Millisecond, Cookies: c.cookies,
				Listen: func() (net.PacketConn, error) { return net.ListenPacket("udp4", "127.0.0.1:0") },
			})
			if err != nil {
				t.Fatal(err)
			}
			if got.Answered > 0 || c.ask && !c.cookies && got.Asked > 0 {
				break
			}
		}
		cancel()
		if got.Sent == 0 || (got.Asked > 0) != c.ask || (got.Answered > 0) != (!c.ask || c.cookies) {
			t.Errorf("asks %v, attacker answers cookies %v: %v", c.ask, c.cookies, got)
		}
	}
}

func FuzzJudge(f *testing.F) {
	m, _ := message()
	f.Add(m)
	f.Fuzz(func(t *testing.T, b []byte) {
		if cookie, v := judge(b); v != asked && cookie != nil {
			t.Error("a cookie that nobody asked for")
		}
	})
}
