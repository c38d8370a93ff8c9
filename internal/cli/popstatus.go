package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// StatusView says how much of a PoP's report is shown to a person.
type StatusView struct {
	Parts    []string // of StatusParts; none: all of them
	Wide     bool     // more columns, nothing cut short
	Features bool     // what the kernel grants, and what the process uses
	Colour   bool
}

// StatusParts are the parts of a report that can be asked for by name.
var StatusParts = []string{"segments", "wires", "routes", "listeners", "limits", "endpoints", "sessions", "ipsec", "drops"}

// sessionsShown bounds the list of sessions where everything is shown.
const sessionsShown = 20

// PoPStatus writes a report for people.
func PoPStatus(w io.Writer, p report.PoP, v StatusView) error {
	s := status{PoP: p, view: v, w: w}
	s.head()
	parts := v.Parts
	if len(parts) == 0 {
		parts = StatusParts
	}
	for _, part := range parts {
		switch part {
		case "segments":
			s.segments()
			s.passthroughs()
		case "wires":
			s.wires()
		case "routes":
			s.routes()
		case "listeners":
			s.listeners()
		case "limits":
			s.limits()
		case "endpoints":
			s.endpoints()
		case "sessions":
			s.sessions()
		case "ipsec":
			s.ipsec()
		case "drops":
			s.drops()
		}
	}
	if v.Features {
		s.features()
	}
	return s.err
}

// status is a report on its way to a terminal. The first failed write ends it.
type status struct {
	report.PoP
	view StatusView
	w    io.Writer
	err  error
}

func (s *status) printf(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.w, format, args...)
	}
}

// part writes a title and a table under it, or says that there is nothing.
func (s *status) part(title string, t *Table, nothing string) {
	s.printf("\n%s\n", title)
	switch {
	case s.err != nil:
	case t.Len() == 0:
		s.printf("%s\n", nothing)
	default:
		s.err = t.Write(s.w, s.view.Colour)
	}
}

func (s *status) ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return Span(s.At.Sub(t))
}

func (s *status) head() {
	where := fmt.Sprintf("label %d", s.Label)
	if s.Region != "" {
		where = s.Region + ", " + where
	}
	s.printf("PoP %s (%s), up %s, causeway %s\n", s.Name, where, Seconds(s.Uptime), cmp.Or(s.Build.Version, "of an unknown version"))
	if s.view.Wide {
		s.printf("public key %s\n", s.PublicKey)
	}
	from := "from " + s.Snapshot.File
	if s.Snapshot.Source == "last-good" {
		from = "from " + s.paint("its last good copy", Warn) + ", as the file could not be used at the start"
	}
	s.printf("snapshot %d, for %s, %s\n", s.Snapshot.Version, s.ago(s.Snapshot.Since), from)
	if r := s.Snapshot.Refused; r != nil {
		s.printf("%s %s ago: %s\n", s.paint("the file was REFUSED", Bad), s.ago(r.At), strings.ReplaceAll(r.Reason, "\n", "\n  "))
	}
	for _, a := range s.Alarms {
		s.printf("%s for %s: %s\n", s.paint("ALARM", Bad), s.ago(a.Since), a.Text)
	}
}

func (s *status) paint(text string, style Style) string {
	if !s.view.Colour {
		return text
	}
	return ansi[style] + text + "\x1b[0m"
}

// state colours a word by whether the thing works.
func state(word string, up bool) Cell {
	switch {
	case up:
		return Cell{cmp.Or(word, "up"), Good}
	case word == "" || word == "down":
		return Cell{"down", Bad}
	}
	return Cell{word, Warn}
}

// loss colours a ratio: none is fine, residual loss is not.
func loss(r float64) Cell {
	c := Cell{Text: Ratio(r)}
	switch {
	case r >= 0.01:
		c.Style = Bad
	case r > 0:
		c.Style = Warn
	}
	return c
}

