package device

import (
	"bytes"
	"embed"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"text/template"
	"time"

	"causeway/internal/problem"
	"causeway/internal/vpn"
)

//go:embed templates
var templates embed.FS

// writer is a device with the words it speaks.
type writer struct {
	Device
	files []page
	can   abilities
	quote func(string) string // a text in the device's own quotes; nil: bare, and everything that would need quotes refused
	notes []string            // shown with every configuration; may name <WAN> and <LAN>
	extra func(*writer, vpn.Connection, *judgement)
}

// page is a file of a configuration: its name, and the template it is made from.
type page struct {
	name     string // %s is the connection's name
	template string
	secret   bool
}

// Render writes c down for the device of that name, as the device's own end of
// the connection. The error is an *Unknown, or a problem.List of everything that
// c has wrong or the device cannot do.
func Render(device string, c vpn.Connection, o Options) (Config, error) {
	w, err := find(device)
	if err != nil {
		return Config{}, err
	}
	c = c.WithDefaults()
	j := &judgement{}
	j.connection(c, o)
	if len(j.problems) == 0 {
		c = j.device(w, c)
	}
	if err := j.problems.Err(); err != nil {
		return Config{}, err
	}
	return w.write(c, o, j)
}

func (w *writer) write(c vpn.Connection, o Options, j *judgement) (Config, error) {
	v := newView(w, c, o)
	config := Config{Device: w.Device, Warnings: j.warnings}
	for _, f := range w.files {
		t, err := template.New(f.template).Option("missingkey=error").Funcs(w.words(o)).ParseFS(templates, "templates/"+f.template)
		if err != nil {
			return Config{}, fmt.Errorf("device %s: %w", w.Name, err)
		}
		var b bytes.Buffer
		if err := t.Execute(&b, v); err != nil {
			return Config{}, fmt.Errorf("device %s: write %s: %w", w.Name, f.name, err)
		}
		name := strings.ReplaceAll(f.name, "%s", v.Name)
		if text := tidy(b.String()); text != "" {
			config.Files = append(config.Files, File{Name: name, Text: text, Secret: f.secret && !o.Hide})
		}
	}
	config.Files = append(config.Files, w.credentials(v)...)
	for _, n := range append(w.notes, v.notes()...) {
		config.Notes = append(config.Notes, strings.NewReplacer("<WAN>", v.WAN, "<LAN>", v.LAN).Replace(n))
	}
	return config, nil
}

// tidy takes out lines of spaces that templates leave, and more than one empty
// line in a row.
func tidy(s string) string {
	var b strings.Builder
	empty := true
	for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		line = strings.TrimRight(line, " \t")
		if line == "" && empty {
			continue
		}
		empty = line == ""
		b.WriteString(line)
		b.WriteByte('\n')
	}
	if strings.TrimSpace(b.String()) == "" {
		return ""
	}
	return b.String()
}

// credentials are the files of certificates for devices that read files.
func (w *writer) credentials(v view) []File {
	if w.can.files == nil {
		return nil
	}
	var f []File
	for _, t := range v.Tunnels {
		a := t.Auth
		if a.Method != vpn.Certificate {
			continue
		}
		add := func(kind, text string, secret bool) {
			if text != "" {
				f = append(f, File{Name: fmt.Sprintf(w.can.files[kind], t.Ident), Text: strings.TrimSpace(text) + "\n", Secret: secret})
			}
		}
		add("certificate", a.Certificate, false)
		if !v.hide {
			add("key", a.PrivateKey.Reveal(), true)
		}
		add("ca", a.CA, false)
	}
	return f
}

// view is what a template sees.
type view struct {
	Name     string // of the connection, as an identifier of the device
	C        vpn.Connection
	Tunnels  []tunnel
	WAN, LAN string
	Policy   bool // networks are the selectors
	IKE1     bool // all tunnels speak IKEv1
	Device   Device
	hide     bool
	imports  bool // certificates are imported by hand
}

// tunnel is one tunnel with what templates would otherwise have to work out.
type tunnel struct {
	vpn.Tunnel
	N          int // 1, 2
	Ident      string
	IKELife    int // seconds: when this end renews, for devices that know one number
	ESPLife    int
	IKERekey   int // seconds: when this end renews, for devices that know two
	ESPRekey   int
	IKEMax     int // seconds: when it ends for good
	ESPMax     int
	MSS        int
	DPDSeconds int
	DPDTries   int
	Peer       string // address or domain; %any where from anywhere
	P          vpn.Proposal
	E          vpn.Proposal
	Cert       bool
	Pairs      []pair
}

// pair is a local and a remote network of the same family.
type pair struct {
	N             int
	Local, Remote netip.Prefix
}

