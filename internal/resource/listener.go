package resource

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"causeway/internal/problem"
	"causeway/internal/snapshot"
)

// Listener is what an accelerator takes from clients on all its accelerated IPs.
type Listener struct {
	Meta         `yaml:",inline"`
	ListenerSpec `yaml:",inline"`
	Status       ListenerStatus `json:"status" yaml:"-"`
}

// ListenerSpec is what users say of a listener.
type ListenerSpec struct {
	Accelerator      string         `json:"accelerator" yaml:"accelerator"`                                 // never changes
	Protocol         string         `json:"protocol,omitempty" yaml:"protocol,omitempty"`                   // udp; default udp. tcp is not there yet. Never changes
	Ports            []PortRange    `json:"ports" yaml:"ports"`                                             // at most 30 ports in all, 1–65499; IPsec needs 500 and 4500
	Affinity         Affinity       `json:"affinity,omitempty" yaml:"affinity,omitempty"`                   // default source-ip; none is taken, and flows stay together all the same
	IdleTimeout      time.Duration  `json:"idle_timeout,omitempty" yaml:"idle_timeout,omitempty"`           // 10 s–24 h; default 300 s
	SourceConsistent *bool          `json:"source_consistent,omitempty" yaml:"source_consistent,omitempty"` // default: the accelerator's; with false, too, flows leave from their group's one egress IP
	Repair           string         `json:"repair,omitempty" yaml:"repair,omitempty"`                       // latency, balanced, economy, off; default balanced
	Order            string         `json:"order,omitempty" yaml:"order,omitempty"`                         // ordered, windowed, off; default ordered
	ReplayWindow     int            `json:"replay_window,omitempty" yaml:"replay_window,omitempty"`         // of the VPN devices, packets; 32–65,536; default 32
	Allow            []netip.Prefix `json:"allow,omitempty" yaml:"allow,omitempty"`                         // client prefixes; default everyone
	IKEAdmission     string         `json:"ike_admission,omitempty" yaml:"ike_admission,omitempty"`         // auto, challenge, open: whether the PoP asks for a cookie before a new negotiation crosses; default auto
	ACLs             []string       `json:"acls,omitempty" yaml:"acls,omitempty"`                           // names of ACLs, at most 2; a client must pass them and allow
	ACLMode          ACLMode        `json:"acl_mode,omitempty" yaml:"acl_mode,omitempty"`                   // allow or deny: what becomes of clients that the ACLs list; default allow where there are ACLs
	InKernel         bool           `json:"in_kernel,omitempty" yaml:"in_kernel,omitempty"`                 // a PoP's kernel may forward ESP of established tunnels that leave where they entered, unwatched for loss; default false
}

// PortRange is ports From to To, both included. To 0 means From.
type PortRange struct {
	From uint16 `json:"from" yaml:"from"`
	To   uint16 `json:"to,omitempty" yaml:"to,omitempty"`
}

// String is "500" or "5000-5010".
func (r PortRange) String() string {
	if r.To == 0 || r.To == r.From {
		return fmt.Sprint(r.From)
	}
	return fmt.Sprintf("%d-%d", r.From, r.To)
}

// Affinity is which flows of a client go to the same endpoint.
type Affinity string

const (
	AffinityNone     Affinity = "none"      // each flow by itself
	AffinitySourceIP Affinity = "source-ip" // all flows of a client address; what IPsec needs
)

// ListenerStatus is how a listener fares: active, configuring, refused,
// blocked, incomplete or disabled.
type ListenerStatus struct {
	Status
	Addresses []netip.AddrPort `json:"addresses,omitempty"`  // what clients send to, public forms
	EgressIPs []netip.Addr     `json:"egress_ips,omitempty"` // what endpoints see, public forms
}

// Bounds of listeners.
const (
	MaxPort          = 65499 // above are the system's
	MaxListenerPorts = 30    // ports of one listener
	MaxListeners     = 50    // of one accelerator
	MinIdle          = snapshot.MinIdle
	MaxIdle          = snapshot.MaxIdle
	DefaultIdle      = snapshot.DefaultIdle
)

// ReservedUDP are ports that UDP listeners cannot have: the overlay's and
// VXLAN's (4789, 4790), and 250, as with the cloud product this one follows.
var ReservedUDP = []uint16{250, 4789, 4790}