func (s *status) segments() {
	t := NewTable("PEER", "STATE", "FOR", ">RTT", ">LOSS THERE", ">LOSS BACK", ">AFTER REPAIR", ">OVERHEAD", ">KEYS", ">TO PEER", ">FROM PEER")
	for _, g := range s.Segments {
		t.Row(g.Name(), state(g.State, g.Up), s.ago(g.Since), Milliseconds(g.RTT), Ratio(g.Repair.ToPeer.RawLoss), Ratio(g.Repair.ToHere.RawLoss), loss(g.Repair.ToHere.ResidualLoss),
			overhead(g.Repair.ToPeer.Overhead), Seconds(g.KeysAge), Bytes(g.Traffic.BytesToPeer), Bytes(g.Traffic.BytesFromPeer))
	}
	s.part("SEGMENTS", t, "none")
}

// passthroughs are what this PoP passes on for others; most pass on nothing.
func (s *status) passthroughs() {
	if len(s.Passthroughs) == 0 {
		return
	}
	t := NewTable("PORT", "BETWEEN", "AND", ">FROM THE ONE", ">FROM THE OTHER", "BY")
	for _, p := range s.Passthroughs {
		by := "user space"
		if p.InKernel {
			by = "kernel"
		}
		t.Row(p.Public, p.Ends[0].PoP, p.Ends[1].PoP, Bytes(p.Ends[0].Sent.Bytes), Bytes(p.Ends[1].Sent.Bytes), by)
	}
	s.part("PASSED ON", t, "none")
}

func overhead(ratio float64) string {
	if ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f ×", ratio)
}

func (s *status) wires() {
	heading := []string{"PEER", "WIRE", "STATE", "FOR", ">RTT", ">JITTER", ">LOSS THERE", ">LOSS BACK", ">MTU", ">TO PEER", ">FROM PEER"}
	if s.view.Wide {
		heading = append(heading, "LOCAL", "REMOTE", ">FLAPS", ">BURST THERE", ">BURST BACK", ">SHARE")
	}
	t := NewTable(heading...)
	for _, g := range s.Segments {
		for _, w := range g.Wires {
			row := []any{g.Name(), w.Name, state(w.State, w.Up), s.ago(w.Since), Milliseconds(w.RTT), Milliseconds(w.Jitter),
				Ratio(w.ToPeer.Ratio), Ratio(w.ToHere.Ratio), w.MTU, Bytes(w.Traffic.BytesToPeer), Bytes(w.Traffic.BytesFromPeer)}
			if s.view.Wide {
				row = append(row, w.Local, w.Remote, w.Flaps, fmt.Sprintf("%.1f", w.ToPeer.BurstMean), fmt.Sprintf("%.1f", w.ToHere.BurstMean), Ratio(w.Share))
			}
			t.Row(row...)
		}
	}
	s.part("WIRES", t, "none")
}

func (s *status) routes() {
	t := NewTable("TO", "WAY", "STATE", ">RTT", ">LOSS", "POLICY", "FOR", ">SWITCHES", "WHY")
	for _, r := range s.Routes {
		rtt, lost := "-", "-"
		for _, c := range r.Candidates {
			if c.Chosen {
				rtt, lost = Milliseconds(c.RTT), Ratio(c.Loss)
			}
		}
		t.Row(r.To, way(r.Chosen, r.Up), state("", r.Up), rtt, lost, policy(r), s.ago(r.Since), r.Switches, r.Reason)
	}
	s.part("ROUTES", t, "none")
	if s.view.Wide {
		for _, r := range s.Routes {
			s.candidates(r)
		}
	}
}

// candidates shows every way that a route could go, and how they compare.
func (s *status) candidates(r report.Route) {
	t := NewTable("WAY", "STATE", "USE", ">RTT", ">LOSS", ">SCORE", "WHY")
	for _, c := range r.Candidates {
		use := Cell{Text: "-"}
		switch {
		case c.Chosen:
			use = Cell{"chosen", Good}
		case c.Copy:
			use = Cell{"copy", Good}
		}
		score := "-"
		if c.Score != 0 {
			score = fmt.Sprintf("%.1f", c.Score)
		}
		t.Row(way(c.Via, true), state("", c.Up), use, Milliseconds(c.RTT), Ratio(c.Loss), score, c.Why)
	}
	s.part("WAYS TO "+r.To, t, "none")
}

