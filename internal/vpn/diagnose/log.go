package diagnose

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"causeway/internal/vpn"
)

// Log says what the lines of charon's log, oldest first, tell about c, as the
// end that wrote them has it. Lines of other connections are passed over; those
// that belong to none yet count when they come from c's peer. What a tunnel
// coming up has put right is not told, but that it died before is. Findings are
// ranked, the worst and most certain first. With no fault in it a log in which
// the tunnel came up gives NoExceptionFound, and one that says nothing, nothing.
func Log(lines []Line, c vpn.Connection) []vpn.Finding {
	c = c.WithDefaults()
	r := &reader{c: c, talks: map[string]*talk{}}
	for _, l := range lines {
		r.read(l)
	}
	return r.findings()
}

// reader goes through a log.
type reader struct {
	c     vpn.Connection
	talks map[string]*talk // by tunnel; "" is for what charon has not given to one yet
	found []vpn.Finding
	up    *Line // the last line in which a child SA came up
}

// talk is how far a negotiation has come, as far as later lines need it.
type talk struct {
	begun       bool   // its beginning stands in the log
	exchange    string // of the message that came last: IKE_SA_INIT, ID_PROT, …
	answered    bool   // the other end has answered since the negotiation began
	established bool   // the IKE SA stands
	aggressive  bool
	largest     int // bytes of the largest message sent since it began
	fragments   bool
	retransmits int
	message     string // ID of the request that is sent again
	received    string // proposals, as charon lists them
	configured  string
	local, peer string // what was looked for: address[identity]
	other       bool   // the peer is not ours
	collisions  int
	replays     int
}

func (r *reader) read(l Line) {
	if l.Tunnel != "" && !r.ours(l.Tunnel) {
		return
	}
	t := r.talks[l.Tunnel]
	if t == nil {
		t = &talk{}
		r.talks[l.Tunnel] = t
	}
	for _, rule := range rules {
		if m := rule.text.FindStringSubmatch(l.Text); m != nil {
			if f := rule.does(r, t, l, m); f.Code != "" && !t.other {
				r.say(l, f)
			}
			return
		}
	}
}

func (r *reader) ours(tunnel string) bool {
	return tunnel == r.c.Name || slices.ContainsFunc(r.c.Tunnels, func(t vpn.Tunnel) bool { return t.Name == tunnel || strings.ReplaceAll(t.Name, ".", "-") == tunnel })
}

// tunnel is the tunnel a line is about; without a name, the first.
func (r *reader) tunnel(l Line) vpn.Tunnel {
	for _, t := range r.c.Tunnels {
		if t.Name == l.Tunnel || strings.ReplaceAll(t.Name, ".", "-") == l.Tunnel {
			return t
		}
	}
	if len(r.c.Tunnels) > 0 {
		return r.c.Tunnels[0]
	}
	return vpn.Tunnel{}.WithDefaults()
}

func (r *reader) say(l Line, f vpn.Finding) {
	f.Connection, f.Tunnel, f.At = r.c.Name, r.tunnel(l).Name, l.At
	if f.Source == "" {
		f.Source = l.Text
	}
	if f.Field != "" && f.Field != "local_networks" && f.Field != "remote_networks" {
		i := slices.IndexFunc(r.c.Tunnels, func(t vpn.Tunnel) bool { return t.Name == f.Tunnel })
		f.Field = fmt.Sprintf("tunnels[%d].%s", max(i, 0), f.Field)
	}
	if f.Severity == "" {
		f.Severity = vpn.Critical
	}
	r.found = append(r.found, f)
}

// came takes back what a tunnel that came up has put right.
func (r *reader) came(tunnel string) {
	var keep []vpn.Finding
	for _, f := range r.found {
		switch {
		case f.Tunnel != tunnel || f.Severity != vpn.Critical:
		case f.Code == vpn.DpdTimeout:
			f.Severity = vpn.Warn
			f.Text += " It has come back since."
		default:
			continue
		}
		keep = append(keep, f)
	}
	r.found = keep
}

func (r *reader) findings() []vpn.Finding {
	if len(r.found) == 0 && r.up != nil {
		return []vpn.Finding{{Code: vpn.NoExceptionFound, Severity: vpn.Normal, Connection: r.c.Name, Tunnel: r.tunnel(*r.up).Name, At: r.up.At, Source: r.up.Text,
			Text: "The tunnel came up, and the log names no fault since.", Fix: "Nothing. If packets do not arrive all the same, look at routes and firewalls behind the two ends."}}
	}
	return Merge(r.found)
}

// rule is a text of charon's, and what follows from it.
type rule struct {
	text *regexp.Regexp
	does func(r *reader, t *talk, l Line, m []string) vpn.Finding
}

// rules are tried in order; the first that fits is taken.
var rules = slices.Concat(progress, refusals, silences, others)

func on(text string, does func(r *reader, t *talk, l Line, m []string) vpn.Finding) rule {
	return rule{regexp.MustCompile(text), does}
}

// note is a rule that says nothing by itself.
func note(text string, does func(r *reader, t *talk, l Line, m []string)) rule {
	return on(text, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		does(r, t, l, m)
		return vpn.Finding{}
	})
}

// progress is what charon says while all goes well.
var progress = []rule{
	note(`^initiating (Main Mode |Aggressive Mode )?IKE_SA `, func(r *reader, t *talk, l Line, m []string) {
		*t = talk{begun: true, aggressive: strings.HasPrefix(m[1], "Aggressive"), collisions: t.collisions, replays: t.replays}
	}),
	note(`^(\S+) is initiating an? (?:Main Mode |Aggressive Mode )?IKE_SA`, func(r *reader, t *talk, l Line, m []string) {
		exchange := t.exchange
		*t = talk{begun: true, exchange: exchange, other: !r.peer(m[1])}
	}),
	note(`^parsed (\S+) (request|response) \d+`, func(r *reader, t *talk, l Line, m []string) {
		t.exchange = m[1]
		if m[2] == "response" {
			t.answered, t.retransmits = true, 0
		}
	}),
	note(`^splitting IKE message`, func(r *reader, t *talk, l Line, m []string) { t.fragments = true }),
	note(`^sending packet: from .* \((\d+) bytes\)$`, func(r *reader, t *talk, l Line, m []string) {
		n, _ := strconv.Atoi(m[1])
		t.largest = max(t.largest, n)
	}),
	note(`^IKE_SA .* established between `, func(r *reader, t *talk, l Line, m []string) { t.established, t.retransmits = true, 0 }),
	note(`^CHILD_SA .* established with SPIs `, func(r *reader, t *talk, l Line, m []string) {
		t.established, t.retransmits = true, 0
		r.came(r.tunnel(l).Name)
		line := l
		r.up = &line
	}),
	note(`^received proposals: (.*)$`, func(r *reader, t *talk, l Line, m []string) { t.received = m[1] }),
	note(`^configured proposals: (.*)$`, func(r *reader, t *talk, l Line, m []string) { t.configured = m[1] }),
	note(`^looking for (?:pre-shared key |.* )?peer configs matching (.+)\.\.\.(.+)$`, func(r *reader, t *talk, l Line, m []string) { t.local, t.peer = m[1], m[2] }),
}

// peer says whether a negotiation from that address can be c's: it comes from
// one of c's peers, or c does not know where its peer is.
func (r *reader) peer(address string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(r.c.Tunnels, func(t vpn.Tunnel) bool { return !t.Remote.Address.IsValid() || t.Remote.Address == a })
}
