package trace

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// receive hands each answer about target that belongs to the prober id to take,
// with the time of its arrival, until the socket is closed.
func receive(conn *net.IPConn, id uint16, target netip.Addr, take func(answer, time.Time)) {
	packet, control := make([]byte, 10000), make([]byte, 256)
	for {
		n, cn, _, _, err := conn.ReadMsgIP(packet, control)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(time.Millisecond) // an interface that goes down is no reason to stop listening
			continue
		}
		now := time.Now()
		if a, ok := parseAnswer(packet[:n]); ok && a.id == id && a.about == target {
			take(a, arrival(control[:cn], now))
		}
	}
}
