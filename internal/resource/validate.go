package resource

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"causeway/internal/problem"
)

// judge collects what is wrong with one resource; it changes nothing.
type judge struct{ found problem.List }

func (j *judge) refuse(path string, found any, allowed, fix string, args ...any) {
	j.found = append(j.found, problem.New(path, found, allowed).WithFix(fix, args...))
}

func (j *judge) missing(path, allowed, fix string, args ...any) {
	j.found = append(j.found, problem.Problem{Path: path, Allowed: allowed}.WithFix(fix, args...))
}

func (j *judge) meta(m *Meta) {
	j.name("name", m.Name)
	j.text("title", m.Title, 128)
	j.text("description", m.Description, 256)
	j.tags(m.Tags)
}

const nameAllowed = "1 to 63 of a–z, 0–9 and -, with a letter or digit at both ends"

// ValidName reports whether name can be a resource's name.
func ValidName(name string) bool {
	if name == "" || len(name) > 63 || name[0] == '-' || name[len(name)-1] == '-' {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func (j *judge) name(path, name string) {
	switch {
	case name == "":
		j.missing(path, nameAllowed, "give it")
	case !ValidName(name):
		j.refuse(path, clip(name), nameAllowed, "")
	}
}

// reference judges the name of another resource, in the form that Meta.Name
// or an ID has; whether it exists is for the service to say.
func (j *judge) reference(path, name string) { j.name(path, strings.ToLower(name)) }

func (j *judge) text(path, text string, most int) {
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > most || strings.ContainsFunc(text, unicode.IsControl) {
		j.refuse(path, clip(text), fmt.Sprintf("at most %d printable characters", most), "shorten it, and keep it on one line")
	}
}

func (j *judge) choice(path, word string, words ...string) {
	switch {
	case slices.Contains(words, word):
	case word == "":
		j.missing(path, "one of "+strings.Join(words, ", "), "")
	default:
		j.refuse(path, clip(word), "one of "+strings.Join(words, ", "), "")
	}
}

func (j *judge) between(path string, n, low, high int) {
	if n < low || n > high {
		j.refuse(path, n, fmt.Sprintf("%d to %d", low, high), "")
	}
}

// address judges an address that one machine can have.
func (j *judge) address(path string, a netip.Addr, allowUnspecified bool) bool {
	const allowed = "an IP address of one machine"
	switch {
	case !a.IsValid():
		j.missing(path, allowed, "")
	case a.Is4In6():
		j.refuse(path, a, "IPv4 addresses in their own form", "write %v", a.Unmap())
	case a.Zone() != "":
		j.refuse(path, a, "an address without a zone", "use one that is valid beyond one link")
	case a.IsUnspecified() && !allowUnspecified:
		j.refuse(path, a, "one particular address", "give the address itself")
	case a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		j.refuse(path, a, allowed, "this one belongs to many")
	default:
		return true
	}
	return false
}

func (j *judge) socket(path string, a netip.AddrPort, allowUnspecified bool) bool {
	if !a.IsValid() {
		j.missing(path, "an IP address and port, such as 203.0.113.10:4600", "")
		return false
	}
	if a.Port() == 0 {
		j.refuse(path, a, "a port from 1 to 65535", "4600 is usual")
		return false
	}
	return j.address(path, a.Addr(), allowUnspecified)
}

func (j *judge) prefixes(path string, list []netip.Prefix) {
	if list != nil && len(list) == 0 {
		j.refuse(path, "an empty list", "at least one prefix", "leave it out to let everyone in")
	}
	j.networks(path, list)
}

// networks judges prefixes; none are well.
func (j *judge) networks(path string, list []netip.Prefix) {
	if len(list) > 200 {
		j.refuse(path, len(list), "at most 200 prefixes", "join neighbouring ones")
		return
	}
	for i, p := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case !p.IsValid():
			j.missing(at, "an IP prefix, such as 203.0.113.0/24", "")
		case p.Addr().Is4In6():
			j.refuse(at, p, "IPv4 prefixes in their own form", "write the IPv4 prefix")
		case p != p.Masked():
			j.refuse(at, p, "a prefix without bits after its length", "write %v", p.Masked())
		case slices.Contains(list[:i], p):
			j.refuse(at, p, "each prefix once", "remove the repetition")
		}
	}
}

func (j *judge) key(path, text string) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 32 || strings.ContainsAny(text, "\r\n") || [32]byte(raw) == [32]byte{} {
		j.refuse(path, clip(text), "32 bytes in base64, 44 characters, not all zero", "use the line that 'causeway keygen' printed for that PoP, or leave it out and enrol")
	}
}

// domain judges a name that can be looked up (RFC 1123 section 2.1).
func (j *judge) domain(path, name string) {
	labels := strings.Split(name, ".")
	ok := len(name) <= 253 && len(labels) >= 2
	for _, label := range labels {
		ok = ok && ValidName(strings.ReplaceAll(label, "_", "a"))
	}
	if last := labels[len(labels)-1]; ok && strings.Trim(last, "0123456789") == "" {
		ok = false // 10.0.0.1 and the like are no names
	}
	if !ok {
		j.refuse(path, clip(name), "a full domain name, such as vpn.example.com", "write internationalised names in their xn-- form; write an address as address")
		return
	}
	for _, suffix := range []string{"localhost", "local", "localdomain", "internal", "invalid", "onion"} {
		if labels[len(labels)-1] == suffix {
			j.refuse(path, name, "a domain that everybody resolves alike", "names under .%s mean the PoP's own surroundings", suffix)
		}
	}
}

// clip keeps a wrong text short enough for a message.
func clip(s string) string {
	if runes := []rune(s); len(runes) > 80 {
		return string(runes[:80]) + "…"
	}
	return s
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// defaultTo returns given, or a pointer to value; never the caller's memory.
func defaultTo[T any](given *T, value T) *T {
	if given != nil {
		value = *given
	}
	return &value
}

// What is allowed where a code of its own says that it is not.
var (
	allowedProtocol  = "udp"
	allowedPort      = fmt.Sprintf("1 to %d, other than %v", MaxPort, ReservedUDP)
	allowedPorts     = fmt.Sprintf("at most %d ports", MaxListenerPorts)
	allowedEndpoint  = "the address of a machine of its own, that is no PoP"
	allowedEndpoints = fmt.Sprintf("at most %d", MaxEndpoints)

	allowedACLEntries = fmt.Sprintf("at most %d entries", MaxACLEntries)
)

// codeOf is the code of something that is wrong with one resource alone.
func codeOf(p problem.Problem) Code {
	switch p.Allowed {
	case allowedProtocol:
		return CodeUnsupported // it means something, but not here yet
	case allowedPort:
		return CodePortReserved
	case allowedPorts, allowedEndpoints, allowedACLEntries:
		return CodeQuota
	case allowedEndpoint:
		return CodeEndpointRefused
	}
	return CodeInvalidField
}
