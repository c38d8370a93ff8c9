package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// SA is one IKE_SA with its CHILD_SAs, as charon tells it.
type SA struct {
	Connection    string
	State         string // ESTABLISHED, REKEYED …
	InitiatorSPI  string
	ResponderSPI  string
	Initiator     bool
	Local, Remote string // address[port]
	Children      []Child
}

// Child is one CHILD_SA.
type Child struct {
	State                 string // INSTALLED, REKEYED, DELETED …
	SPIIn, SPIOut         string
	PacketsIn, PacketsOut uint64
}

// Installed returns the child that carries traffic now.
func (s SA) Installed() (Child, bool) {
	for _, c := range s.Children {
		if c.State == "INSTALLED" {
			return c, true
		}
	}
	return Child{}, false
}

// SAs lists the gateway's IKE_SAs.
func (g Gateway) SAs(ctx context.Context) ([]SA, error) {
	out, err := g.run(ctx, "--list-sas", "--raw")
	if err != nil {
		return nil, err
	}
	sas, err := parseSAs(out)
	for i := range sas {
		sas[i].Connection = strings.TrimPrefix(sas[i].Connection, g.Prefix)
	}
	return sas, err
}

// Up returns the established SA of a connection that has a child installed.
func (g Gateway) Up(ctx context.Context, connection string) (SA, Child, error) {
	sas, err := g.SAs(ctx)
	if err != nil {
		return SA{}, Child{}, err
	}
	for _, s := range sas {
		if c, ok := s.Installed(); ok && s.Connection == connection && s.State == "ESTABLISHED" {
			return s, c, nil
		}
	}
	return SA{}, Child{}, fmt.Errorf("tunnel %s is not up", connection)
}

// parseSAs reads the output of swanctl --list-sas --raw: lines of
//
//	list-sa event {NAME {key=value … child-sas {NAME-1 {…} NAME-2 {…}}}}
//
// Sections may repeat a name, so their order is kept.
func parseSAs(out string) ([]SA, error) {
	var sas []SA
	for line := range strings.Lines(out) {
		body, ok := strings.CutPrefix(strings.TrimSpace(line), "list-sa event ")
		if !ok {
			continue
		}
		root, err := parseRaw(body)
		if err != nil {
			return nil, fmt.Errorf("read the list of SAs: %w", err)
		}
		for _, s := range root.sections {
			sas = append(sas, readSA(s))
		}
	}
	return sas, nil
}

func readSA(s *section) SA {
	sa := SA{
		Connection:   s.name,
		State:        s.values["state"],
		InitiatorSPI: s.values["initiator-spi"],
		ResponderSPI: s.values["responder-spi"],
		Initiator:    s.values["initiator"] == "yes",
		Local:        s.values["local-host"] + "[" + s.values["local-port"] + "]",
		Remote:       s.values["remote-host"] + "[" + s.values["remote-port"] + "]",
	}
	for _, sub := range s.sections {
		if sub.name != "child-sas" {
			continue
		}
		for _, c := range sub.sections {
			in, _ := strconv.ParseUint(c.values["packets-in"], 10, 64)
			out, _ := strconv.ParseUint(c.values["packets-out"], 10, 64)
			sa.Children = append(sa.Children, Child{
				State: c.values["state"], SPIIn: c.values["spi-in"], SPIOut: c.values["spi-out"],
				PacketsIn: in, PacketsOut: out,
			})
		}
	}
	return sa
}

// section is one {…} of a raw vici message.
type section struct {
	name     string
	values   map[string]string
	sections []*section
}

// parseRaw reads one section with everything in it. Lists ([a b]) are kept as
// the text between their brackets.
func parseRaw(s string) (*section, error) {
	if !strings.HasPrefix(s, "{") {
		return nil, fmt.Errorf("found %.20q, want a section in braces", s)
	}
	root := &section{values: map[string]string{}}
	stack := []*section{root}
	for s = s[1:]; ; {
		s = strings.TrimLeft(s, " ")
		top := stack[len(stack)-1]
		if strings.HasPrefix(s, "}") {
			s, stack = s[1:], stack[:len(stack)-1]
			if len(stack) == 0 {
				return root, nil
			}
			continue
		}
		end := strings.IndexAny(s, "={")
		if end < 0 {
			return nil, fmt.Errorf("the message ends inside a section, near %.40q", s)
		}
		name := strings.TrimSpace(s[:end])
		if s[end] == '{' {
			sub := &section{name: name, values: map[string]string{}}
			top.sections = append(top.sections, sub)
			stack = append(stack, sub)
			s = s[end+1:]
			continue
		}
		s = s[end+1:]
		stop := " }"
		if strings.HasPrefix(s, "[") {
			s, stop = s[1:], "]"
		}
		n := strings.IndexAny(s, stop)
		if n < 0 {
			return nil, fmt.Errorf("the value of %q has no end", name)
		}
		top.values[name] = s[:n]
		s = s[n:]
		if stop == "]" {
			s = s[1:]
		}
	}
}

// String is the section as it stood, values sorted by name; for tests.
func (s *section) String() string {
	var b strings.Builder
	b.WriteString(s.name + "{")
	for _, k := range slices.Sorted(maps.Keys(s.values)) {
		b.WriteString(" " + k + "=[" + s.values[k] + "]")
	}
	for _, sub := range s.sections {
		b.WriteString(" " + sub.String())
	}
	return b.String() + "}"
}
