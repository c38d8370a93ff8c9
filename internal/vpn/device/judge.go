package device

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"causeway/internal/vpn"
)

// abilities are what a device can do, and its words for it.
type abilities struct {
	ikeCipher, espCipher map[string]string // by our name; what is not in it is refused
	ikeHash, espHash     map[string]string
	prf                  map[string]string // nil: as ikeHash
	groups               map[int]string
	versions             []int
	key                  *regexp.Regexp // what a pre-shared key has to match
	keyRule              string         // the same for people
	ids                  []vpn.IDKind   // nil: all
	certificates         bool
	files                map[string]string // where it reads certificates from, by kind; nil: imported by hand
	policy, route        bool
	two                  bool // two tunnels to one peer's networks
	twoByRoute           bool // only with routes: its policies exclude one another
	ipv6                 bool
	domains              bool // a peer by name
	anyPeer              bool // a peer from anywhere
	needsLocal           bool // its own address has to be known
	proposals            int  // how many of one layer; 0: any
	networks             int  // of one side; 0: any
	name                 int  // longest identifier; 0: 32
	window               []int
	ikeLife, espLife     [2]int // seconds; zero: any
	noForcedUDP          bool   // NAT-T cannot be forced, only detected
}

var wanForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9/._:-]{0,31}$`)

// connection judges what has to be right for any device.
func (j *judgement) connection(c vpn.Connection, o Options) {
	for _, p := range c.Validate() {
		missing := p.Found == "" && (strings.HasSuffix(p.Path, ".auth.psk") || strings.HasSuffix(p.Path, ".auth.certificate") ||
			strings.HasSuffix(p.Path, ".auth.private_key") || strings.HasSuffix(p.Path, ".auth.ca"))
		if !missing { // a far end's own credentials are unknown here: a placeholder stands for them
			j.problems = append(j.problems, p)
		}
	}
	for _, n := range []struct{ path, word string }{{"wan", o.WAN}, {"lan", o.LAN}} {
		if n.word != "" && !wanForm.MatchString(n.word) {
			j.refuse(n.path, n.word, "the name of an interface, such as eth0 or GigabitEthernet0/0", "")
		}
	}
}

// device judges c by what w can do, and returns it with the proposals that w can.
func (j *judgement) device(w *writer, c vpn.Connection) vpn.Connection {
	can := w.can
	if c.Routing == vpn.RouteRouting && !can.route {
		j.refuse("routing", string(c.Routing), w.Title+" protects networks only", "set routing: policy")
	}
	if c.Routing == vpn.PolicyRouting && !can.policy {
		j.refuse("routing", string(c.Routing), w.Title+" has routes only", "set routing: route")
	}
	if len(c.Tunnels) == 2 && !can.two {
		j.refuse("tunnels", "2 tunnels", "one tunnel on "+w.Title, "make two connections of it")
	}
	if len(c.Tunnels) == 2 && can.twoByRoute && c.Routing == vpn.PolicyRouting {
		j.refuse("routing", string(c.Routing), "route with two tunnels on "+w.Title+", whose policies for the same networks exclude one another", "set routing: route at both ends, or make it one tunnel")
	}
	if len(c.Tunnels) == 2 && ident(c.Tunnels[0].Name, can.name) == ident(c.Tunnels[1].Name, can.name) {
		j.refuse("tunnels[1].name", c.Tunnels[1].Name, "a name that differs from tunnels[0]'s when it is written for "+w.Title+": "+ident(c.Tunnels[1].Name, can.name), "let the last four characters differ")
	}
	for _, side := range []struct {
		field string
		nets  []netip.Prefix
	}{{"local_networks", c.LocalNetworks}, {"remote_networks", c.RemoteNetworks}} {
		if can.networks > 0 && len(side.nets) > can.networks && c.Routing == vpn.PolicyRouting {
			j.refuse(side.field, fmt.Sprintf("%d networks", len(side.nets)), fmt.Sprintf("at most %d on %s", can.networks, w.Title), "join them to larger ones")
		}
		for i, n := range side.nets {
			if n.Addr().Is6() && !can.ipv6 {
				j.refuse(fmt.Sprintf("%s[%d]", side.field, i), n.String(), "IPv4 networks: the template for "+w.Title+" has no IPv6", "put the IPv6 networks into the generic sheet")
			}
		}
	}
	for i := range c.Tunnels {
		c.Tunnels[i] = j.tunnel(w, fmt.Sprintf("tunnels[%d].", i), c.Tunnels[i])
	}
	if len(j.problems) == 0 && w.extra != nil {
		w.extra(w, c, j)
	}
	return c
}

func (j *judgement) tunnel(w *writer, path string, t vpn.Tunnel) vpn.Tunnel {
	can := w.can
	if !slices.Contains(can.versions, t.IKE.Version) {
		j.refuse(path+"ike.version", strconv.Itoa(t.IKE.Version), fmt.Sprintf("%v on %s", can.versions, w.Title), fmt.Sprintf("set ike.version: %d at both ends", can.versions[0]))
	}
	if t.Auth.Method == vpn.Certificate && !can.certificates {
		j.refuse(path+"auth.method", string(t.Auth.Method), "psk: the template for "+w.Title+" has no certificates", "set method: psk, or use the generic sheet")
	}
	j.key(w, path, t)
	j.ends(w, path, t)
	t.IKE.Proposals = j.proposals(w, path+"ike.proposals", t.IKE.Proposals, true)
	t.ESP.Proposals = j.proposals(w, path+"esp.proposals", t.ESP.Proposals, false)
	j.life(w, path+"ike.lifetime", secs(t.IKE.Lifetime), can.ikeLife)
	j.life(w, path+"esp.lifetime", secs(t.ESP.Lifetime), can.espLife)
	if can.window != nil && !slices.Contains(can.window, t.Window) {
		was := t.Window
		t.Window = can.window[len(can.window)-1]
		for _, n := range slices.Backward(can.window) {
			if n >= was {
				t.Window = n
			}
		}
		j.warn("%s has no replay window of %d packets: %d it is.", w.Title, was, t.Window)
	}
	if t.NATT && can.noForcedUDP {
		j.warn("%s puts ESP into UDP when it detects a NAT, and cannot be made to otherwise. Through an accelerator it always detects one.", w.Title)
	}
	return t
}

func (j *judgement) key(w *writer, path string, t vpn.Tunnel) {
	key := t.Auth.PSK.Reveal()
	if t.Auth.Method != vpn.PSK || key == "" || w.can.key == nil || w.can.key.MatchString(key) {
		return
	}
	found := fmt.Sprintf("a key of %d characters", len(key))
	for _, r := range key {
		if !w.can.key.MatchString("A" + strings.Repeat("a", 15) + string(r) + "a") {
			found = fmt.Sprintf("a key with the character %q", r)
			break
		}
	}
	j.refuse(path+"auth.psk", found, w.can.keyRule+" on "+w.Title, "choose another key at both ends: openssl rand -hex 24 makes one that every device takes")
}

func (j *judgement) ends(w *writer, path string, t vpn.Tunnel) {
	can := w.can
	switch {
	case t.Remote.Domain != "" && !can.domains:
		j.refuse(path+"remote.domain", t.Remote.Domain, "an address on "+w.Title, "set remote.address")
	case !t.Remote.Address.IsValid() && t.Remote.Domain == "" && !can.anyPeer:
		j.refuse(path+"remote.address", "", "an address on "+w.Title, "behind an accelerator it is the accelerated IP or the egress IP")
	}
	if can.needsLocal && !t.Local.Address.IsValid() {
		j.refuse(path+"local.address", "", "the device's own address: "+w.Title+" has to be told", "set local.address")
	}
	for _, e := range []struct {
		field string
		end   vpn.End
	}{{"local", t.Local}, {"remote", t.Remote}} {
		if a := e.end.Address; a.IsValid() && a.Is6() && !can.ipv6 {
			j.refuse(path+e.field+".address", a.String(), "an IPv4 address: the template for "+w.Title+" has no IPv6", "use the generic sheet")
		}
		if can.ids != nil && !slices.Contains(can.ids, vpn.IDKindOf(e.end.ID)) {
			j.refuse(path+e.field+".id", e.end.ID, idWords(can.ids)+" on "+w.Title, "choose another identity at both ends")
		}
	}
}

func idWords(kinds []vpn.IDKind) string {
	word := map[vpn.IDKind]string{vpn.IDAddress: "an address", vpn.IDDomain: "a domain name", vpn.IDMail: "user@domain", vpn.IDName: "a distinguished name"}
	var s []string
	for _, k := range kinds {
		s = append(s, word[k])
	}
	return strings.Join(s, " or ")
}

func (j *judgement) life(w *writer, path string, found int, allowed [2]int) {
	if allowed != [2]int{} && (found < allowed[0] || found > allowed[1]) {
		j.refuse(path, fmt.Sprintf("%d s", found), fmt.Sprintf("%d–%d s on %s", allowed[0], allowed[1], w.Title), fmt.Sprintf("set it to %ds at both ends", min(max(found, allowed[0]), allowed[1])))
	}
}

// proposals keeps what w can do. When that is nothing, it refuses what is wrong
// with the first; when some have to go, it warns.
func (j *judgement) proposals(w *writer, path string, all []vpn.Proposal, ike bool) []vpn.Proposal {
	var keep []vpn.Proposal
	first := &judgement{}
	for i, p := range all {
		one := &judgement{}
		one.proposal(w, fmt.Sprintf("%s[%d]", path, i), p, ike)
		switch {
		case len(one.problems) > 0:
			if i == 0 {
				first = one
			}
		case w.can.proposals == 0 || len(keep) < w.can.proposals:
			keep = append(keep, p)
		}
	}
	if len(keep) == 0 {
		j.problems = append(j.problems, first.problems...)
		return all
	}
	if len(keep) < len(all) {
		j.warn("%s takes %d of the %d proposals in %s; the other end has to have one of them.", w.Title, len(keep), len(all), path)
	}
	return keep
}

func (j *judgement) proposal(w *writer, path string, p vpn.Proposal, ike bool) {
	can := w.can
	ciphers, hashes := can.espCipher, can.espHash
	if ike {
		ciphers, hashes = can.ikeCipher, can.ikeHash
	}
	unknown := func(field, found string, all map[string]string, order []vpn.Algorithm) {
		var allowed []string
		for _, a := range order {
			if _, ok := all[a.Name]; ok {
				allowed = append(allowed, a.Name)
			}
		}
		j.refuse(path+"."+field, found, "one of "+strings.Join(allowed, ", ")+" on "+w.Title, "choose one that both ends can do")
	}
	cipher, _ := vpn.CipherOf(p.Encryption)
	if _, ok := ciphers[p.Encryption]; !ok {
		unknown("encryption", p.Encryption, ciphers, vpn.Ciphers)
	}
	if _, ok := hashes[p.Integrity]; !ok && !cipher.AEAD {
		unknown("integrity", p.Integrity, hashes, vpn.Hashes)
	}
	if ike {
		prf := can.prf
		if prf == nil {
			prf = can.ikeHash
		}
		if _, ok := prf[p.PRF]; !ok {
			unknown("prf", p.PRF, prf, vpn.Hashes)
		}
	}
	if _, ok := can.groups[p.DH]; !ok && p.DH != 0 {
		var allowed []string
		for _, g := range vpn.Groups {
			if _, ok := can.groups[g.Number]; ok {
				allowed = append(allowed, strconv.Itoa(g.Number))
			}
		}
		j.refuse(path+".dh", strconv.Itoa(p.DH), "one of "+strings.Join(allowed, ", ")+" on "+w.Title, "choose one that both ends can do")
	}
}
