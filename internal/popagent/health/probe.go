package health

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"causeway/internal/snapshot"
)

// Probe asks an endpoint once and returns how long the answer took. It gives up
// when ctx ends, which has a deadline. A *BarredError says that nothing was asked.
type Probe func(ctx context.Context, t Target) (time.Duration, error)

func probeOf(t Target) Probe {
	switch t.Check.Probe {
	case snapshot.ProbeICMP:
		return icmpEcho
	case snapshot.ProbeTCP:
		return tcpConnect
	case snapshot.ProbeHTTP, snapshot.ProbeHTTPS:
		return httpGet
	}
	return ikeInit
}

// BarredError is a probe that this machine did not let out: it says nothing of
// the endpoint.
type BarredError struct{ Err error }

func (e *BarredError) Error() string { return "the probe was not sent: " + e.Err.Error() }
func (e *BarredError) Unwrap() error { return e.Err }

// ours tells errors of this machine from silence. No route to the endpoint is not
// among them: traffic would not get there either.
func ours(err error) error {
	for _, own := range []error{
		syscall.EPERM, syscall.EACCES, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS,
		syscall.ENOMEM, syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT, syscall.EINVAL,
	} {
		if errors.Is(err, own) {
			return &BarredError{err}
		}
	}
	return err
}

// dialer connects from the target's source address, with a port of the system's.
func (t Target) dialer(network string) *net.Dialer {
	d := &net.Dialer{}
	if !t.Source.IsValid() {
		return d
	}
	from := netip.AddrPortFrom(t.Source, 0)
	if network == "udp" {
		d.LocalAddr = net.UDPAddrFromAddrPort(from)
	} else {
		d.LocalAddr = net.TCPAddrFromAddrPort(from)
	}
	return d
}

func (t Target) address() string { return netip.AddrPortFrom(t.Endpoint, t.Check.Port).String() }

// tcpConnect makes a connection and closes it.
func tcpConnect(ctx context.Context, t Target) (time.Duration, error) {
	began := time.Now()
	c, err := t.dialer("tcp").DialContext(ctx, "tcp", t.address())
	if err != nil {
		return 0, ours(err)
	}
	rtt := time.Since(began)
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, so that no port of the egress IP waits for minutes
	}
	c.Close()
	return rtt, nil
}