func policy(r report.Route) string {
	if r.Pinned {
		return r.Policy + ", pinned"
	}
	return r.Policy
}

// RouteExplained writes for people how the route to a PoP is chosen. It reports
// whether there is such a route.
func RouteExplained(w io.Writer, p report.PoP, to string, colour bool) (bool, error) {
	i := slices.IndexFunc(p.Routes, func(r report.Route) bool { return r.To == to })
	if i < 0 {
		return false, nil
	}
	r, s := p.Routes[i], status{PoP: p, view: StatusView{Colour: colour}, w: w}
	s.printf("to %s: %s, for %s, after %d switches; policy %s\n", r.To, way(r.Chosen, r.Up), s.ago(r.Since), r.Switches, policy(r))
	if r.Reason != "" {
		s.printf("because %s\n", r.Reason)
	}
	s.candidates(r)
	s.printf("\nRTT and loss are those of the whole way, before repair. The score is what is compared, in ms; smaller is better.\n")
	return true, s.err
}

func way(via []string, up bool) string {
	switch {
	case !up:
		return "none"
	case len(via) == 0:
		return "direct"
	case strings.HasPrefix(via[0], snapshot.ThroughPrefix):
		return "through " + via[0][len(snapshot.ThroughPrefix):]
	}
	return "over " + strings.Join(via, ", ")
}

func (s *status) listeners() {
	t := NewTable("LISTENER", "ADDRESS", "EGRESS", ">SESSIONS", "REPAIR", "ORDER", ">TO CLIENTS", ">FROM CLIENTS")
	for _, l := range s.Listeners {
		t.Row(l.Name, addresses(l.Public), l.Egress, l.Sessions, l.Repair, l.Order, Bytes(l.Traffic.BytesToPeer), Bytes(l.Traffic.BytesFromPeer))
	}
	s.part("LISTENERS", t, "none")
}

// addresses writes sockets that share an address as one: 203.0.113.10:500,4500.
func addresses(list []netip.AddrPort) string {
	var parts []string
	for i, a := range list {
		if i > 0 && a.Addr() == list[i-1].Addr() {
			parts[len(parts)-1] += fmt.Sprintf(",%d", a.Port())
			continue
		}
		parts = append(parts, a.String())
	}
	return strings.Join(parts, " ")
}

// limits shows what listeners may use together. A PoP without any, the usual one, says nothing of them
// unless asked.
func (s *status) limits() {
	if len(s.Allowances) == 0 && !slices.Contains(s.view.Parts, "limits") {
		return
	}
	t := NewTable("ALLOWANCE", ">RATE", ">USED TO ENDPOINTS", ">USED TO CLIENTS", ">DROPPED TO ENDPOINTS", ">DROPPED TO CLIENTS", ">SESSIONS", ">REFUSED", "HOLDS")
	for _, a := range s.Allowances {
		var users []string
		for _, l := range s.Listeners {
			if slices.Contains(l.Allowances, a.Name) {
				users = append(users, l.Name)
				continue
			}
			for _, g := range l.Groups {
				if slices.Contains(g.Allowances, a.Name) {
					users = append(users, l.Name+" → "+g.EndpointGroup)
				}
			}
		}
		rate, sessions := "-", Count(uint64(a.Sessions))
		if a.Rate > 0 {
			rate = bitrate(float64(a.Rate))
		}
		if a.SessionsLimit > 0 {
			sessions += " of " + Count(uint64(a.SessionsLimit))
		}
		t.Row(a.Name, rate, bitrate(a.ToEndpoint.Used), bitrate(a.ToClient.Used), dropped(a.ToEndpoint.Dropped.Packets), dropped(a.ToClient.Dropped.Packets),
			sessions, dropped(a.RefusedSessions), strings.Join(users, ","))
	}
	s.part("LIMITS", t, "none")
}