func (*Listener) Kind() Kind { return KindListener }
func (l *Listener) Parents() []Parent {
	list := parent(KindAccelerator, l.Accelerator, "")
	for _, name := range l.ACLs {
		list = append(list, parent(KindACL, name, string(l.ACLMode))...)
	}
	return list
}

// EachPort returns l's ports, in order.
func (l *Listener) EachPort() []uint16 {
	var ports []uint16
	for _, r := range l.Ports {
		for p := int(r.From); p <= int(max(r.From, r.To)); p++ {
			ports = append(ports, uint16(p))
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

func (l *Listener) FillDefaults() {
	setDefault(&l.Protocol, "udp")
	setDefault(&l.Affinity, AffinitySourceIP)
	setDefault(&l.IdleTimeout, DefaultIdle)
	setDefault(&l.Repair, string(snapshot.Balanced))
	setDefault(&l.Order, string(snapshot.Ordered))
	setDefault(&l.ReplayWindow, snapshot.ReplayWin)
	setDefault(&l.IKEAdmission, string(snapshot.AdmitAuto))
	if len(l.ACLs) > 0 {
		setDefault(&l.ACLMode, ACLAllow)
	}
	l.ACLs = slices.Clone(l.ACLs)
	l.Ports = slices.Clone(l.Ports)
	for i := range l.Ports {
		setDefault(&l.Ports[i].To, l.Ports[i].From)
	}
}

func (l *Listener) Validate() problem.List {
	var j judge
	j.meta(&l.Meta)
	j.reference("accelerator", l.Accelerator)
	if l.Protocol == "tcp" {
		j.refuse("protocol", l.Protocol, allowedProtocol, "TCP listeners are not there yet; IPsec needs udp on ports 500 and 4500")
	} else {
		j.choice("protocol", l.Protocol, "udp")
	}
	j.ports(l.Ports)
	j.choice("affinity", string(l.Affinity), string(AffinitySourceIP), string(AffinityNone))
	if l.IdleTimeout < MinIdle || l.IdleTimeout > MaxIdle {
		j.refuse("idle_timeout", l.IdleTimeout, fmt.Sprintf("%v to %v", MinIdle, MaxIdle), "leave it out for %v", DefaultIdle)
	}
	j.choice("repair", l.Repair, string(snapshot.Latency), string(snapshot.Balanced), string(snapshot.Economy), string(snapshot.Off))
	j.choice("order", l.Order, string(snapshot.Ordered), string(snapshot.Windowed), string(snapshot.Unordered))
	j.between("replay_window", l.ReplayWindow, snapshot.ReplayWin, snapshot.MaxReplayWindow)
	j.choice("ike_admission", l.IKEAdmission, string(snapshot.AdmitAuto), string(snapshot.AdmitChallenge), string(snapshot.AdmitOpen))
	j.prefixes("allow", l.Allow)
	j.acls(l)
	return j.found
}

func (j *judge) ports(list []PortRange) {
	if len(list) == 0 {
		j.missing("ports", "at least one port", "IPsec needs 500 and 4500")
	}
	seen, total := map[uint16]bool{}, 0
	for i, r := range list {
		path := fmt.Sprintf("ports[%d]", i)
		switch {
		case r.From == 0:
			j.refuse(path+".from", r.From, fmt.Sprintf("1 to %d", MaxPort), "")
			continue
		case r.To < r.From:
			j.refuse(path+".to", r.To, fmt.Sprintf("%d to %d", r.From, MaxPort), "write the smaller port first")
			continue
		case r.To > MaxPort:
			j.refuse(path, r, allowedPort, "ports above are the system's; choose another")
			continue
		}
		total += int(r.To-r.From) + 1
		if total > MaxListenerPorts {
			j.refuse("ports", fmt.Sprintf("%d ports and more", total), allowedPorts, "make another listener for the rest")
			return
		}
		for p := r.From; p <= r.To; p++ {
			if slices.Contains(ReservedUDP, p) {
				j.refuse(path, p, allowedPort, "this port is the system's; choose another")
			}
			if seen[p] {
				j.refuse(path, p, "each port once", "remove the repetition")
			}
			seen[p] = true
		}
	}
}