func newView(w *writer, c vpn.Connection, o Options) view {
	v := view{Name: ident(c.Name, w.can.name), C: c, Policy: c.Routing == vpn.PolicyRouting, Device: w.Device, hide: o.Hide, imports: w.can.files == nil, IKE1: true}
	v.WAN, v.LAN = o.WAN, o.LAN
	if v.WAN == "" {
		v.WAN = "<WAN-INTERFACE>"
	}
	if v.LAN == "" {
		v.LAN = "<LAN-INTERFACE>"
	}
	for i, t := range c.Tunnels {
		ike, esp := t.RekeyTimes()
		n := tunnel{Tunnel: t, N: i + 1, IKEMax: secs(t.IKE.Lifetime), ESPMax: secs(t.ESP.Lifetime), IKERekey: secs(ike), ESPRekey: secs(esp),
			DPDSeconds: secs(t.DPD.Delay), DPDTries: 5, P: t.IKE.Proposals[0], E: t.ESP.Proposals[0], Cert: t.Auth.Method == vpn.Certificate}
		n.MSS = t.MTU - 40
		n.IKELife, n.ESPLife = n.IKEMax, n.ESPMax
		if t.Rekeying == vpn.RekeyLocal && t.IKE.Version == 2 { // IKEv1 negotiates lifetimes: they have to be the same
			n.IKELife, n.ESPLife = n.IKERekey, n.ESPRekey
		}
		if t.DPD.Timeout > 0 {
			n.DPDTries = max(2, secs(t.DPD.Timeout)/max(1, n.DPDSeconds))
		}
		n.Ident = ident(t.Name, w.can.name)
		n.Peer = "%any"
		if t.Remote.Address.IsValid() {
			n.Peer = t.Remote.Address.String()
		} else if t.Remote.Domain != "" {
			n.Peer = t.Remote.Domain
		}
		n.Pairs = pairs(c)
		v.IKE1 = v.IKE1 && t.IKE.Version == 1
		v.Tunnels = append(v.Tunnels, n)
	}
	return v
}

// Two says that there are two tunnels.
func (v view) Two() bool { return len(v.Tunnels) == 2 }

// First is the first tunnel.
func (v view) First() tunnel { return v.Tunnels[0] }

// notes are what remains to be done whatever the device.
func (v view) notes() []string {
	var n []string
	if first := v.Tunnels[0]; first.Cert && v.imports {
		n = append(n, fmt.Sprintf("Import this end's certificate and private key under the name %s, and the authority of the other end's certificate under %s-ca.", first.Ident, first.Ident))
	}
	if v.hide || v.C.Tunnels[0].Auth.Method == vpn.PSK && v.C.Tunnels[0].Auth.PSK == "" {
		n = append(n, "Replace <PRE-SHARED-KEY> by the key; it is not shown here.")
	}
	for _, t := range v.Tunnels {
		if t.Accelerated {
			n = append(n, "The peer's address belongs to an accelerator: the peer is known by its identity "+t.Remote.ID+", and both ends see a NAT. That is how it should be.")
			break
		}
	}
	return n
}

func pairs(c vpn.Connection) []pair {
	var p []pair
	if c.Routing == vpn.RouteRouting {
		any4 := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		return []pair{{1, any4, any4}}
	}
	for _, l := range c.LocalNetworks {
		for _, r := range c.RemoteNetworks {
			if l.Addr().Is4() == r.Addr().Is4() {
				p = append(p, pair{len(p) + 1, l, r})
			}
		}
	}
	return p
}

func secs(d time.Duration) int { return int(d / time.Second) }

var notIdent = regexp.MustCompile(`[^A-Za-z0-9-]+`)

// ident makes a name an identifier that every device takes: letters, digits and
// dashes, at most limit of them (0: 32). A name that was cut keeps its end,
// which is where two tunnels differ.
func ident(name string, limit int) string {
	if limit == 0 {
		limit = 32
	}
	s := strings.Trim(notIdent.ReplaceAllString(name, "-"), "-")
	if len(s) > limit {
		s = s[:limit-5] + "-" + s[len(s)-4:]
	}
	return s
}

// judgement gathers what keeps a connection from being written, and what the
// device will do otherwise.
type judgement struct {
	problems problem.List
	warnings []string
}

func (j *judgement) refuse(path, found, allowed, fix string) {
	j.problems = append(j.problems, problem.Problem{Path: path, Found: found, Allowed: allowed, Fix: fix})
}

func (j *judgement) warn(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	for _, w := range j.warnings {
		if w == s {
			return
		}
	}
	j.warnings = append(j.warnings, s)
}