func bitrate(bits float64) string { return scaled(bits, "bit/s") }

func dropped(n uint64) Cell {
	if n == 0 {
		return Cell{Text: "0"}
	}
	return Cell{Count(n), Warn}
}

// health colours what is known of an endpoint.
func health(word string, rtt float64) Cell {
	switch word {
	case "up":
		if rtt > 0 {
			word += ", " + Milliseconds(rtt)
		}
		return Cell{word, Good}
	case "down":
		return Cell{"DOWN", Bad}
	}
	return Cell{Text: "not checked"}
}

func (s *status) endpoints() {
	t := NewTable("ENDPOINT GROUP", "EGRESS IP", "ENDPOINT", "HEALTH", ">WEIGHT", ">SESSIONS", ">TO ENDPOINT", ">FROM ENDPOINT")
	for _, g := range s.Egresses {
		for _, e := range g.Endpoints {
			t.Row(g.EndpointGroup, g.Public, e.Address, health(e.Health, e.RTT), e.Weight, e.Sessions, Bytes(e.Traffic.BytesToPeer), Bytes(e.Traffic.BytesFromPeer))
		}
	}
	s.part("ENDPOINTS", t, "none; nothing leaves the overlay here")
	s.targets()
}

// targets shows where listeners' clients are sent, when there is a choice or somebody has said how endpoints are.
func (s *status) targets() {
	t := NewTable("LISTENER", "ENDPOINT GROUP", "EGRESS", ">SHARE", "ENDPOINT", "HEALTH", "FOR", ">WEIGHT")
	for _, l := range s.Listeners {
		for _, g := range l.Groups {
			for _, e := range g.Endpoints {
				if len(l.Groups) == 1 && e.Health == "unknown" && g.Reachable && !s.view.Wide {
					continue
				}
				word := health(e.Health, e.RTT)
				switch {
				case !g.Reachable:
					word = Cell{"out of reach", Bad}
				case e.Health == "unknown":
					word = Cell{Text: "unknown"}
				}
				t.Row(l.Name, g.EndpointGroup, g.Egress, fmt.Sprintf("%d %%", g.Percentage), e.Address, word, s.ago(e.Since), e.Weight)
			}
		}
	}
	if t.Len() > 0 {
		s.part("WHERE CLIENTS GO", t, "none")
	}
}

func (s *status) sessions() {
	heading := []string{"CLIENT", "LISTENER", "ENDPOINT", "EGRESS", "PEER", "STATE", "SEEN", ">AGE", ">IDLE", ">TO CLIENT", ">TO ENDPOINT"}
	if s.view.Wide {
		heading = append(heading, "PART", "ACCELERATED", "BY", ">PACKETS TO CLIENT", ">PACKETS TO ENDPOINT", "ID")
	}
	t := NewTable(heading...)
	list := s.Sessions.List
	asked := slices.Contains(s.view.Parts, "sessions")
	if !asked && !s.view.Wide && len(list) > sessionsShown {
		list = list[:sessionsShown]
	}
	for _, n := range list {
		row := []any{n.Client, n.Listener, n.Endpoint, n.Egress, n.Peer, state(n.State, n.State == "confirmed"), strings.Join(n.Kinds, ","),
			Seconds(n.Age), Seconds(n.Idle), Bytes(n.ToClient.Bytes), Bytes(n.ToEndpoint.Bytes)}
		for _, i := range []int{0, 2, 3} {
			row[i] = socket(row[i].(netip.AddrPort))
		}
		if s.view.Wide {
			row = append(row, n.Part, socket(n.Accelerated), n.Initiated, n.ToClient.Packets, n.ToEndpoint.Packets, n.ID)
		}
		t.Row(row...)
	}
	title := fmt.Sprintf("SESSIONS: %s confirmed, %s not yet, %s clients", Count(uint64(s.Sessions.Confirmed)), Count(uint64(s.Sessions.Unconfirmed)), Count(uint64(s.Sessions.Associations)))
	s.part(title, t, "none")
	switch more := s.Sessions.Confirmed + s.Sessions.Unconfirmed - len(list); {
	case more <= 0:
	case len(list) < len(s.Sessions.List):
		s.printf("… and %d more: causeway pop status sessions\n", more)
	default:
		s.printf("… and %d more, less busy ones\n", more)
	}
}

