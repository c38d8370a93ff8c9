package dataplane

import (
	"causeway/internal/dataplane/udpio"
	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

// urgentFirst carries the IKE messages and keepalives of a batch before the rest, and
// writes them out: they must not wait for hundreds of large packets to be sealed. What
// it has carried it takes out of the batch, which then has messages without Data. Order
// among IKE messages and among other packets stays. It reports whether there were any.
func (e *Engine) urgentFirst(now mono.Time, sock *socket, batch []udpio.Message) (any bool) {
	if len(batch) < urgentBatch || !ipsec.NATT(sock.addr.Port()) { // port 500 has nothing else
		return false
	}
	for i := range batch {
		m := &batch[i]
		if d := m.Data; len(d) >= 4 && d[0]|d[1]|d[2]|d[3] == 0 || len(d) == 1 {
			e.receive(now, sock, m)
			m.Data, any = nil, true
		}
	}
	if any {
		e.Flush(now)
	}
	return any
}

// urgentBatch is from how many packets on it is worth looking.
const urgentBatch = 8
