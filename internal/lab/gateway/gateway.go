// Package gateway runs an unmodified strongSwan as a VPN gateway of the lab, in
// a network namespace, without systemd and beside others of its kind.
//
// It writes the two files a user would write (strongswan.conf, swanctl.conf),
// starts charon-systemd on them and drives it by swanctl. It knows nothing of
// accelerators: to a gateway the accelerated tunnel is one whose peer has
// another address.
package gateway

import (
	"net/netip"
	"path/filepath"
	"time"

	"causeway/internal/lab/process"
)

// Backend is who encrypts the gateways' packets.
type Backend string

const (
	Kernel   Backend = "kernel"          // XFRM in the kernel
	Libipsec Backend = "kernel-libipsec" // strongSwan itself, over a TUN device called ipsec0
)

// Config is one gateway. Zero durations take the default beside them.
type Config struct {
	Name string // the node's name
	Dir  string // files and socket; private to this gateway
	// Backend: see Detect.
	Backend     Backend
	Connections []Connection
	// Impatient has charon give up a peer after two seconds of silence.
	Impatient bool
	In        func(func() error) error // runs a function in the gateway's namespace
}

// Connection is one tunnel as this gateway sees it.
type Connection struct {
	Name              string
	Local, Remote     netip.Addr // addresses of the tunnel's outer packets
	LocalID, RemoteID string
	LocalNets         []netip.Prefix
	RemoteNets        []netip.Prefix
	PSK               string
	// Authority, where given, has both ends prove themselves by certificates of
	// its making in place of the PSK.
	Authority *Authority
	// NoIKEFragments has large IKE messages go as IP fragments and not as IKE's own
	// (RFC 7383).
	NoIKEFragments bool
	// Restart is set on the one end that brings a dead tunnel up again; if both
	// did, both would, at once.
	Restart bool
	Timers
}

// Timers are a tunnel's lifetimes.
type Timers struct {
	DPD        time.Duration `yaml:"dpd"`         // ask a silent peer whether it lives; default 10s
	IKERekey   time.Duration `yaml:"ike_rekey"`   // default 4h
	ChildRekey time.Duration `yaml:"child_rekey"` // default 1h
}

// DefaultDPD is Timers.DPD's default.
const DefaultDPD = 10 * time.Second

func (t Timers) withDefaults() Timers {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&t.DPD, DefaultDPD)
	def(&t.IKERekey, 4*time.Hour)
	def(&t.ChildRekey, time.Hour)
	return t
}

// Gateway is one that was started. It holds no connection and no goroutine, so
// that a later command can pick it up again from the lab's state.
type Gateway struct {
	Dir     string // with charon's control socket in it
	Process process.Record
	// Agent says that the process is our own agent, which runs charon.
	Agent bool
	// Prefix stands before a tunnel's name in what charon and the agent call its
	// connection, where a controller gave it out: both ends' are in one place there.
	Prefix string
}

func (g Gateway) socket() string  { return filepath.Join(g.Dir, "charon.vici") }
func (g Gateway) swanctl() string { return filepath.Join(g.Dir, "swanctl.conf") }
func (g Gateway) conf() string    { return filepath.Join(g.Dir, "strongswan.conf") }

// Log is the file charon writes.
func (g Gateway) Log() string { return filepath.Join(g.Dir, "charon.log") }