// ipsec shows each association once: all its sessions have the same.
func (s *status) ipsec() {
	t := NewTable("CLIENT", "PART", "IKE", "NAT-T", ">REKEYS", ">COLLISIONS", ">IKE AGAIN", ">LOST TO ENDPOINT", ">LOST TO CLIENT", ">LATE FOR A WINDOW OF 32", "REFUSALS")
	shown := map[string]bool{}
	for _, n := range s.Sessions.List {
		if n.IPsec == nil || shown[n.Association] {
			continue
		}
		shown[n.Association] = true
		i := n.IPsec
		natt := Cell{"yes", Good}
		if !i.NATT {
			natt = Cell{"no", Warn}
		}
		notifies := slices.Concat(slices.Collect(maps.Keys(i.ToClient.IKE.Notifies)), slices.Collect(maps.Keys(i.ToEndpoint.IKE.Notifies)))
		slices.Sort(notifies)
		notifies = slices.DeleteFunc(slices.Compact(notifies), func(n string) bool {
			return !strings.HasPrefix(n, "NO_") && !strings.HasPrefix(n, "INVALID_") && !strings.HasSuffix(n, "_FAILED")
		})
		lost := func(e report.ESPLane) string {
			if e.Packets == 0 {
				return "-"
			}
			return Ratio(e.Loss)
		}
		t.Row(n.Client.Addr(), n.Part, i.IKEVersion, natt, i.Rekeys, i.Collisions, i.ToClient.IKE.Retransmits+i.ToEndpoint.IKE.Retransmits,
			lost(i.ToEndpoint.ESP), lost(i.ToClient.ESP), i.ToEndpoint.ESP.Outside32+i.ToClient.ESP.Outside32, strings.Join(notifies, ","))
	}
	if t.Len() > 0 {
		s.part("IPSEC, AS SEEN BY THE NUMBERS OF ITS PACKETS", t, "none")
	}
}

func socket(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func (s *status) drops() {
	t := NewTable(">PACKETS", "NOT CARRIED BECAUSE")
	reasons := slices.Collect(maps.Keys(s.Drops))
	slices.SortFunc(reasons, func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Drops[b], s.Drops[a]), strings.Compare(a, b))
	})
	for _, r := range reasons {
		if s.Drops[r] > 0 {
			t.Row(s.Drops[r], r)
		}
	}
	s.part("DROPS", t, "none")
}

func (s *status) features() {
	t := NewTable("FEATURE", "IN USE")
	for _, name := range slices.Sorted(maps.Keys(s.PoP.Features)) {
		use := Cell{"yes", Good}
		if !s.PoP.Features[name] {
			use = Cell{"no", Warn}
		}
		t.Row(name, use)
	}
	s.part("FEATURES", t, "none are known")
	if f := s.Forwarded; f.Sessions > 0 || f.Packets > 0 {
		s.printf("\nIN THE KERNEL: ESP of %d sessions; %d packets, %s so far\n", f.Sessions, f.Packets, Bytes(f.Bytes))
	}
	r := s.Runtime
	s.printf("\nPROCESS %d: %s of memory, %s of it heap; %.1f s of CPU; %d goroutines; %d open files\n",
		r.PID, Bytes(r.RSSBytes), Bytes(r.HeapBytes), r.CPUSeconds, r.Goroutines, r.OpenFiles)
}
